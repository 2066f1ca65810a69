#include "api/tools/json_value.h"

#include <fmt/format.h>

#include <iterator>

#include "api/reasoning/splitter.h"
#include "base/utf8.h"

namespace lb::api {
namespace {

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

bool JsonSpan::Feed(char c) {
  if (in_string_) {
    if (escaped_) {
      escaped_ = false;
    } else if (c == '\\') {
      escaped_ = true;
    } else if (c == '"') {
      in_string_ = false;
      return depth_ == 0;
    }
    return false;
  }
  if (c == '"') in_string_ = true;
  if (c == '{' || c == '[') ++depth_;
  return (c == '}' || c == ']') && --depth_ <= 0;
}

void JsonStringText::Code(std::string* out) {
  if (code_ >= 0xD800 && code_ < 0xDC00) {
    if (high_ != 0) AppendUtf8(kReplacementCharacter, out);
    high_ = code_;
    return;
  }
  char32_t code = code_;
  if (code_ >= 0xDC00 && code_ < 0xE000) {
    code =
        high_ != 0 ? 0x10000 + ((high_ - 0xD800) << 10) + (code_ - 0xDC00) : kReplacementCharacter;
  } else if (high_ != 0) {
    AppendUtf8(kReplacementCharacter, out);
  }
  high_ = 0;
  AppendUtf8(code, out);
}

bool JsonStringText::Feed(char c, std::string* out) {
  if (hex_left_ > 0) {
    const int digit = HexDigit(c);
    if (digit >= 0) {
      code_ = code_ * 16 + static_cast<unsigned>(digit);
      if (--hex_left_ == 0) Code(out);
      return false;
    }
    hex_left_ = 0;  // an escape that is none says nothing
    AppendUtf8(kReplacementCharacter, out);
  }
  if (escaped_) {
    escaped_ = false;
    if (c == 'u') {
      hex_left_ = 4;
      code_ = 0;
      return false;
    }
    constexpr std::string_view kLetters = "bfnrt", kMeanings = "\b\f\n\r\t";
    const size_t at = kLetters.find(c);
    c = at == std::string_view::npos ? c : kMeanings[at];
  } else if (c == '\\') {
    escaped_ = true;
    return false;
  } else if (c == '"') {
    if (high_ != 0) AppendUtf8(kReplacementCharacter, out);
    return true;
  }
  if (high_ != 0) AppendUtf8(kReplacementCharacter, out);
  high_ = 0;
  *out += c;
  return false;
}

void AppendJsonControl(char c, std::string* out) {
  constexpr std::string_view kLetters = "bfnrt", kMeanings = "\b\f\n\r\t";
  const size_t at = kMeanings.find(c);
  if (at != std::string_view::npos) {
    *out += '\\';
    *out += kLetters[at];
  } else {
    fmt::format_to(std::back_inserter(*out), "\\u{:04x}", static_cast<unsigned char>(c));
  }
}

size_t JsonArguments::Take(std::string_view text, std::string_view stop, std::string* out,
                           bool* done) {
  *done = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool outside = kind_ != Kind::kText && !span_.in_string();
    if (outside && !stop.empty() && c == stop[0]) {
      const std::string_view rest = text.substr(i, stop.size());
      if (rest == stop) {
        *done = true;
        if (kind_ == Kind::kOther && other_ != "null") *out += other_;
        return i;
      }
      if (stop.starts_with(rest)) return i;
    }
    if (kind_ == Kind::kUnknown) {
      if (IsSpace(c)) continue;
      kind_ = c == '"' ? Kind::kText : c == '{' || c == '[' ? Kind::kSpan : Kind::kOther;
      if (kind_ == Kind::kText) continue;
    }
    switch (kind_) {
      case Kind::kSpan:
        if (span_.in_string() && IsControl(c)) {
          AppendJsonControl(c, out);
        } else {
          *out += c;
        }
        *done = span_.Feed(c);
        break;
      case Kind::kText:
        *done = text_.Feed(c, out);
        break;
      default:
        if (c == ',' || c == '}' || c == ']' || IsSpace(c)) {
          *done = true;
          if (other_ != "null") *out += other_;
          return i;
        }
        other_ += c;
    }
    if (*done) return i + 1;
  }
  return text.size();
}

}  // namespace lb::api
