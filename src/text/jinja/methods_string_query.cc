#include "text/jinja/methods_string_query.h"

#include <algorithm>

#include "text/jinja/operators.h"
#include "text/jinja/params.h"
#include "text/jinja/text_ops.h"
#include "text/jinja/unicode.h"

namespace lb::text::jinja {
namespace {

// The bytes of self[start:stop], and the number of characters before them. false: start lies
// beyond the end, where nothing is found, not even "".
bool Window(const Value& self, Params& params, size_t first, std::string_view* window,
            int64_t* skipped) {
  const std::string_view text = self.view();
  *window = text;
  *skipped = 0;
  if (!params.given_not_none(first) && !params.given_not_none(first + 1)) return true;
  const int64_t length = static_cast<int64_t>(CountChars(text));
  const auto bound = [&](size_t i, int64_t missing) {
    const int64_t at = params.given_not_none(i) ? params.Int(i, missing) : missing;
    return at < -length ? 0 : at < 0 ? at + length : at;
  };
  const int64_t start = bound(first, 0), stop = std::min(bound(first + 1, length), length);
  if (start > length || start > stop) return false;
  const size_t begin = ByteOffset(text, start);
  *window = text.substr(begin, ByteOffset(text.substr(begin), stop - start));
  *skipped = start;
  return true;
}

template <bool kStart>
Value StartsOrEnds(Runtime& rt, const Value& self, Arguments& args) {
  Params params(rt, kStart ? "startswith" : "endswith", args, {"affix", "start", "end"}, 1);
  if (!params.ok() || !rt.SpendBytes(self.text().size() / 8)) return Value::Undefined();
  std::string_view window;
  int64_t skipped = 0;
  const bool in_range = Window(self, params, 1, &window, &skipped);
  if (!params.ok()) return Value::Undefined();
  const Value one[] = {params[0]};
  const bool is_tuple = params[0].is(Kind::kTuple);
  const Value* begin = is_tuple ? params[0].items().data() : one;
  for (const Value* affix = begin; affix != begin + (is_tuple ? params[0].items().size() : 1);
       ++affix) {
    if (!affix->is_string()) {
      return rt.Fail("{} first arg must be str or a tuple of str, not {}",
                     kStart ? "startswith" : "endswith", TypeName(*affix));
    }
    if (!in_range) continue;
    if (kStart ? window.starts_with(affix->view()) : window.ends_with(affix->view())) {
      return Value::Bool(true);
    }
  }
  return Value::Bool(false);
}

// find, rfind, index, rindex.
template <bool kRight, bool kMustFind>
Value Find(Runtime& rt, const Value& self, Arguments& args) {
  Params params(rt, "find", args, {"sub", "start", "end"}, 1);
  const TaintedText* sub = params.ok() ? params.Text(0) : nullptr;
  if (!rt.ok()) return Value::Undefined();
  if (sub == nullptr) return rt.Fail("must be str, not None");
  // A search from the right takes time in proportion to both texts.
  const size_t factor = kRight ? 2 + sub->size() / 64 : 2;
  if (!rt.SpendBytes(self.text().size() * factor)) return Value::Undefined();
  std::string_view window;
  int64_t skipped = 0;
  const bool in_range = Window(self, params, 1, &window, &skipped);
  if (!params.ok()) return Value::Undefined();
  const size_t at = !in_range ? std::string_view::npos
                    : kRight  ? window.rfind(sub->view())
                              : FindBytes(window, sub->view());
  if (at != std::string_view::npos) {
    return Value::Int(skipped + static_cast<int64_t>(CountChars(window.substr(0, at))));
  }
  return kMustFind ? rt.Fail("substring not found") : Value::Int(-1);
}

Value CountMethod(Runtime& rt, const Value& self, Arguments& args) {
  Params params(rt, "count", args, {"sub", "start", "end"}, 1);
  const TaintedText* sub = params.ok() ? params.Text(0) : nullptr;
  if (!rt.ok() || !rt.SpendBytes(self.text().size() * 2)) return Value::Undefined();
  if (sub == nullptr) return rt.Fail("must be str, not None");
  std::string_view window;
  int64_t skipped = 0;
  const bool in_range = Window(self, params, 1, &window, &skipped);
  if (!params.ok()) return Value::Undefined();
  if (!in_range) return Value::Int(0);
  if (sub->empty()) return Value::Int(static_cast<int64_t>(CountChars(window)) + 1);
  int64_t count = 0;
  for (size_t at = FindBytes(window, sub->view()); at != std::string_view::npos;
       at = FindBytes(window, sub->view(), at + sub->size())) {
    ++count;
  }
  return Value::Int(count);
}

template <bool (*kIs)(char32_t)>
Value AllAre(Runtime& rt, const Value& self, Arguments& args) {
  if (!Params(rt, "str method", args, {}, 0).ok() || !rt.SpendBytes(self.text().size())) {
    return Value::Undefined();
  }
  const std::string_view text = self.view();
  for (size_t pos = 0, length = 0; pos < text.size(); pos += length) {
    if (!kIs(Decode(text, pos, &length))) return Value::Bool(false);
  }
  return Value::Bool(!text.empty());
}

// islower and isupper: some cased character, and none of the other case.
template <bool (*kIs)(char32_t)>
Value CasedAre(Runtime& rt, const Value& self, Arguments& args) {
  if (!Params(rt, "str method", args, {}, 0).ok() || !rt.SpendBytes(self.text().size())) {
    return Value::Undefined();
  }
  const std::string_view text = self.view();
  bool some = false;
  for (size_t pos = 0, length = 0; pos < text.size(); pos += length) {
    const char32_t c = Decode(text, pos, &length);
    if (!IsCased(c)) continue;
    if (!kIs(c)) return Value::Bool(false);
    some = true;
  }
  return Value::Bool(some);
}

Value IsTitle(Runtime& rt, const Value& self, Arguments& args) {
  if (!Params(rt, "istitle", args, {}, 0).ok() || !rt.SpendBytes(self.text().size())) {
    return Value::Undefined();
  }
  const std::string_view text = self.view();
  bool some = false, in_word = false;
  for (size_t pos = 0, length = 0; pos < text.size(); pos += length) {
    const char32_t c = Decode(text, pos, &length);
    if (IsCased(c)) {
      if (IsLower(c) != in_word) return Value::Bool(false);
      some = true;
    }
    in_word = IsCased(c);
  }
  return Value::Bool(some);
}

bool IsAlnum(char32_t c) { return IsAlpha(c) || IsDecimal(c); }
bool IsWord(char32_t c) { return IsAlnum(c) || c == '_'; }

Value IsAscii(Runtime& rt, const Value& self, Arguments& args) {
  if (!Params(rt, "isascii", args, {}, 0).ok()) return Value::Undefined();
  return Value::Bool(std::all_of(self.view().begin(), self.view().end(),
                                 [](char c) { return static_cast<unsigned char>(c) < 0x80; }));
}

Value IsPrintableMethod(Runtime& rt, const Value& self, Arguments& args) {
  if (self.text().empty()) return Value::Bool(true);
  return AllAre<IsPrintable>(rt, self, args);
}

Value IsIdentifier(Runtime& rt, const Value& self, Arguments& args) {
  const bool digit_first = !self.text().empty() && self.view()[0] >= '0' && self.view()[0] <= '9';
  Value all = AllAre<IsWord>(rt, self, args);
  return rt.ok() ? Value::Bool(all.boolean() && !digit_first) : all;
}

Value NotSupported(Runtime& rt, const Value&, Arguments&) {
  return rt.Fail("this string method is not supported in templates");
}

constexpr Method kQueries[] = {
    {"startswith", StartsOrEnds<true>},
    {"endswith", StartsOrEnds<false>},
    {"find", Find<false, false>},
    {"rfind", Find<true, false>},
    {"index", Find<false, true>},
    {"rindex", Find<true, true>},
    {"count", CountMethod},
    {"isspace", AllAre<IsSpace>},
    {"isalpha", AllAre<IsAlpha>},
    {"isdigit", AllAre<IsDecimal>},
    {"isdecimal", AllAre<IsDecimal>},
    {"isnumeric", AllAre<IsDecimal>},
    {"isalnum", AllAre<IsAlnum>},
    {"islower", CasedAre<IsLower>},
    {"isupper", CasedAre<IsUpper>},
    {"istitle", IsTitle},
    {"isascii", IsAscii},
    {"isprintable", IsPrintableMethod},
    {"isidentifier", IsIdentifier},
    {"encode", NotSupported},
    {"maketrans", NotSupported},
    {"translate", NotSupported},
};

}  // namespace

const Method* FindStringQuery(std::string_view name) {
  for (const Method& method : kQueries) {
    if (method.name == name) return &method;
  }
  return nullptr;
}

}  // namespace lb::text::jinja
