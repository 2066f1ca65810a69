#include "text/jinja/lexer.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "text/jinja/string_literal.h"
#include "text/jinja/unicode.h"

namespace lb::text::jinja {
namespace {

struct Operator {
  std::string_view text;
  Tok type;
};

// Longer ones first.
constexpr Operator kOperators[] = {
    {"//", Tok::kFloorDiv},  {"**", Tok::kPow},        {"==", Tok::kEq},
    {"!=", Tok::kNe},        {"<=", Tok::kLe},         {">=", Tok::kGe},
    {"+", Tok::kAdd},        {"-", Tok::kSub},         {"*", Tok::kMul},
    {"/", Tok::kDiv},        {"%", Tok::kMod},         {"~", Tok::kTilde},
    {"<", Tok::kLt},         {">", Tok::kGt},          {"=", Tok::kAssign},
    {".", Tok::kDot},        {":", Tok::kColon},       {",", Tok::kComma},
    {"|", Tok::kPipe},       {";", Tok::kSemicolon},   {"(", Tok::kLeftParen},
    {")", Tok::kRightParen}, {"[", Tok::kLeftBracket}, {"]", Tok::kRightBracket},
    {"{", Tok::kLeftBrace},  {"}", Tok::kRightBrace}};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

std::string NormalizeNewlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out.push_back(source[i]);
      continue;
    }
    out.push_back('\n');
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  // One newline at the very end belongs to the file, not to the template.
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(NormalizeNewlines(source)), text_(source_) {}

  Result<std::vector<Token>> Run() {
    while (pos_ < text_.size()) {
      LB_RETURN_IF_ERROR(Root());
    }
    Push(Tok::kEof, pos_, "");
    return std::move(tokens_);
  }

 private:
  bool At(std::string_view what, size_t pos) const {
    return text_.substr(std::min(pos, text_.size())).starts_with(what);
  }

  void Advance(size_t to) {
    for (; counted_ < to; ++counted_) {
      if (text_[counted_] == '\n') {
        ++line_;
        line_start_ = counted_ + 1;
      }
    }
  }

  Token& Push(Tok type, size_t at, std::string_view text) {
    Advance(at);
    Token& token = tokens_.emplace_back();
    token.type = type;
    token.line = line_;
    token.column = static_cast<int>(at - line_start_) + 1;
    token.text = std::string(text);
    return token;
  }

  Error Bad(size_t at, const char* what) {
    Advance(at);
    return Fail(ErrorCode::kInvalidArgument, "line {}, column {}: {}", line_, at - line_start_ + 1,
                what);
  }

  // The end of the text before the tag at `tag`: white space goes where the sign or lstrip_blocks
  // says so.
  size_t TextEnd(size_t begin, size_t tag, char sign, bool is_variable) const {
    const std::string_view text = text_.substr(begin, tag - begin);
    if (sign == '-') return begin + TrimEnd(text);
    if (sign == '+' || is_variable) return tag;
    const size_t newline = text.rfind('\n');
    const size_t line = newline == std::string_view::npos ? 0 : newline + 1;
    if (line == 0 && !line_starting_) return tag;
    return TrimEnd(text, line) == line ? begin + line : tag;
  }

  // After the end of a tag at `pos`: what trim_blocks or '-' takes away.
  size_t SkipAfter(size_t pos, char sign, bool trims_newline) {
    size_t next = pos;
    if (sign == '-') {
      next = SkipSpace(text_, pos);
    } else if (sign != '+' && trims_newline && pos < text_.size() && text_[pos] == '\n') {
      ++next;
    }
    line_starting_ = next > pos && text_[next - 1] == '\n';
    return next;
  }

  char SignAt(size_t pos) const {
    return pos < text_.size() && (text_[pos] == '-' || text_[pos] == '+') ? text_[pos] : '\0';
  }

  void PushData(size_t begin, size_t end) {
    if (begin < end) Push(Tok::kData, begin, text_.substr(begin, end - begin));
  }

