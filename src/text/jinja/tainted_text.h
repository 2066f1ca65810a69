// UTF-8 text that remembers which of its bytes came from input data (messages, tools, template
// arguments) and which the template wrote itself. The tokenizer parses control tokens only in the
// latter, so a user can never write one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lb::text::jinja {

enum class Origin : bool { kTemplate, kData };

// A value; every operation on text in this engine goes through Append, so that no byte changes its
// origin on the way.
class TaintedText {
 public:
  struct Range {
    size_t begin = 0, end = 0;  // bytes
  };

  TaintedText() = default;
  TaintedText(std::string bytes, Origin origin);

  const std::string& str() const { return bytes_; }
  std::string_view view() const { return bytes_; }
  size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  bool any_data() const { return !data_.empty(); }
  // Sorted, disjoint, not touching, not empty.
  const std::vector<Range>& data() const { return data_; }
  Origin OriginAt(size_t pos) const;

  void Append(std::string_view bytes, Origin origin);
  void Append(const TaintedText& other) { Append(other, 0, other.size()); }
  void Append(const TaintedText& other, size_t begin, size_t end);
  TaintedText Sub(size_t begin, size_t end) const;
  void Reserve(size_t bytes) { bytes_.reserve(bytes); }
  // The same bytes, all of them data: for operations too tangled to follow byte by byte.
  TaintedText AsData() const;

  // f(std::string_view bytes, Origin origin) for each run of one origin, in order.
  template <typename F>
  void ForEachRun(F&& f) const {
    size_t pos = 0;
    for (const Range& range : data_) {
      if (pos < range.begin) f(view().substr(pos, range.begin - pos), Origin::kTemplate);
      f(view().substr(range.begin, range.end - range.begin), Origin::kData);
      pos = range.end;
    }
    if (pos < size()) f(view().substr(pos), Origin::kTemplate);
  }

 private:
  void MarkData(size_t begin, size_t end);
  size_t FirstRangeEndingAfter(size_t pos) const;

  std::string bytes_;
  std::vector<Range> data_;
};

}  // namespace lb::text::jinja
