#include "text/jinja/text_ops.h"

#include <algorithm>
#include <cstring>

namespace lb::text::jinja {
namespace {

// Letters whose other case is two letters.
constexpr char32_t kSharpS = 0xDF;
constexpr char32_t kDottedI = 0x130;
constexpr char32_t kApostropheN = 0x149;

bool InSet(std::string_view set, std::string_view character) {
  for (size_t pos = 0, length = 0; pos < set.size(); pos += length) {
    Decode(set, pos, &length);
    if (set.substr(pos, length) == character) return true;
  }
  return false;
}

// "\n", "\r\n", "\r" and the other line ends of str.splitlines: their length at `pos`, or 0.
size_t LineEnd(std::string_view bytes, size_t pos) {
  size_t length = 0;
  const char32_t c = Decode(bytes, pos, &length);
  if (c == '\r') return pos + 1 < bytes.size() && bytes[pos + 1] == '\n' ? 2 : 1;
  const bool ends = (c >= 0x0A && c <= 0x0C) || (c >= 0x1C && c <= 0x1E) || c == 0x85 ||
                    c == 0x2028 || c == 0x2029;
  return ends ? length : 0;
}

void Repeat(std::string_view fill, int64_t count, TaintedText* out) {
  std::string bytes;
  for (int64_t i = 0; i < count; ++i) bytes.append(fill);
  out->Append(bytes, Origin::kTemplate);
}

}  // namespace

size_t FindBytes(std::string_view text, std::string_view what, size_t from) {
  if (from > text.size()) return std::string_view::npos;
  const void* at = memmem(text.data() + from, text.size() - from, what.data(), what.size());
  return at == nullptr ? std::string_view::npos
                       : static_cast<size_t>(static_cast<const char*>(at) - text.data());
}

TaintedText Strip(const TaintedText& text, const TaintedText* chars, Side side) {
  const std::string_view bytes = text.view();
  size_t begin = 0, end = bytes.size(), length = 0;
  const auto strips = [&](size_t pos) {
    const char32_t c = Decode(bytes, pos, &length);
    return chars == nullptr ? IsSpace(c) : InSet(chars->view(), bytes.substr(pos, length));
  };
  if (side != Side::kRight) {
    while (begin < end && strips(begin)) begin += length;
  }
  if (side != Side::kLeft) {
    while (end > begin) {
      const size_t start = PreviousChar(bytes, end);
      if (start < begin || !strips(start)) break;
      end = start;
    }
  }
  return text.Sub(begin, end);
}

std::vector<TaintedText> Split(const TaintedText& text, std::string_view separator,
                               int64_t max_splits) {
  std::vector<TaintedText> parts;
  size_t begin = 0;
  while (max_splits != 0) {
    const size_t at = FindBytes(text.view(), separator, begin);
    if (at == std::string_view::npos) break;
    parts.push_back(text.Sub(begin, at));
    begin = at + separator.size();
    --max_splits;
  }
  parts.push_back(text.Sub(begin, text.size()));
  return parts;
}

std::vector<TaintedText> SplitFromRight(const TaintedText& text, std::string_view separator,
                                        int64_t max_splits) {
  std::vector<TaintedText> parts;
  size_t end = text.size();
  while (max_splits != 0 && end >= separator.size()) {
    const size_t at = text.view().rfind(separator, end - separator.size());
    if (at == std::string_view::npos) break;
    parts.push_back(text.Sub(at + separator.size(), end));
    end = at;
    --max_splits;
  }
  parts.push_back(text.Sub(0, end));
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<TaintedText> SplitSpace(const TaintedText& text, int64_t max_splits) {
  const std::string_view bytes = text.view();
  std::vector<TaintedText> parts;
  size_t pos = SkipSpace(bytes, 0), length = 0;
  while (pos < bytes.size()) {
    if (max_splits-- == 0) {
      parts.push_back(text.Sub(pos, text.size()));
      break;
    }
    const size_t begin = pos;
    while (pos < bytes.size() && !IsSpace(Decode(bytes, pos, &length))) pos += length;
    parts.push_back(text.Sub(begin, pos));
    pos = SkipSpace(bytes, pos);
  }
  return parts;
}

std::vector<TaintedText> SplitSpaceFromRight(const TaintedText& text, int64_t max_splits) {
  const std::string_view bytes = text.view();
  std::vector<TaintedText> parts;
  size_t end = TrimEnd(bytes), length = 0;
  while (end > 0) {
    if (max_splits-- == 0) {
      parts.push_back(text.Sub(0, end));
      break;
    }
    size_t begin = end;
    while (begin > 0) {
      const size_t previous = PreviousChar(bytes, begin);
      if (IsSpace(Decode(bytes, previous, &length))) break;
      begin = previous;
    }
    parts.push_back(text.Sub(begin, end));
    end = TrimEnd(bytes.substr(0, begin));
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<TaintedText> SplitLines(const TaintedText& text, bool keep_ends) {
  const std::string_view bytes = text.view();
  std::vector<TaintedText> lines;
  size_t begin = 0, length = 0;
  for (size_t pos = 0; pos < bytes.size();) {
    const size_t end = LineEnd(bytes, pos);
    if (end > 0) {
      lines.push_back(text.Sub(begin, keep_ends ? pos + end : pos));
      begin = pos + end;
      pos = begin;
    } else {
      Decode(bytes, pos, &length);
      pos += length;
    }
  }
  if (begin < bytes.size()) lines.push_back(text.Sub(begin, bytes.size()));
  return lines;
}

bool Replace(const TaintedText& text, std::string_view old, const TaintedText& with, int64_t count,
             size_t max_bytes, TaintedText* out) {
  size_t pos = 0;
  if (old.empty()) {
    // Between all characters, and at both ends.
    for (size_t length = 0; count != 0; --count, pos += length) {
      out->Append(with);
      if (out->size() > max_bytes) return false;
      if (pos == text.size()) return true;
      Decode(text.view(), pos, &length);
      out->Append(text, pos, pos + length);
    }
  } else {
    for (; count != 0; --count) {
      const size_t at = FindBytes(text.view(), old, pos);
      if (at == std::string_view::npos) break;
      out->Append(text, pos, at);
      out->Append(with);
      if (out->size() > max_bytes) return false;
      pos = at + old.size();
    }
  }
  out->Append(text, pos, text.size());
  return out->size() <= max_bytes;
}

void AppendUpper(char32_t c, std::string* out) {
  switch (c) {
    case kSharpS:
      *out += "SS";
      break;
    case kApostropheN:
      *out += "\u02BCN";
      break;
    default:
      AppendUtf8(ToUpper(c), out);
  }
}

void AppendLower(char32_t c, std::string* out) {
  if (c == kDottedI) {
    *out += "i\u0307";
  } else {
    AppendUtf8(ToLower(c), out);
  }
}

void AppendTitle(char32_t c, std::string* out) {
  switch (c) {
    case kSharpS:
      *out += "Ss";
      break;
    case kApostropheN:
      *out += "\u02BCN";
      break;
    default:
      AppendUtf8(ToTitle(c), out);
  }
}

TaintedText Upper(const TaintedText& text) { return MapChars(text, AppendUpper); }
TaintedText Lower(const TaintedText& text) { return MapChars(text, AppendLower); }

TaintedText CaseFold(const TaintedText& text) {
  return MapChars(text, [](char32_t c, std::string* out) {
    if (c == kSharpS) {
      *out += "ss";
    } else {
      AppendLower(c, out);
    }
  });
}

TaintedText Capitalize(const TaintedText& text) {
  bool first = true;
  return MapChars(text, [&](char32_t c, std::string* out) {
    first ? AppendTitle(c, out) : AppendLower(c, out);
    first = false;
  });
}

TaintedText SwapCase(const TaintedText& text) {
  return MapChars(text, [](char32_t c, std::string* out) {
    IsUpper(c) ? AppendLower(c, out) : AppendUpper(c, out);
  });
}

TaintedText Title(const TaintedText& text) {
  bool in_word = false;
  return MapChars(text, [&](char32_t c, std::string* out) {
    in_word ? AppendLower(c, out) : AppendTitle(c, out);
    in_word = IsCased(c);
  });
}

TaintedText EscapeHtml(const TaintedText& text) {
  TaintedText out;
  text.ForEachRun([&](std::string_view run, Origin origin) {
    std::string bytes;
    for (const char c : run) {
      switch (c) {
        case '&':
          bytes += "&amp;";
          break;
        case '<':
          bytes += "&lt;";
          break;
        case '>':
          bytes += "&gt;";
          break;
        case '\'':
          bytes += "&#39;";
          break;
        case '"':
          bytes += "&#34;";
          break;
        default:
          bytes.push_back(c);
      }
    }
    out.Append(bytes, origin);
  });
  return out;
}

TaintedText Pad(const TaintedText& text, int64_t width, std::string_view fill, Align align) {
  const int64_t missing = width - static_cast<int64_t>(CountChars(text.view()));
  if (missing <= 0) return text;
  int64_t left = 0;
  if (align == Align::kRight) left = missing;
  // Python puts the odd one to the left when the width is odd.
  if (align == Align::kCenter) left = missing / 2 + (missing & width & 1);
  TaintedText out;
  Repeat(fill, left, &out);
  out.Append(text);
  Repeat(fill, missing - left, &out);
  return out;
}

}  // namespace lb::text::jinja
