#include "grammar/regex_tree.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/printable.h"
#include "grammar/text_cursor.h"

namespace lb::grammar {
namespace {

constexpr int64_t kNoLimit = -1;

class Reader : private TextCursor {
 public:
  explicit Reader(std::string_view pattern) : TextCursor(pattern) {}

  // `found_anywhere`: where an alternative has no anchor, any text may stand before or after it.
  Result<RegexNode> Read(bool found_anywhere) {
    found_anywhere_ = found_anywhere;
    LB_ASSIGN_OR_RETURN(RegexNode node, Alternatives(0));
    if (pos_ != text_.size()) return Bad("an unmatched ')'");
    return node;
  }

 private:
  Error Bad(std::string_view what) const {
    return Fail(ErrorCode::kInvalidArgument, "the pattern {} has {} at byte {}", Printable(text_),
                what, pos_);
  }
  Error Unsupported(std::string_view what) const {
    return Fail(ErrorCode::kUnsupported,
                "the pattern {} has {} at byte {}, which cannot be enforced", Printable(text_),
                what, pos_);
  }

  Result<RegexNode> Alternatives(int depth) {
    if (depth > kMaxRegexDepth) return Unsupported("groups nested too deep");
    RegexNode either{RegexNode::Kind::kEither, {}, {}};
    do {
      LB_ASSIGN_OR_RETURN(RegexNode one, Sequence(depth));
      either.parts.push_back(std::move(one));
    } while (Take("|"));
    if (either.parts.size() == 1) return std::move(either.parts.front());
    return either;
  }

  Result<RegexNode> Sequence(int depth) {
    RegexNode sequence;
    const bool open_start = depth == 0 && !Take("^");
    bool open_end = depth == 0;
    if (found_anywhere_ && open_start) sequence.parts.push_back(AnyText());
    while (!AtEnd() && !Next('|') && !Next(')')) {
      if (Next('$') && depth == 0 && (pos_ + 1 == text_.size() || text_[pos_ + 1] == '|')) {
        ++pos_;
        open_end = false;
        break;
      }
      if (Next('^') || Next('$')) return Unsupported("an anchor in its middle");
      LB_ASSIGN_OR_RETURN(RegexNode atom, Atom(depth));
      LB_ASSIGN_OR_RETURN(atom, Repeated(std::move(atom)));
      sequence.parts.push_back(std::move(atom));
    }
    if (found_anywhere_ && open_end) sequence.parts.push_back(AnyText());
    return sequence;
  }

  static RegexNode AnyText() {
    RegexNode any{RegexNode::Kind::kRepeat, {}, {}, 0, kNoLimit};
    any.parts.push_back(RegexNode{RegexNode::Kind::kChars, Complement({}), {}});
    return any;
  }

  Result<RegexNode> Atom(int depth) {
    if (Take("(")) {
      if (Take("?")) {
        if (Next('=') || Next('!')) return Unsupported("a lookahead");
        if (text_.substr(pos_).starts_with("<=") || text_.substr(pos_).starts_with("<!")) {
          return Unsupported("a lookbehind");
        }
        if (Take("<") || Take("P<")) {
          while (!AtEnd() && !Next('>')) ++pos_;
          if (!Take(">")) return Bad("a group name without an end");
        } else if (!Take(":")) {
          return Unsupported("a group with flags");
        }
      }
      LB_ASSIGN_OR_RETURN(RegexNode inside, Alternatives(depth + 1));
      if (!Take(")")) return Bad("a group without an end");
      return inside;
    }
    if (Next('*') || Next('+') || Next('?')) return Bad("a repetition of nothing");
    RegexNode atom{RegexNode::Kind::kChars, {}, {}};
    if (Take("[")) {
      LB_ASSIGN_OR_RETURN(atom.chars, Class());
    } else if (Take(".")) {
      atom.chars = Complement({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}});
    } else if (Next('\\')) {
      LB_ASSIGN_OR_RETURN(atom.chars, Escape(false));
    } else {
      LB_ASSIGN_OR_RETURN(const char32_t code, Literal());
      atom.chars = {{code, code}};
    }
    return atom;
  }

  Result<char32_t> Literal() {
    const auto code = TakeCharacter();
    if (!code) return Bad("bytes that are not UTF-8");
    return *code;
  }

