#include "grammar/gbnf.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "base/printable.h"
#include "grammar/text_cursor.h"

namespace lb::grammar {
namespace {

struct Item {
  enum class Kind { kText, kClass, kRule, kGroup };
  Kind kind = Kind::kText;
  std::string text;                             // EBNF of kText and kClass; the name of kRule
  bool is_empty = false;                        // kText: ""
  std::vector<std::vector<Item>> alternatives;  // kGroup
  int64_t least = 1, most = 1;                  // -1: no limit
  size_t at = 0;                                // in the source, for errors
};
using Alternatives = std::vector<std::vector<Item>>;

bool IsNameChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

// A character inside quotes or a class of XGrammar's, spelled so that it means nothing else: \\x
// would take every hexadecimal digit that follows.
void AppendCode(char32_t code, std::string* out) {
  const bool plain = (code >= '0' && code <= '9') || (code >= 'A' && code <= 'Z') ||
                     (code >= 'a' && code <= 'z') || code == ' ' || code > 0x9F;
  if (plain) {
    AppendUtf8(code, out);
  } else {
    *out += fmt::format("\\u{:04x}", static_cast<uint32_t>(code));
  }
}

class Parser : private TextCursor {
 public:
  explicit Parser(std::string_view source) : TextCursor(source) {}

  Result<void> Read() {
    SkipSpace(true);
    while (!AtEnd()) {
      const size_t at = pos_;
      const std::string name = Name();
      if (name.empty()) return Bad("the name of a rule is missing");
      SkipSpace(true);
      if (!Take("::=")) return Bad("\"::=\" is missing after the name of a rule");
      if (rules_.contains(name)) {
        pos_ = at;
        return Bad(fmt::format("the rule {} is defined twice", Printable(name)));
      }
      SkipSpace(true);
      LB_ASSIGN_OR_RETURN(Alternatives body, Body(0));
      rules_[name] = std::move(body);
      SkipSpace(true);
    }
    if (!rules_.contains("root")) {
      return Fail(ErrorCode::kInvalidArgument, "the grammar has no rule \"root\"");
    }
    return Check();
  }

  std::string Write() const {
    // XGrammar has names of its own; ours get numbers.
    std::map<std::string_view, std::string> names;
    for (const auto& [name, unused] : rules_) {
      names[name] = name == "root" ? "root" : fmt::format("r{}", names.size());
    }
    std::string out;
    for (const auto& [name, body] : rules_) {
      out += names[name] + " ::= ";
      WriteBody(body, names, &out);
      out += '\n';
    }
    return out;
  }

 private:
  Error BadAt(size_t at, std::string_view what,
              ErrorCode code = ErrorCode::kInvalidArgument) const {
    const std::string_view before = text_.substr(0, at);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const size_t start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
    return Fail(code, "the grammar at line {}, column {}: {}", line, at - start + 1, what);
  }
  Error Bad(std::string_view what) const { return BadAt(pos_, what); }

  void SkipSpace(bool lines) {
    while (!AtEnd()) {
      const char c = text_[pos_];
      if (c == '#') {
        while (!AtEnd() && !Next('\n')) ++pos_;
      } else if (c == ' ' || c == '\t' || (lines && (c == '\n' || c == '\r'))) {
        ++pos_;
      } else {
        return;
      }
    }
  }

  std::string Name() {
    const size_t start = pos_;
    while (!AtEnd() && IsNameChar(text_[pos_])) ++pos_;
    return std::string(text_.substr(start, pos_ - start));
  }

  // Inside parentheses lines do not end a rule; outside they do, but after "|".
  Result<Alternatives> Body(int depth) {
    if (depth > kMaxGbnfDepth) {
      return BadAt(pos_, fmt::format("more than {} groups in each other", kMaxGbnfDepth),
                   ErrorCode::kUnsupported);
    }
    Alternatives out;
    do {
      SkipSpace(true);
      LB_ASSIGN_OR_RETURN(std::vector<Item> sequence, Sequence(depth));
      out.push_back(std::move(sequence));
      SkipSpace(depth > 0);
    } while (Take("|"));
    return out;
  }

  Result<std::vector<Item>> Sequence(int depth) {
    std::vector<Item> items;
    while (true) {
      SkipSpace(depth > 0);
      if (AtEnd() || Next('|') || Next(')') || Next('\n') || Next('\r')) return items;
      Item item;
      item.at = pos_;
      if (Next('"')) {
        LB_RETURN_IF_ERROR(String(&item));
      } else if (Next('[')) {
        LB_RETURN_IF_ERROR(Class(&item));
      } else if (Take(".")) {
        item.kind = Item::Kind::kClass;
        item.text = "[\\u0000-\\U0010FFFF]";
      } else if (Take("(")) {
        item.kind = Item::Kind::kGroup;
        LB_ASSIGN_OR_RETURN(item.alternatives, Body(depth + 1));
        SkipSpace(true);
        if (!Take(")")) return Bad("a group without \")\"");
      } else if (Next('<') || Next('!')) {
        return BadAt(pos_, "tokens cannot be named, only text", ErrorCode::kUnsupported);
      } else if (IsNameChar(text_[pos_])) {
        item.kind = Item::Kind::kRule;
        item.text = Name();
      } else {
        return Bad(fmt::format("{} begins nothing", Printable(text_.substr(pos_, 1))));
      }
      LB_RETURN_IF_ERROR(Repetition(&item));
      items.push_back(std::move(item));
    }
  }

