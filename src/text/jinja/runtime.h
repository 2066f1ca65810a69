// What one rendering owns: its limits, its first failure, and the making of values.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/callable.h"
#include "text/jinja/symbols.h"
#include "text/jinja/value.h"

namespace lb::text::jinja {

// What a rendering may use up. The defaults end an endless loop in well under a second and let a
// chat of thousands of messages through.
struct Limits {
  int64_t steps = 8'000'000;         // nodes evaluated, elements and 64-byte pieces copied
  int64_t output_bytes = 64 << 20;   // text written, at any one place
  int64_t memory_bytes = 256 << 20;  // held by values at once
  int depth = 1200;                  // nested evaluations: bounds the C++ stack
  int value_depth = 200;             // lists within lists
  int64_t range = 100'000;           // numbers in one range(), as in Jinja's sandbox
};

// One rendering, one thread. Failure is sticky: the first one stays, every function returns at
// once with some harmless value, and callers look at ok() before they loop or trust a result.
class Runtime {
 public:
  Runtime(const Limits& limits, const Symbols& symbols, int64_t now_unix)
      : limits_(limits), symbols_(symbols), now_unix_(now_unix) {}
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  bool ok() const { return !failed_; }
  const std::string& message() const { return message_; }
  bool raised() const { return raised_; }  // the template called raise_exception
  int failed_line() const { return failed_line_; }
  const Limits& limits() const { return limits_; }
  int64_t now_unix() const { return now_unix_; }
  void set_line(int line) { line_ = line; }

  template <typename... Args>
  Value Fail(fmt::format_string<Args...> format, Args&&... args) {
    return FailWith(fmt::format(format, std::forward<Args>(args)...), false);
  }
  Value FailWith(std::string message, bool raised);
  // Fails with what jinja2 says about using `undefined`.
  Value FailUndefined(const Value& undefined);

  // Takes `steps` off what is left; false when the rendering has failed, now or earlier.
  bool Spend(int64_t steps) {
    spent_ += steps;
    return spent_ <= limits_.steps ? ok() : SpentAll();
  }
  // For a piece of work over `bytes` of text.
  bool SpendBytes(size_t bytes) { return Spend(1 + static_cast<int64_t>(bytes / 64)); }

  Value NewString(TaintedText text, bool markup = false);
  Value NewString(std::string_view text, Origin origin);
  Value NewSequence(Kind kind, std::vector<Value> items, const char* type_name = "list");
  // Keys must be hashable; of equal keys the first stays, with the last value.
  Value NewDict(std::vector<std::pair<Value, Value>> entries);
  Value NewNamespace(std::vector<std::pair<Value, Value>> attributes);
  bool SetAttribute(NamespaceObject& ns, const Value& name, Value value);
  Value Bind(Function function, Value self, std::string_view name);
  // Takes an object with its own depth set into the accounting of memory and nesting.
  Value Adopt(Kind kind, std::shared_ptr<Object> object, int64_t bytes);

  // Keeps `object` alive to the end of the rendering, when `clear` (of each) breaks its cycles.
  struct Cyclic {
    virtual ~Cyclic() = default;
    virtual void Clear() = 0;
  };
  void Keep(std::shared_ptr<Cyclic> object) { cyclic_.push_back(std::move(object)); }

 private:
  friend class DepthGuard;
  bool SpentAll();

  const Limits& limits_;
  const Symbols& symbols_;
  int64_t now_unix_;
  bool failed_ = false, raised_ = false;
  std::string message_;
  int line_ = 0, failed_line_ = 0;
  int64_t spent_ = 0;
  int depth_ = 0;
  Heap heap_;
  std::vector<std::shared_ptr<NamespaceObject>> namespaces_;
  std::vector<std::shared_ptr<Cyclic>> cyclic_;
};

// Counts a nested evaluation while it lives.
class DepthGuard {
 public:
  explicit DepthGuard(Runtime& rt) : rt_(rt) {
    if (++rt_.depth_ > rt_.limits_.depth) rt_.Fail("the template nests too deep");
  }
  ~DepthGuard() { --rt_.depth_; }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;
  bool ok() const { return rt_.ok(); }

 private:
  Runtime& rt_;
};

// Hints that undefined values carry, so that an error can say what was missing.
int64_t UndefinedName(int symbol);
int64_t UndefinedAttribute(const Value& owner, int symbol);  // symbol -1: a computed name
int64_t UnsafeAttribute(const Value& owner, int symbol);

}  // namespace lb::text::jinja
