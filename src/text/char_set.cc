#include "text/char_set.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/utf8.h"

namespace lb::text {
namespace {

uint32_t Bit(utf8proc_category_t category) { return uint32_t{1} << category; }

// "L", "Lu", ... to bits; 0 when unknown.
uint32_t CategoryBits(std::string_view name) {
  struct Row {
    const char* name;
    utf8proc_category_t category;
  };
  static constexpr Row kRows[] = {
      {"Lu", UTF8PROC_CATEGORY_LU}, {"Ll", UTF8PROC_CATEGORY_LL}, {"Lt", UTF8PROC_CATEGORY_LT},
      {"Lm", UTF8PROC_CATEGORY_LM}, {"Lo", UTF8PROC_CATEGORY_LO}, {"Mn", UTF8PROC_CATEGORY_MN},
      {"Mc", UTF8PROC_CATEGORY_MC}, {"Me", UTF8PROC_CATEGORY_ME}, {"Nd", UTF8PROC_CATEGORY_ND},
      {"Nl", UTF8PROC_CATEGORY_NL}, {"No", UTF8PROC_CATEGORY_NO}, {"Pc", UTF8PROC_CATEGORY_PC},
      {"Pd", UTF8PROC_CATEGORY_PD}, {"Ps", UTF8PROC_CATEGORY_PS}, {"Pe", UTF8PROC_CATEGORY_PE},
      {"Pi", UTF8PROC_CATEGORY_PI}, {"Pf", UTF8PROC_CATEGORY_PF}, {"Po", UTF8PROC_CATEGORY_PO},
      {"Sm", UTF8PROC_CATEGORY_SM}, {"Sc", UTF8PROC_CATEGORY_SC}, {"Sk", UTF8PROC_CATEGORY_SK},
      {"So", UTF8PROC_CATEGORY_SO}, {"Zs", UTF8PROC_CATEGORY_ZS}, {"Zl", UTF8PROC_CATEGORY_ZL},
      {"Zp", UTF8PROC_CATEGORY_ZP}, {"Cc", UTF8PROC_CATEGORY_CC}, {"Cf", UTF8PROC_CATEGORY_CF},
      {"Cs", UTF8PROC_CATEGORY_CS}, {"Co", UTF8PROC_CATEGORY_CO}, {"Cn", UTF8PROC_CATEGORY_CN}};
  if (name.empty() || name.size() > 2) return 0;
  uint32_t bits = 0;
  for (const Row& row : kRows) {
    if (std::string_view(row.name).starts_with(name)) bits |= Bit(row.category);
  }
  return bits;
}

Error Bad(std::string_view what, std::string_view at) {
  return Fail(ErrorCode::kInvalidArgument, "pattern: {} at \"{}\"", what, at);
}

}  // namespace

bool IsUnicodeSpace(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

bool IsHan(char32_t c) {
  struct Block {
    char32_t first, last;
  };
  // Scripts.txt of Unicode 14, sc=Han.
  static constexpr Block kBlocks[] = {
      {0x2E80, 0x2E99},   {0x2E9B, 0x2EF3},   {0x2F00, 0x2FD5},   {0x3005, 0x3005},
      {0x3007, 0x3007},   {0x3021, 0x3029},   {0x3038, 0x303B},   {0x3400, 0x4DBF},
      {0x4E00, 0x9FFF},   {0xF900, 0xFA6D},   {0xFA70, 0xFAD9},   {0x16FE2, 0x16FE3},
      {0x16FF0, 0x16FF1}, {0x20000, 0x2A6DF}, {0x2A700, 0x2B738}, {0x2B740, 0x2B81D},
      {0x2B820, 0x2CEA1}, {0x2CEB0, 0x2EBE0}, {0x2F800, 0x2FA1D}, {0x30000, 0x3134A}};
  if (c < 0x2E80) return false;
  return std::any_of(std::begin(kBlocks), std::end(kBlocks),
                     [c](const Block& b) { return c >= b.first && c <= b.last; });
}

bool CharSet::ContainsSlow(char32_t c) const {
  bool in = (space_ && IsUnicodeSpace(c)) || (han_ && IsHan(c));
  if (!in && categories_ != 0) {
    in = (categories_ & Bit(utf8proc_category(static_cast<utf8proc_int32_t>(c)))) != 0;
  }
  if (!in && !ranges_.empty()) {
    const auto after =
        std::upper_bound(ranges_.begin(), ranges_.end(), c,
                         [](char32_t code, const Range& range) { return code < range.first; });
    in = after != ranges_.begin() && c <= (after - 1)->last;
  }
  return in != negated_ && !(without_han_ && IsHan(c));
}

// Sorts and joins the ranges, so that one look finds the only one that can hold a character.
void CharSet::SortRanges() {
  std::sort(ranges_.begin(), ranges_.end(),
            [](const Range& a, const Range& b) { return a.first < b.first; });
  std::vector<Range> joined;
  for (const Range& range : ranges_) {
    if (!joined.empty() && range.first <= joined.back().last) {
      joined.back().last = std::max(joined.back().last, range.last);
    } else {
      joined.push_back(range);
    }
  }
  ranges_ = std::move(joined);
}

void CharSet::FillAscii() {
  for (char32_t c = 0; c < 128; ++c) {
    if (ContainsSlow(c)) ascii_[c >> 6] |= uint64_t{1} << (c & 63);
  }
}

Result<int64_t> CharSet::ParseItem(std::string_view* pattern) {
  const std::string_view at = *pattern;
  const Utf8Char c = DecodeUtf8(at, 0);
  if (!c.valid) return Bad("bytes that are not UTF-8", "");
  pattern->remove_prefix(static_cast<size_t>(c.length));
  if (c.code != '\\') {
    ranges_.push_back({c.code, c.code});
    return static_cast<int64_t>(c.code);
  }
  if (pattern->empty()) return Bad("a lone backslash", at);
  const char kind = pattern->front();
  pattern->remove_prefix(1);
  const auto single = [&](char32_t code) -> Result<int64_t> {
    ranges_.push_back({code, code});
    return static_cast<int64_t>(code);
  };
  switch (kind) {
    case 'r': return single('\r');
    case 'n': return single('\n');
    case 't': return single('\t');
    case 's':
      space_ = true;
      return int64_t{-1};
    case 'd':
      categories_ |= Bit(UTF8PROC_CATEGORY_ND);
      return int64_t{-1};
    case 'p':
    case 'x': {
      const size_t close = pattern->find('}');
      if (!pattern->starts_with('{') || close == pattern->npos) return Bad("a missing brace", at);
      const std::string_view name = pattern->substr(1, close - 1);
      pattern->remove_prefix(close + 1);
      if (kind == 'x') {
        char32_t code = 0;
        for (const char digit : name) {
          const auto hex = std::string_view("0123456789ABCDEF").find(digit);
          if (hex == std::string_view::npos || code > 0x10FFFF) return Bad("a bad \\x", at);
          code = code * 16 + static_cast<char32_t>(hex);
        }
        return single(code);
      }
      if (name == "Han") {
        han_ = true;
        return int64_t{-1};
      }
      const uint32_t bits = CategoryBits(name);
      if (bits == 0) return Bad("an unknown property", at);
      categories_ |= bits;
      return int64_t{-1};
    }
    default:
      if ((kind >= '0' && kind <= '9') || (kind >= 'A' && kind <= 'Z') ||
          (kind >= 'a' && kind <= 'z')) {
        return Bad("an unknown escape", at);
      }
      return single(static_cast<unsigned char>(kind));
  }
}

// What follows "[" up to and with "]".
Result<void> CharSet::ParseBracket(std::string_view* pattern) {
  static constexpr std::string_view kWithoutHan = "&&[^\\p{Han}]";
  if (pattern->starts_with('^')) {
    negated_ = true;
    pattern->remove_prefix(1);
  }
  while (!pattern->starts_with(']')) {
    if (pattern->empty()) return Bad("a set that does not end", "[");
    if (pattern->starts_with(kWithoutHan)) {
      without_han_ = true;
      pattern->remove_prefix(kWithoutHan.size());
      continue;
    }
    LB_ASSIGN_OR_RETURN(const int64_t first, ParseItem(pattern));
    if (first >= 0 && pattern->size() > 1 && (*pattern)[0] == '-' && (*pattern)[1] != ']') {
      pattern->remove_prefix(1);
      LB_ASSIGN_OR_RETURN(const int64_t last, ParseItem(pattern));
      if (last < first) return Bad("a range that runs backwards", *pattern);
      ranges_.pop_back();
      ranges_.back().last = static_cast<char32_t>(last);
    }
  }
  pattern->remove_prefix(1);
  return {};
}

Result<CharSet> CharSet::Parse(std::string_view* pattern) {
  CharSet set;
  if (pattern->empty()) return Bad("nothing where a set belongs", *pattern);
  if (pattern->starts_with('[')) {
    pattern->remove_prefix(1);
    LB_RETURN_IF_ERROR(set.ParseBracket(pattern));
  } else if (pattern->starts_with("\\S")) {
    pattern->remove_prefix(2);
    set.space_ = set.negated_ = true;
  } else {
    LB_RETURN_IF_ERROR(set.ParseItem(pattern));
  }
  set.SortRanges();
  set.FillAscii();
  return set;
}

}  // namespace lb::text