  Result<void> Repetition(Item* item) {
    bool once = true;
    while (true) {
      SkipSpace(false);
      int64_t least = 0, most = -1;
      if (Take("*")) {
      } else if (Take("+")) {
        least = 1;
      } else if (Take("?")) {
        most = 1;
      } else if (Next('{')) {
        const size_t at = pos_++;
        SkipSpace(false);
        const auto low = TakeNumber();
        SkipSpace(false);
        const bool comma = Take(",");
        SkipSpace(false);
        const auto high = comma ? TakeNumber() : low;
        SkipSpace(false);
        if ((!low && !high) || !Take("}"))
          return BadAt(at, "a repetition is {m}, {m,}, {,n} or {m,n}");
        least = low.value_or(0);
        most = high.value_or(-1);
        if (most >= 0 && most < least) return BadAt(at, "a repetition that ends before it begins");
        if (std::max(least, most) > kMaxGbnfRepeats) {
          return BadAt(at, fmt::format("at most {} repetitions", kMaxGbnfRepeats),
                       ErrorCode::kUnsupported);
        }
      } else {
        return {};
      }
      if (!once) {  // a repetition of a repetition
        Item inner = std::move(*item);
        *item = Item{};
        item->kind = Item::Kind::kGroup;
        item->at = inner.at;
        item->alternatives.emplace_back().push_back(std::move(inner));
        if (++nested_ > kMaxGbnfDepth) return Bad("too many repetitions of repetitions");
      }
      once = false;
      item->least = least;
      item->most = most;
    }
  }

  Result<char32_t> Character() {
    if (!Next('\\')) {
      const auto code = TakeCharacter();
      if (!code) return Bad("bytes that are not UTF-8");
      return *code;
    }
    if (pos_ + 1 >= text_.size()) return Bad("a \"\\\" at the end");
    const size_t at = pos_;
    const char c = text_[pos_ + 1];
    const int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0) {
      static constexpr std::string_view kFrom = "nrt\\\"[]-^", kTo = "\n\r\t\\\"[]-^";
      const size_t i = kFrom.find(c);
      if (i == std::string_view::npos) {
        return Bad(fmt::format("the escape \\{} is unknown", Printable(text_.substr(pos_ + 1, 1))));
      }
      pos_ += 2;
      return static_cast<char32_t>(kTo[i]);
    }
    pos_ += 2;
    int read = 0;
    const uint32_t code = TakeHex(digits, &read);
    if (read < digits) {
      return BadAt(at, fmt::format("\\{} needs {} hexadecimal digits", c, digits));
    }
    if (!IsScalar(code)) return BadAt(at, "an escape that is no character");
    return static_cast<char32_t>(code);
  }

  Result<void> String(Item* item) {
    const size_t at = pos_++;
    item->text = "\"";
    while (!Next('"')) {
      if (AtEnd()) return BadAt(at, "a string without an end");
      LB_ASSIGN_OR_RETURN(const char32_t code, Character());
      AppendCode(code, &item->text);
    }
    ++pos_;
    item->is_empty = item->text.size() == 1;
    item->text += '"';
    return {};
  }

  Result<void> Class(Item* item) {
    const size_t at = pos_++;
    item->kind = Item::Kind::kClass;
    item->text = Take("^") ? "[^" : "[";
    bool any = false;
    while (!Next(']')) {
      if (AtEnd()) return BadAt(at, "a class without an end");
      LB_ASSIGN_OR_RETURN(const char32_t first, Character());
      char32_t last = first;
      if (Next('-') && pos_ + 1 < text_.size() && text_[pos_ + 1] != ']') {
        ++pos_;
        LB_ASSIGN_OR_RETURN(last, Character());
        if (last < first) return BadAt(at, "a range of characters that ends before it begins");
      }
      AppendCode(first, &item->text);
      if (last != first) {
        item->text += '-';
        AppendCode(last, &item->text);
      }
      any = true;
    }
    ++pos_;
    if (!any) return BadAt(at, "a class without characters");
    item->text += ']';
    return {};
  }

