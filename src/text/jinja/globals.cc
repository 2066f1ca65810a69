#include "text/jinja/globals.h"

#include <ctime>
#include <limits>

#include "text/jinja/operators.h"
#include "text/jinja/params.h"
#include "text/jinja/to_string.h"

namespace lb::text::jinja {
namespace {

Value Range(Runtime& rt, const Value&, Arguments& args) {
  const size_t given = args.positional.size();
  if (given < 1 || given > 3 || !args.named.empty()) {
    return rt.Fail("range expected 1 to 3 arguments, got {}", given);
  }
  Params params(rt, "range", args, {"start", "stop", "step"}, 1);
  int64_t start = params.Int(0, 0), stop = params.Int(1, 0);
  const int64_t step = params.Int(2, 1);
  if (!rt.ok()) return Value::Undefined();
  if (given == 1) {
    stop = start;
    start = 0;
  }
  if (step == 0) return rt.Fail("range() arg 3 must not be zero");
  const auto too_big = [&] {
    return rt.Fail("Range too big. The sandbox blocks ranges larger than {}", rt.limits().range);
  };
  // As unsigned numbers, nothing here can overflow.
  const bool up = step > 0;
  if (up ? start >= stop : start <= stop) return rt.NewSequence(Kind::kRange, {});
  const uint64_t from = start, to = stop;
  const uint64_t span = up ? to - from : from - to;
  const uint64_t stride = up ? static_cast<uint64_t>(step) : 0 - static_cast<uint64_t>(step);
  const uint64_t count = (span - 1) / stride + 1;
  if (count > static_cast<uint64_t>(rt.limits().range)) return too_big();
  if (!rt.Spend(static_cast<int64_t>(count))) return Value::Undefined();
  std::vector<Value> numbers;
  numbers.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    numbers.push_back(Value::Int(static_cast<int64_t>(from + i * static_cast<uint64_t>(step))));
  }
  return rt.NewSequence(Kind::kRange, std::move(numbers));
}

// What dict(...) and namespace(...) take: a mapping or pairs, and keywords.
bool ReadEntries(Runtime& rt, Arguments& args, std::vector<std::pair<Value, Value>>* entries) {
  if (args.positional.size() > 1) {
    rt.Fail("expected at most 1 positional argument, got {}", args.positional.size());
    return false;
  }
  if (!args.positional.empty() && args.positional[0].is(Kind::kDict)) {
    *entries = args.positional[0].dict().entries;
  } else if (!args.positional.empty()) {
    for (const Value& pair : Iterate(rt, args.positional[0])) {
      std::vector<Value> parts = Iterate(rt, pair);
      if (!rt.ok()) return false;
      if (parts.size() != 2) {
        rt.Fail("an element of the sequence has length {}; 2 is required", parts.size());
        return false;
      }
      entries->emplace_back(std::move(parts[0]), std::move(parts[1]));
    }
  }
  for (auto& named : args.named) entries->push_back(std::move(named));
  return rt.ok();
}

Value Dict(Runtime& rt, const Value&, Arguments& args) {
  std::vector<std::pair<Value, Value>> entries;
  if (!ReadEntries(rt, args, &entries)) return Value::Undefined();
  return rt.NewDict(std::move(entries));
}

Value Namespace(Runtime& rt, const Value&, Arguments& args) {
  std::vector<std::pair<Value, Value>> entries;
  if (!ReadEntries(rt, args, &entries)) return Value::Undefined();
  // Through a dict, so that doubled names count once.
  const Value dict = rt.NewDict(std::move(entries));
  if (!rt.ok()) return Value::Undefined();
  for (const auto& [name, value] : dict.dict().entries) {
    if (!name.is_string()) return rt.Fail("names of a namespace must be strings");
  }
  return rt.NewNamespace(dict.dict().entries);
}

Value RaiseException(Runtime& rt, const Value&, Arguments& args) {
  Params params(rt, "raise_exception", args, {"message"}, 1);
  if (!params.ok()) return Value::Undefined();
  constexpr size_t kMaxMessage = 2000;
  const TaintedText message = ToText(rt, params[0]);
  return rt.FailWith(message.str().substr(0, kMaxMessage), true);
}

Value StrftimeNow(Runtime& rt, const Value&, Arguments& args) {
  Params params(rt, "strftime_now", args, {"format"}, 1);
  const TaintedText* format = params.ok() ? params.Text(0) : nullptr;
  if (!rt.ok()) return Value::Undefined();
  if (format == nullptr) return rt.Fail("strftime_now() takes a string");
  constexpr size_t kMaxFormat = 200;
  if (format->size() > kMaxFormat) return rt.Fail("strftime_now(): the format is too long");
  if (format->empty()) return rt.NewString(TaintedText());
  const std::time_t now = static_cast<std::time_t>(rt.now_unix());
  std::tm local = {};
  if (localtime_r(&now, &local) == nullptr) return rt.Fail("strftime_now(): no such time");
  char buffer[4096];
  const size_t size = std::strftime(buffer, sizeof(buffer), format->str().c_str(), &local);
  return rt.NewString(std::string_view(buffer, size),
                      format->any_data() ? Origin::kData : Origin::kTemplate);
}

constexpr std::pair<std::string_view, Function> kFunctions[] = {
    {"range", Range},
    {"dict", Dict},
    {"namespace", Namespace},
    {"raise_exception", RaiseException},
    {"strftime_now", StrftimeNow},
};

}  // namespace

std::span<const std::pair<std::string_view, Function>> GlobalFunctions() { return kFunctions; }

}  // namespace lb::text::jinja
