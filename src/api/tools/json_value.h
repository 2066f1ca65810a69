// JSON as models write it, read a byte at a time and with patience.
#pragma once

#include <string>
#include <string_view>

namespace lb::api {

// Finds the end of an object, a list or a string. Looks at brackets and strings only: what stands
// inside may be ill-formed.
class JsonSpan {
 public:
  // Begins with the value's first byte. True: `c` is its last.
  bool Feed(char c);
  bool in_string() const { return in_string_; }

 private:
  int depth_ = 0;
  bool in_string_ = false, escaped_ = false;
};

// Reads a string behind its first quote.
class JsonStringText {
 public:
  // Appends what the string says. True: `c` is the closing quote.
  bool Feed(char c, std::string* out);

 private:
  void Code(std::string* out);

  bool escaped_ = false;
  int hex_left_ = 0;
  unsigned code_ = 0, high_ = 0;  // of \u; the first half of a pair
};

// The value of a call's arguments, as bytes come in. An object passes as it is written, but for
// control characters in its strings, which are escaped as JSON wants it. A string is taken for
// arguments written as text, and decoded. Null is none.
class JsonArguments {
 public:
  // Takes a part of `text` (what is left must come again, with more behind it), and appends to
  // `*out` what it means. `*done` when the value is complete or `stop` (if it has bytes) comes
  // outside of a string; `stop` itself is not taken.
  size_t Take(std::string_view text, std::string_view stop, std::string* out, bool* done);

 private:
  enum class Kind { kUnknown, kSpan, kText, kOther };
  Kind kind_ = Kind::kUnknown;
  JsonSpan span_;
  JsonStringText text_;
  std::string other_;  // a value that is none of these, whole
};

// A control character as it stands in a JSON string: \n, \u0001, ...
void AppendJsonControl(char c, std::string* out);

}  // namespace lb::api
