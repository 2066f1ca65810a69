// Methods of strings that give strings and lists. All keep the origin of every byte.
#include <algorithm>

#include "text/jinja/access.h"
#include "text/jinja/methods.h"
#include "text/jinja/methods_string_query.h"
#include "text/jinja/operators.h"
#include "text/jinja/params.h"
#include "text/jinja/string_format.h"
#include "text/jinja/text_ops.h"
#include "text/jinja/to_string.h"

namespace lb::text::jinja {
namespace {

Value Made(Runtime& rt, const Value& self, TaintedText text) {
  return rt.NewString(std::move(text), self.string().markup);
}

// A search from the right takes time in proportion to both texts.
bool SpendSearch(Runtime& rt, const Value& self, const TaintedText& what, bool from_right) {
  const size_t factor = from_right ? 1 + what.size() / 64 : 1;
  return rt.SpendBytes(self.text().size() * factor);
}

template <TaintedText (*kMap)(const TaintedText&)>
Value Mapped(Runtime& rt, const Value& self, Arguments& args) {
  if (!Params(rt, "str method", args, {}, 0).ok() || !rt.SpendBytes(self.text().size() * 4)) {
    return Value::Undefined();
  }
  return Made(rt, self, kMap(self.text()));
}

template <Side kSide>
Value Stripped(Runtime& rt, const Value& self, Arguments& args) {
  Params params(rt, "strip", args, {"chars"}, 0);
  const TaintedText* chars = params.ok() ? params.Text(0) : nullptr;
  const size_t set = chars == nullptr ? 1 : 1 + chars->size();
  if (!params.ok() || !rt.SpendBytes(self.text().size() * set)) return Value::Undefined();
  return Made(rt, self, Strip(self.text(), chars, kSide));
}

Value ListOf(Runtime& rt, const Value& self, std::vector<TaintedText> parts, Kind kind) {
  std::vector<Value> items;
  items.reserve(parts.size());
  for (TaintedText& part : parts) {
    items.push_back(Made(rt, self, std::move(part)));
    if (!rt.ok()) return Value::Undefined();
  }
  return rt.NewSequence(kind, std::move(items));
}

template <bool kFromRight>
Value SplitMethod(Runtime& rt, const Value& self, Arguments& args) {
  Params params(rt, "split", args, {"sep", "maxsplit"}, 0);
  if (!params.ok()) return Value::Undefined();
  const TaintedText* separator = params.Text(0);
  const int64_t max_splits = params.Int(1, -1);
  if (!params.ok() || !rt.SpendBytes(self.text().size() * 4)) return Value::Undefined();
  const TaintedText& text = self.text();
  if (separator == nullptr) {
    return ListOf(rt, self,
                  kFromRight ? SplitSpaceFromRight(text, max_splits) : SplitSpace(text, max_splits),
                  Kind::kList);
  }
  if (separator->empty()) return rt.Fail("empty separator");
  if (!SpendSearch(rt, self, *separator, kFromRight)) return Value::Undefined();
  return ListOf(rt, self,
                kFromRight ? SplitFromRight(text, separator->view(), max_splits)
                           : Split(text, separator->view(), max_splits),
                Kind::kList);
}

Value SplitLinesMethod(Runtime& rt, const Value& self, Arguments& args) {
  Params params(rt, "splitlines", args, {"keepends"}, 0);
  if (!params.ok() || !rt.SpendBytes(self.text().size() * 4)) return Value::Undefined();
  return ListOf(rt, self, SplitLines(self.text(), params.Bool(0, false)), Kind::kList);
}

template <bool kFromRight>
Value Partition(Runtime& rt, const Value& self, Arguments& args) {
  Params params(rt, "partition", args, {"sep"}, 1);
  const TaintedText* separator = params.ok() ? params.Text(0) : nullptr;
  if (!rt.ok()) return Value::Undefined();
  if (separator == nullptr || separator->empty()) return rt.Fail("empty separator");
  const TaintedText& text = self.text();
  if (!SpendSearch(rt, self, *separator, kFromRight)) return Value::Undefined();
  const size_t at =
      kFromRight ? text.view().rfind(separator->view()) : FindBytes(text.view(), separator->view());
  std::vector<TaintedText> parts;
  if (at != std::string_view::npos) {
    parts = {text.Sub(0, at), *separator, text.Sub(at + separator->size(), text.size())};
  } else if (kFromRight) {
    parts = {TaintedText(), TaintedText(), text};
  } else {
    parts = {text, TaintedText(), TaintedText()};
  }
  return ListOf(rt, self, std::move(parts), Kind::kTuple);
}

Value ReplaceMethod(Runtime& rt, const Value& self, Arguments& args) {
  Params params(rt, "replace", args, {"old", "new", "count"}, 2);
  if (!params.ok()) return Value::Undefined();
  const TaintedText* old = params.Text(0);
  const TaintedText* with = params.Text(1);
  const int64_t count = params.Int(2, -1);
  if (!params.ok() || !rt.SpendBytes(self.text().size())) return Value::Undefined();
  if (old == nullptr || with == nullptr) return rt.Fail("replace() argument must be str, not None");
  TaintedText out;
  if (!Replace(self.text(), old->view(), *with, count, rt.limits().output_bytes, &out)) {
    return rt.Fail("a text is longer than {} bytes", rt.limits().output_bytes);
  }
  return Made(rt, self, std::move(out));
}

Value Join(Runtime& rt, const Value& self, Arguments& args) {
  Params params(rt, "join", args, {"iterable"}, 1);
  if (!params.ok()) return Value::Undefined();
  TaintedText out;
  bool first = true;
  for (const Value& item : Iterate(rt, params[0])) {
    if (!item.is_string()) {
      return rt.Fail("sequence item: expected str instance, {} found", TypeName(item));
    }
    if (!first) out.Append(self.text());
    first = false;
    out.Append(item.text());
    if (static_cast<int64_t>(out.size()) > rt.limits().output_bytes) {
      return rt.Fail("a text is longer than {} bytes", rt.limits().output_bytes);
    }
  }
  return rt.ok() ? Made(rt, self, std::move(out)) : Value::Undefined();
}

template <bool kPrefix>
Value RemoveAffix(Runtime& rt, const Value& self, Arguments& args) {
  Params params(rt, kPrefix ? "removeprefix" : "removesuffix", args, {"affix"}, 1);
  const TaintedText* affix = params.ok() ? params.Text(0) : nullptr;
  if (!rt.ok()) return Value::Undefined();
  if (affix == nullptr) return rt.Fail("argument must be str, not None");
  const TaintedText& text = self.text();
  if (kPrefix && text.view().starts_with(affix->view())) {
    return Made(rt, self, text.Sub(affix->size(), text.size()));
  }
  if (!kPrefix && text.view().ends_with(affix->view())) {
    return Made(rt, self, text.Sub(0, text.size() - affix->size()));
  }
  return self;
}

template <Align kAlign>
Value Justify(Runtime& rt, const Value& self, Arguments& args) {
  Params params(rt, "justify", args, {"width", "fillchar"}, 1);
  if (!params.ok()) return Value::Undefined();
  const int64_t width = params.Int(0, 0);
  const TaintedText* fill = params.Text(1);
  if (!params.ok()) return Value::Undefined();
  if (fill != nullptr && CountChars(fill->view()) != 1) {
    return rt.Fail("The fill character must be exactly one character long");
  }
  if (width > rt.limits().output_bytes / 4) {
    return rt.Fail("a text is longer than {} bytes", rt.limits().output_bytes);
  }
  if (!rt.SpendBytes(self.text().size() + std::max<int64_t>(width, 0) * 4)) {
    return Value::Undefined();
  }
  TaintedText out = Pad(self.text(), width, fill == nullptr ? " " : fill->view(), kAlign);
  return Made(rt, self, fill != nullptr && fill->any_data() ? out.AsData() : std::move(out));
}

Value ZeroFill(Runtime& rt, const Value& self, Arguments& args) {
  Params params(rt, "zfill", args, {"width"}, 1);
  const int64_t width = params.ok() ? params.Int(0, 0) : 0;
  if (!rt.ok()) return Value::Undefined();
  if (width > rt.limits().output_bytes / 4) {
    return rt.Fail("a text is longer than {} bytes", rt.limits().output_bytes);
  }
  if (!rt.SpendBytes(std::max<int64_t>(width, 0))) return Value::Undefined();
  const TaintedText& text = self.text();
  const bool is_signed = !text.empty() && (text.str()[0] == '-' || text.str()[0] == '+');
  TaintedText out = text.Sub(0, is_signed ? 1 : 0);
  out.Append(Pad(text.Sub(is_signed ? 1 : 0, text.size()), width - (is_signed ? 1 : 0), "0",
                 Align::kRight));
  return Made(rt, self, std::move(out));
}

Value ExpandTabs(Runtime& rt, const Value& self, Arguments& args) {
  Params params(rt, "expandtabs", args, {"tabsize"}, 0);
  const int64_t size = params.ok() ? std::clamp<int64_t>(params.Int(0, 8), 0, 1000) : 0;
  if (!rt.ok() || !rt.SpendBytes(self.text().size() * (size + 1))) return Value::Undefined();
  TaintedText out;
  int64_t column = 0;
  self.text().ForEachRun([&](std::string_view run, Origin origin) {
    std::string bytes;
    for (size_t pos = 0, length = 0; pos < run.size(); pos += length) {
      Decode(run, pos, &length);
      if (run[pos] == '\t') {
        const int64_t spaces = size == 0 ? 0 : size - column % size;
        bytes.append(spaces, ' ');
        column += spaces;
      } else {
        bytes.append(run, pos, length);
        column = run[pos] == '\n' || run[pos] == '\r' ? 0 : column + 1;
      }
    }
    out.Append(bytes, origin);
  });
  return Made(rt, self, std::move(out));
}

Value Format(Runtime& rt, const Value& self, Arguments& args) {
  return BraceFormat(rt, self, args);
}

Value FormatMap(Runtime& rt, const Value& self, Arguments& args) {
  Params params(rt, "format_map", args, {"mapping"}, 1);
  if (!params.ok()) return Value::Undefined();
  if (!params[0].is(Kind::kDict)) return rt.Fail("format_map() takes a mapping");
  Arguments named;
  for (const auto& [key, value] : params[0].dict().entries) {
    if (key.is_string()) named.named.emplace_back(key, value);
  }
  return BraceFormat(rt, self, named);
}

constexpr Method kMethods[] = {
    {"strip", Stripped<Side::kBoth>},
    {"lstrip", Stripped<Side::kLeft>},
    {"rstrip", Stripped<Side::kRight>},
    {"split", SplitMethod<false>},
    {"rsplit", SplitMethod<true>},
    {"splitlines", SplitLinesMethod},
    {"partition", Partition<false>},
    {"rpartition", Partition<true>},
    {"replace", ReplaceMethod},
    {"join", Join},
    {"upper", Mapped<Upper>},
    {"lower", Mapped<Lower>},
    {"casefold", Mapped<CaseFold>},
    {"title", Mapped<Title>},
    {"capitalize", Mapped<Capitalize>},
    {"swapcase", Mapped<SwapCase>},
    {"removeprefix", RemoveAffix<true>},
    {"removesuffix", RemoveAffix<false>},
    {"ljust", Justify<Align::kLeft>},
    {"rjust", Justify<Align::kRight>},
    {"center", Justify<Align::kCenter>},
    {"zfill", ZeroFill},
    {"expandtabs", ExpandTabs},
    {"format", Format},
    {"format_map", FormatMap},
};

}  // namespace

const Method* FindStringMethod(std::string_view name) {
  for (const Method& method : kMethods) {
    if (method.name == name) return &method;
  }
  return FindStringQuery(name);
}

}  // namespace lb::text::jinja
