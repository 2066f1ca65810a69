#include "text/jinja/format_spec.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "text/jinja/to_string.h"

namespace lb::text::jinja {
namespace {

constexpr int64_t kMaxWidth = 1'000'000;
constexpr int64_t kMaxPrecision = 300;  // of a number

bool IsAlign(char c) { return c == '<' || c == '>' || c == '^' || c == '='; }

bool ReadNumber(std::string_view text, size_t* pos, int64_t* number) {
  const size_t begin = *pos;
  int64_t value = 0;
  while (*pos < text.size() && text[*pos] >= '0' && text[*pos] <= '9') {
    value = std::min<int64_t>(value * 10 + (text[(*pos)++] - '0'), kMaxWidth + 1);
  }
  *number = value;
  return *pos > begin && value <= kMaxWidth;
}

std::string Group(std::string_view digits, char separator, size_t every) {
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % every == 0) out.push_back(separator);
    out.push_back(digits[i]);
  }
  return out;
}

std::string PadNumber(std::string_view sign, std::string_view body, const FormatSpec& spec) {
  const int64_t missing = spec.width - static_cast<int64_t>(sign.size() + body.size());
  std::string padding;
  for (int64_t i = 0; i < missing; ++i) padding += spec.fill;
  switch (spec.align) {
    case '=':
      return std::string(sign) + padding + std::string(body);
    case '<':
      return std::string(sign) + std::string(body) + padding;
    case '^': {
      const size_t half = missing > 0 ? missing / 2 * spec.fill.size() : 0;
      return padding.substr(0, half) + std::string(sign) + std::string(body) + padding.substr(half);
    }
    default:
      return padding + std::string(sign) + std::string(body);
  }
}

std::string_view SignOf(bool negative, char sign) {
  if (negative) return "-";
  return sign == '+' ? "+" : sign == ' ' ? " " : "";
}

}  // namespace

bool ParseFormatSpec(std::string_view text, FormatSpec* spec) {
  size_t pos = 0, length = 0;
  bool own_fill = false;
  if (!text.empty()) {
    Decode(text, 0, &length);
    if (length < text.size() && IsAlign(text[length])) {
      own_fill = true;
      spec->fill = std::string(text.substr(0, length));
      spec->align = text[length];
      pos = length + 1;
    } else if (IsAlign(text[0])) {
      spec->align = text[0];
      pos = 1;
    }
  }
  const auto at = [&] { return pos < text.size() ? text[pos] : '\0'; };
  if (at() == '+' || at() == '-' || at() == ' ') spec->sign = text[pos++];
  if (at() == '#') {
    spec->alternate = true;
    ++pos;
  }
  if (at() == '0') {
    if (!own_fill) spec->fill = "0";
    if (spec->align == 0) spec->align = '=';
    ++pos;
  }
  if (std::isdigit(static_cast<unsigned char>(at())) && !ReadNumber(text, &pos, &spec->width)) {
    return false;
  }
  if (at() == ',' || at() == '_') spec->grouping = text[pos++];
  if (at() == '.') {
    ++pos;
    if (!ReadNumber(text, &pos, &spec->precision)) return false;
  }
  if (pos < text.size()) spec->type = text[pos++];
  return pos == text.size();
}

bool FormatInteger(int64_t value, const FormatSpec& spec, std::string* out) {
  const uint64_t magnitude = value < 0 ? 0 - static_cast<uint64_t>(value) : value;
  std::string digits, prefix;
  size_t every = 4;
  switch (spec.type) {
    case 0:
    case 'd':
    case 'n':
      digits = fmt::format("{}", magnitude);
      every = 3;
      break;
    case 'b':
      digits = fmt::format("{:b}", magnitude);
      prefix = "0b";
      break;
    case 'o':
      digits = fmt::format("{:o}", magnitude);
      prefix = "0o";
      break;
    case 'x':
      digits = fmt::format("{:x}", magnitude);
      prefix = "0x";
      break;
    case 'X':
      digits = fmt::format("{:X}", magnitude);
      prefix = "0X";
      break;
    case 'c':
      if (value < 0 || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return false;
      AppendUtf8(static_cast<char32_t>(value), out);
      return true;
    default:
      return false;
  }
  if (spec.precision >= 0) {
    digits.insert(0, std::max<int64_t>(spec.precision - static_cast<int64_t>(digits.size()), 0),
                  '0');
  }
  if (spec.grouping != 0) digits = Group(digits, spec.grouping, every);
  std::string sign(SignOf(value < 0, spec.sign));
  if (spec.alternate) sign += prefix;
  *out = PadNumber(sign, digits, spec);
  return true;
}

bool FormatNumber(double value, const FormatSpec& spec, std::string* out) {
  if (spec.precision > kMaxPrecision) return false;
  const double magnitude = std::fabs(value);
  const int precision = spec.precision < 0 ? 6 : static_cast<int>(spec.precision);
  std::string body;
  switch (spec.type) {
    case 0:
      if (spec.precision < 0) {
        body = FormatDouble(magnitude);
      } else {
        body = fmt::format("{:.{}g}", magnitude, std::max(precision, 1));
        if (body.find_first_of(".en") == std::string::npos) body += ".0";
      }
      break;
    case 'f':
      body = fmt::format("{:.{}f}", magnitude, precision);
      break;
    case 'F':
      body = fmt::format("{:.{}F}", magnitude, precision);
      break;
    case 'e':
      body = fmt::format("{:.{}e}", magnitude, precision);
      break;
    case 'E':
      body = fmt::format("{:.{}E}", magnitude, precision);
      break;
    case 'g':
      body = fmt::format("{:.{}g}", magnitude, std::max(precision, 1));
      break;
    case 'G':
      body = fmt::format("{:.{}G}", magnitude, std::max(precision, 1));
      break;
    case '%':
      body = fmt::format("{:.{}f}%", magnitude * 100, precision);
      break;
    default:
      return false;
  }
  if (spec.grouping != 0 && std::isfinite(magnitude)) {
    const size_t whole = std::min(body.find_first_not_of("0123456789"), body.size());
    body = Group(body.substr(0, whole), spec.grouping, 3) + body.substr(whole);
  }
  *out = PadNumber(SignOf(std::signbit(value), spec.sign), body, spec);
  return true;
}

TaintedText FormatText(const TaintedText& text, const FormatSpec& spec) {
  TaintedText cut = spec.precision < 0
                        ? text
                        : text.Sub(0, ByteOffset(text.view(), static_cast<size_t>(spec.precision)));
  const Align align = spec.align == '>'   ? Align::kRight
                      : spec.align == '^' ? Align::kCenter
                                          : Align::kLeft;
  return Pad(cut, spec.width, spec.fill, align);
}

}  // namespace lb::text::jinja