  // Text up to the next tag, and the tag.
  Result<void> Root() {
    const size_t begin = pos_;
    size_t tag = begin;
    for (;; ++tag) {
      tag = std::min(text_.find('{', tag), text_.size());
      if (tag + 1 >= text_.size()) {
        PushData(begin, text_.size());
        pos_ = text_.size();
        return {};
      }
      const char next = text_[tag + 1];
      if (next == '{' || next == '%' || next == '#') break;
    }
    const char kind = text_[tag + 1];
    const char sign = SignAt(tag + 2);
    PushData(begin, TextEnd(begin, tag, sign, kind == '{'));
    pos_ = tag + 2 + (sign != '\0' ? 1 : 0);
    line_starting_ = false;
    if (kind == '#') return Comment(tag);
    if (kind == '%' && IsRaw()) return Raw(tag);
    Push(kind == '{' ? Tok::kVariableBegin : Tok::kBlockBegin, tag, text_.substr(tag, 2));
    return Tag(kind == '{');
  }

  Result<void> Comment(size_t tag) {
    // As in jinja2, an opening tag at the very end opens nothing.
    if (pos_ == text_.size()) return {};
    const size_t end = text_.find("#}", pos_);
    if (end == std::string_view::npos) return Bad(tag, "missing end of comment tag");
    pos_ = SkipAfter(end + 2, end > pos_ ? SignAt(end - 1) : '\0', true);
    return {};
  }

  // At the inside of "{% raw %}"? Moves past it then.
  bool IsRaw() {
    size_t pos = SkipSpace(text_, pos_);
    if (!At("raw", pos)) return false;
    pos = SkipSpace(text_, pos + 3);
    if (At("-%}", pos)) {
      pos_ = SkipSpace(text_, pos + 3);
      return true;
    }
    if (!At("%}", pos)) return false;
    pos_ = pos + 2;
    return true;
  }

  Result<void> Raw(size_t tag) {
    const size_t begin = pos_;
    if (begin == text_.size()) return {};
    line_starting_ = begin > 0 && text_[begin - 1] == '\n';
    for (size_t open = begin;; open += 2) {
      open = text_.find("{%", open);
      if (open == std::string_view::npos) return Bad(tag, "missing end of raw directive");
      const char sign = SignAt(open + 2);
      size_t pos = SkipSpace(text_, open + 2 + (sign != '\0' ? 1 : 0));
      if (!At("endraw", pos)) continue;
      pos = SkipSpace(text_, pos + 6);
      const char end_sign = SignAt(pos);
      if (end_sign != '\0') ++pos;
      if (!At("%}", pos)) continue;
      PushData(begin, TextEnd(begin, open, sign, false));
      pos_ = SkipAfter(pos + 2, end_sign, true);
      return {};
    }
  }

  // The inside of a tag, up to and with its end.
  Result<void> Tag(bool is_variable) {
    const std::string_view end = is_variable ? "}}" : "%}";
    std::string open;  // brackets not yet closed
    while (true) {
      pos_ = SkipSpace(text_, pos_);
      if (pos_ >= text_.size()) {
        return Bad(pos_, "unexpected end of template inside a tag");
      }
      if (open.empty()) {
        const char sign = SignAt(pos_);
        // "+}}" is no end of a variable.
        const bool signed_end = (sign == '-' || (sign == '+' && !is_variable)) && At(end, pos_ + 1);
        if (signed_end || At(end, pos_)) {
          Push(is_variable ? Tok::kVariableEnd : Tok::kBlockEnd, pos_, end);
          pos_ = SkipAfter(pos_ + (signed_end ? 3 : 2), signed_end ? sign : '\0', !is_variable);
          return {};
        }
      }
      LB_RETURN_IF_ERROR(Word(&open));
    }
  }

  Result<void> Word(std::string* open) {
    const char c = text_[pos_];
    if (IsNameStart(c)) {
      const size_t begin = pos_;
      while (pos_ < text_.size() && (IsNameStart(text_[pos_]) || IsDigit(text_[pos_]))) ++pos_;
      Push(Tok::kName, begin, text_.substr(begin, pos_ - begin));
      return {};
    }
    if (IsDigit(c)) return Number();
    if (c == '\'' || c == '"') return String(c);
    for (const Operator& op : kOperators) {
      if (!At(op.text, pos_)) continue;
      LB_RETURN_IF_ERROR(Balance(op.type, open));
      Push(op.type, pos_, op.text);
      pos_ += op.text.size();
      return {};
    }
    return Bad(pos_, "unexpected character");
  }

