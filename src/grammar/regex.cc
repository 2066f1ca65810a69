#include "grammar/regex.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/printable.h"
#include "base/utf8.h"
#include "grammar/regex_tree.h"

namespace lb::grammar {
namespace {

constexpr int64_t kNoLimit = -1;

int64_t Plus(int64_t a, int64_t b) {
  constexpr int64_t kMany = int64_t{1} << 40;
  return a == kNoLimit || b == kNoLimit ? kNoLimit : std::min(kMany, a + b);
}
int64_t Times(int64_t a, int64_t b) {
  constexpr int64_t kMany = int64_t{1} << 40;
  if (a == 0 || b == 0) return 0;
  if (a == kNoLimit || b == kNoLimit) return kNoLimit;
  return a > kMany / b ? kMany : a * b;
}

void Measure(const RegexNode& node, Regex* out) {
  switch (node.kind) {
    case RegexNode::Kind::kChars:
      // Beyond ASCII a character is several bytes, and so several states of an automaton.
      *out = {{}, 1, 1, node.chars.empty() || node.chars.back().last < 0x80 ? 1 : 8};
      return;
    case RegexNode::Kind::kSequence:
      *out = {};
      for (const RegexNode& part : node.parts) {
        Regex inner;
        Measure(part, &inner);
        out->min_chars = Plus(out->min_chars, inner.min_chars);
        out->max_chars = Plus(out->max_chars, inner.max_chars);
        out->size = Plus(out->size, inner.size);
      }
      return;
    case RegexNode::Kind::kEither: {
      bool first = true;
      int64_t size = 0;
      for (const RegexNode& part : node.parts) {
        Regex inner;
        Measure(part, &inner);
        size = Plus(size, inner.size);
        if (first) *out = inner;
        out->min_chars = std::min(out->min_chars, inner.min_chars);
        const bool endless = out->max_chars == kNoLimit || inner.max_chars == kNoLimit;
        out->max_chars = endless ? kNoLimit : std::max(out->max_chars, inner.max_chars);
        first = false;
      }
      out->size = size;
      return;
    }
    case RegexNode::Kind::kRepeat: {
      Regex inner;
      Measure(node.parts[0], &inner);
      const int64_t most = node.most;
      out->min_chars = Times(inner.min_chars, node.least);
      out->max_chars = Times(inner.max_chars, most);
      out->size = Times(inner.size, std::max<int64_t>({1, node.least, most}));
      return;
    }
  }
}

// In ASCII, since XGrammar makes an automaton of nothing else.
class Writer {
 public:
  explicit Writer(bool in_json) : in_json_(in_json) {}

  // False: nothing that can be written matches.
  bool Write(const RegexNode& node, std::string* out) const {
    switch (node.kind) {
      case RegexNode::Kind::kChars:
        return Chars(node.chars, out);
      case RegexNode::Kind::kSequence:
        return std::all_of(node.parts.begin(), node.parts.end(),
                           [&](const RegexNode& part) { return Write(part, out); });
      case RegexNode::Kind::kEither:
        return Either(node, out);
      case RegexNode::Kind::kRepeat:
        return Repeat(node, out);
    }
    return false;
  }

 private:
  bool Either(const RegexNode& node, std::string* out) const {
    std::string inner;
    bool any = false, may_be_empty = false;
    for (const RegexNode& part : node.parts) {
      std::string one;
      if (!Write(part, &one)) continue;
      any = true;
      if (one.empty()) {
        may_be_empty = true;
        continue;
      }
      if (!inner.empty()) inner += '|';
      inner += one;
    }
    if (!inner.empty()) *out += "(?:" + inner + (may_be_empty ? ")?" : ")");
    return any;
  }

  bool Repeat(const RegexNode& node, std::string* out) const {
    std::string inner;
    if (!Write(node.parts[0], &inner)) return node.least == 0;
    if (inner.empty()) return true;
    *out += "(?:" + inner + ")";
    if (node.most == kNoLimit && node.least <= 1) {
      *out += node.least == 0 ? '*' : '+';
    } else if (node.most == kNoLimit) {
      *out += fmt::format("{{{},}}", node.least);
    } else {
      *out += fmt::format("{{{},{}}}", node.least, node.most);
    }
    return true;
  }

  static void Code(char32_t code, std::string* out) {
    const bool plain = (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') ||
                       (code >= 'a' && code <= 'z');
    if (plain) {
      *out += static_cast<char>(code);
    } else if (code <= 0xFFFF) {
      *out += fmt::format("\\u{:04x}", static_cast<uint32_t>(code));
    } else {
      *out += fmt::format("\\u{{{:x}}}", static_cast<uint32_t>(code));
    }
  }

  bool Chars(const CharSet& set, std::string* out) const {
    // What a JSON string may hold as it is. XGrammar's automata for strings have no escapes.
    static const CharSet kPlain = Complement(Tidy({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}));
    const CharSet chars = in_json_ ? Intersect(set, kPlain) : set;
    if (chars.empty()) return false;
    *out += '[';
    for (const CharRange& r : chars) {
      Code(r.first, out);
      if (r.last == r.first) continue;
      if (r.last > r.first + 1) *out += '-';
      Code(r.last, out);
    }
    *out += ']';
    return true;
  }

  const bool in_json_;
};

Result<Regex> ReadFor(std::string_view pattern, bool in_json) {
  LB_ASSIGN_OR_RETURN(const RegexNode node, ParseRegex(pattern, in_json));
  Regex regex;
  Measure(node, &regex);
  if (regex.size > kMaxRegexSize) {
    return Fail(ErrorCode::kUnsupported,
                "the pattern {} is {} characters long with its repetitions written out; at most {} "
                "can be enforced",
                Printable(pattern), regex.size, kMaxRegexSize);
  }
  if (!Writer(in_json).Write(node, &regex.text)) {
    return Fail(ErrorCode::kUnsupported, "the pattern {} needs {}, which cannot be enforced",
                Printable(pattern),
                in_json ? "a quote, a backslash or a control character"
                        : "characters that there are none of");
  }
  return regex;
}

}  // namespace

Result<Regex> ReadRegex(std::string_view pattern) { return ReadFor(pattern, false); }
Result<Regex> ReadRegexInJsonString(std::string_view pattern) { return ReadFor(pattern, true); }

}  // namespace lb::grammar