  void WriteBody(const Alternatives& body, const std::map<std::string_view, std::string>& names,
                 std::string* out) const {
    bool first = true;
    for (const std::vector<Item>& sequence : body) {
      if (!first) *out += " | ";
      first = false;
      if (sequence.empty()) *out += "\"\"";
      for (const Item& item : sequence) {
        *out += ' ';
        if (item.kind == Item::Kind::kGroup) {
          *out += '(';
          WriteBody(item.alternatives, names, out);
          *out += ')';
        } else {
          *out += item.kind == Item::Kind::kRule ? names.at(item.text) : item.text;
        }
        if (item.least == 1 && item.most == 1) continue;
        if (item.most < 0) {
          *out += item.least == 0   ? "*"
                  : item.least == 1 ? "+"
                                    : fmt::format("{{{},}}", item.least);
        } else if (item.least == 0 && item.most == 1) {
          *out += '?';
        } else {
          *out += fmt::format("{{{},{}}}", item.least, item.most);
        }
      }
    }
  }

  // Names are defined, repetitions in repetitions stay bounded, no rule begins with itself.
  Result<void> Check() {
    for (const auto& [name, body] : rules_) LB_RETURN_IF_ERROR(CheckBody(body, 1));
    // Which rules can be empty, until nothing is added.
    size_t before = 0;
    do {
      before = nullable_.size();
      for (const auto& [name, body] : rules_) {
        if (IsNullable(body)) nullable_.insert(name);
      }
    } while (nullable_.size() > before);
    std::map<std::string_view, std::set<std::string_view>> starts;
    for (const auto& [name, body] : rules_) AddStarts(body, &starts[name]);
    std::map<std::string_view, int> state;  // 1: on the path, 2: done
    for (const auto& [name, unused] : rules_) {
      std::vector<std::pair<std::string_view, bool>> stack = {{name, false}};
      while (!stack.empty()) {
        const auto [at, leaving] = stack.back();
        stack.pop_back();
        if (leaving) {
          state[at] = 2;
          continue;
        }
        if (state[at] == 2) continue;
        state[at] = 1;
        stack.emplace_back(at, true);
        for (const std::string_view next : starts[at]) {
          if (state[next] == 1) {
            return Fail(ErrorCode::kInvalidArgument,
                        "the rule {} of the grammar begins with itself (left recursion)",
                        Printable(next));
          }
          if (state[next] == 0) stack.emplace_back(next, false);
        }
      }
    }
    return {};
  }

  Result<void> CheckBody(const Alternatives& body, int64_t times) const {
    for (const std::vector<Item>& sequence : body) {
      for (const Item& item : sequence) {
        if (item.kind == Item::Kind::kRule && !rules_.contains(item.text)) {
          return BadAt(item.at, fmt::format("the rule {} is not defined", Printable(item.text)));
        }
        if (item.kind != Item::Kind::kGroup) continue;
        const int64_t inside = times * std::max<int64_t>({1, item.least, item.most});
        if (inside > kMaxGbnfRepeats) {
          return BadAt(
              item.at,
              fmt::format("repetitions in repetitions come to more than {}", kMaxGbnfRepeats),
              ErrorCode::kUnsupported);
        }
        LB_RETURN_IF_ERROR(CheckBody(item.alternatives, inside));
      }
    }
    return {};
  }

  bool IsNullable(const Item& item) const {
    if (item.least == 0 || item.is_empty) return true;
    if (item.kind == Item::Kind::kRule) return nullable_.contains(item.text);
    return item.kind == Item::Kind::kGroup && IsNullable(item.alternatives);
  }
  bool IsNullable(const Alternatives& body) const {
    return std::any_of(body.begin(), body.end(), [&](const std::vector<Item>& sequence) {
      return std::all_of(sequence.begin(), sequence.end(),
                         [&](const Item& item) { return IsNullable(item); });
    });
  }

  // The rules that may stand at the very beginning.
  void AddStarts(const Alternatives& body, std::set<std::string_view>* out) const {
    for (const std::vector<Item>& sequence : body) {
      for (const Item& item : sequence) {
        if (item.kind == Item::Kind::kRule) out->insert(item.text);
        if (item.kind == Item::Kind::kGroup) AddStarts(item.alternatives, out);
        if (!IsNullable(item)) break;
      }
    }
  }

  int nested_ = 0;
  std::map<std::string, Alternatives> rules_;
  std::set<std::string_view> nullable_;
};

}  // namespace

Result<std::string> TranslateGbnf(std::string_view grammar) {
  if (grammar.size() > kMaxGbnfBytes) {
    return Fail(ErrorCode::kUnsupported, "the grammar is {} bytes long; at most {} can be enforced",
                grammar.size(), kMaxGbnfBytes);
  }
  Parser parser(grammar);
  LB_RETURN_IF_ERROR(parser.Read());
  return parser.Write();
}

}  // namespace lb::grammar