  Result<RegexNode> Repeated(RegexNode atom) {
    while (true) {
      int64_t least = 0, most = kNoLimit;
      if (Take("*")) {
      } else if (Take("+")) {
        least = 1;
      } else if (Take("?")) {
        most = 1;
      } else if (Next('{')) {
        const size_t start = pos_++;
        const auto low = TakeNumber();
        const bool comma = Take(",");
        const auto high = comma ? TakeNumber() : low;
        if (!low || !Take("}")) {
          pos_ = start;
          return Bad("a '{' that begins no repetition");
        }
        least = *low;
        most = comma && !high ? kNoLimit : *high;
        if (most != kNoLimit && most < least) return Bad("a repetition that ends before it begins");
      } else {
        return atom;
      }
      if (!Take("?") && Next('+')) return Unsupported("a possessive repetition");
      RegexNode repeat{RegexNode::Kind::kRepeat, {}, {}, least, most};
      repeat.parts.push_back(std::move(atom));
      atom = std::move(repeat);
      if (++repeats_ > 4 * kMaxRegexDepth) return Unsupported("too many repetitions");
    }
  }

  Result<CharSet> Class() {
    const bool inverted = Take("^");
    CharSet set;
    while (!Next(']')) {
      if (AtEnd()) return Bad("a '[' without an end");
      LB_ASSIGN_OR_RETURN(const CharSet first, ClassItem());
      const bool single = first.size() == 1 && first[0].first == first[0].last;
      if (Next('-') && pos_ + 1 < text_.size() && text_[pos_ + 1] != ']') {
        ++pos_;
        LB_ASSIGN_OR_RETURN(const CharSet last, ClassItem());
        const bool good = single && last.size() == 1 && last[0].first == last[0].last;
        if (!good || last[0].first < first[0].first)
          return Bad("a range of characters that is none");
        set.push_back({first[0].first, last[0].first});
      } else {
        set.insert(set.end(), first.begin(), first.end());
      }
    }
    ++pos_;
    if (set.empty()) return Unsupported("an empty class");
    set = Tidy(set);
    return inverted ? Complement(set) : set;
  }

  Result<CharSet> ClassItem() {
    if (AtEnd()) return Bad("a '[' without an end");
    if (Next('\\')) return Escape(true);
    LB_ASSIGN_OR_RETURN(const char32_t code, Literal());
    return CharSet{{code, code}};
  }

  Result<CharSet> Escape(bool in_class) {
    static const CharSet kDigit = {{'0', '9'}};
    static const CharSet kWord = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    static const CharSet kSpace = {{'\t', '\r'}, {' ', ' '}};
    ++pos_;
    if (AtEnd()) return Bad("a '\\' at its end");
    const char c = text_[pos_++];
    const auto one = [](char32_t code) { return CharSet{{code, code}}; };
    switch (c) {
      case 'd':
        return kDigit;
      case 'D':
        return Complement(kDigit);
      case 'w':
        return kWord;
      case 'W':
        return Complement(kWord);
      case 's':
        return kSpace;
      // Also the characters that some readers count as space.
      case 'S':
        return Complement(Tidy({{'\t', '\r'},
                                {' ', ' '},
                                {0x85, 0x85},
                                {0xA0, 0xA0},
                                {0x1680, 0x1680},
                                {0x2000, 0x200A},
                                {0x2028, 0x2029},
                                {0x202F, 0x202F},
                                {0x205F, 0x205F},
                                {0x3000, 0x3000},
                                {0xFEFF, 0xFEFF},
                                {0x1C, 0x1F}}));
      case 't':
        return one('\t');
      case 'n':
        return one('\n');
      case 'r':
        return one('\r');
      case 'f':
        return one('\f');
      case 'v':
        return one('\v');
      case '0':
        return one(0);
      case 'b':
        if (in_class) return one('\b');
        [[fallthrough]];
      case 'B':
        return Unsupported("a word boundary");
      case 'p':
      case 'P':
        return Unsupported("a Unicode property");
      case 'k':
        return Unsupported("a backreference");
      case 'x':
        return Hex(2);
      case 'u':
        if (Take("{")) {
          LB_ASSIGN_OR_RETURN(const CharSet set, Hex(0));
          if (!Take("}")) return Bad("a '\\u{' without an end");
          return set;
        }
        return Hex(4);
      default:
        break;
    }
    if (c >= '1' && c <= '9') return Unsupported("a backreference");
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return Unsupported("an unknown escape");
    --pos_;
    LB_ASSIGN_OR_RETURN(const char32_t code, Literal());
    return one(code);
  }

  // `digits` of them, or (0) up to six.
  Result<CharSet> Hex(int digits) {
    int read = 0;
    const uint32_t code = TakeHex(digits == 0 ? 6 : digits, &read);
    if (read == 0 || (digits != 0 && read != digits)) {
      return Bad("an escape with too few digits");
    }
    if (!IsScalar(code)) return Unsupported("an escape that is no character");
    return CharSet{{code, code}};
  }

  int repeats_ = 0;
  bool found_anywhere_ = false;
};

}  // namespace

Result<RegexNode> ParseRegex(std::string_view pattern, bool found_anywhere) {
  return Reader(pattern).Read(found_anywhere);
}

}  // namespace lb::grammar