  Result<void> Balance(Tok type, std::string* open) {
    switch (type) {
      case Tok::kLeftParen:
        open->push_back(')');
        return {};
      case Tok::kLeftBracket:
        open->push_back(']');
        return {};
      case Tok::kLeftBrace:
        open->push_back('}');
        return {};
      case Tok::kRightParen:
      case Tok::kRightBracket:
      case Tok::kRightBrace:
        if (open->empty()) return Bad(pos_, "unexpected closing bracket");
        if (open->back() != text_[pos_]) return Bad(pos_, "the closing bracket does not match");
        open->pop_back();
        return {};
      default:
        return {};
    }
  }

  // Digits with single underscores between them, from `pos` on.
  size_t Digits(size_t pos, std::string_view digits) const {
    while (pos < text_.size()) {
      if (digits.find(text_[pos]) != std::string_view::npos) {
        ++pos;
      } else if (text_[pos] == '_' && pos + 1 < text_.size() &&
                 digits.find(text_[pos + 1]) != std::string_view::npos) {
        pos += 2;
      } else {
        break;
      }
    }
    return pos;
  }

  Result<void> Number() {
    constexpr std::string_view kDecimal = "0123456789";
    const size_t begin = pos_;
    const char prefix = begin + 1 < text_.size() && text_[begin] == '0'
                            ? static_cast<char>(text_[begin + 1] | 0x20)
                            : '\0';
    const int base = prefix == 'x' ? 16 : prefix == 'o' ? 8 : prefix == 'b' ? 2 : 10;
    if (base != 10) {
      constexpr std::string_view kAll = "0123456789abcdefABCDEF";
      const std::string_view digits = kAll.substr(0, base == 16 ? kAll.size() : base);
      const size_t end = Digits(begin + 2, digits);
      if (end > begin + 2) return Integer(begin, begin + 2, end, base);
    }
    size_t end = Digits(begin, kDecimal);
    // After a dot, "1.2" is two attributes.
    const bool after_dot = begin > 0 && text_[begin - 1] == '.';
    size_t float_end = end;
    if (!after_dot) {
      const auto digit_at = [&](size_t i) { return i < text_.size() && IsDigit(text_[i]); };
      if (At(".", end) && digit_at(end + 1)) float_end = Digits(end + 1, kDecimal);
      if (float_end < text_.size() && (text_[float_end] | 0x20) == 'e') {
        const size_t sign = float_end + 1;
        const size_t exponent = sign + (SignAt(sign) != '\0' ? 1 : 0);
        if (digit_at(exponent)) float_end = Digits(exponent, kDecimal);
      }
    }
    if (float_end == end) return Integer(begin, begin, end, 10);
    std::string digits(text_.substr(begin, float_end - begin));
    std::erase(digits, '_');
    Push(Tok::kFloat, begin, "").number = std::strtod(digits.c_str(), nullptr);
    pos_ = float_end;
    return {};
  }

  Result<void> Integer(size_t begin, size_t digits_begin, size_t end, int base) {
    std::string digits(text_.substr(digits_begin, end - digits_begin));
    std::erase(digits, '_');
    int64_t value = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (read.ec != std::errc()) return Bad(begin, "integer out of range: 64 bits are supported");
    Push(Tok::kInt, begin, "").integer = value;
    pos_ = end;
    return {};
  }

  Result<void> String(char quote) {
    const size_t begin = pos_;
    size_t end = begin + 1;
    while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) return Bad(begin, "unclosed string");
    std::string value;
    if (!Unescape(text_.substr(begin + 1, end - begin - 1), &value)) {
      return Bad(begin, "bad escape in a string");
    }
    Push(Tok::kString, begin, value);
    pos_ = end + 1;
    return {};
  }

  std::string source_;
  std::string_view text_;
  std::vector<Token> tokens_;
  size_t pos_ = 0;
  // The text so far ended a line, or a tag swallowed its newline.
  bool line_starting_ = true;
  size_t counted_ = 0, line_start_ = 0;
  int line_ = 1;
};

}  // namespace

Result<std::vector<Token>> Tokenize(std::string_view source) { return Lexer(source).Run(); }

}  // namespace lb::text::jinja
