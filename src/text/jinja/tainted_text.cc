#include "text/jinja/tainted_text.h"

#include <algorithm>

namespace lb::text::jinja {

TaintedText::TaintedText(std::string bytes, Origin origin) : bytes_(std::move(bytes)) {
  if (origin == Origin::kData) MarkData(0, bytes_.size());
}

void TaintedText::MarkData(size_t begin, size_t end) {
  if (begin == end) return;
  if (!data_.empty() && data_.back().end == begin) {
    data_.back().end = end;
  } else {
    data_.push_back({begin, end});
  }
}

size_t TaintedText::FirstRangeEndingAfter(size_t pos) const {
  return std::upper_bound(data_.begin(), data_.end(), pos,
                          [](size_t p, const Range& range) { return p < range.end; }) -
         data_.begin();
}

Origin TaintedText::OriginAt(size_t pos) const {
  const size_t i = FirstRangeEndingAfter(pos);
  return i < data_.size() && data_[i].begin <= pos ? Origin::kData : Origin::kTemplate;
}

void TaintedText::Append(std::string_view bytes, Origin origin) {
  const size_t begin = bytes_.size();
  bytes_.append(bytes);
  if (origin == Origin::kData) MarkData(begin, bytes_.size());
}

void TaintedText::Append(const TaintedText& other, size_t begin, size_t end) {
  const size_t base = bytes_.size();
  bytes_.append(other.bytes_, begin, end - begin);
  for (size_t i = other.FirstRangeEndingAfter(begin); i < other.data_.size(); ++i) {
    const Range& range = other.data_[i];
    if (range.begin >= end) break;
    MarkData(base + std::max(range.begin, begin) - begin, base + std::min(range.end, end) - begin);
  }
}

TaintedText TaintedText::Sub(size_t begin, size_t end) const {
  TaintedText out;
  if (begin < end) out.Append(*this, begin, end);
  return out;
}

TaintedText TaintedText::AsData() const { return TaintedText(bytes_, Origin::kData); }

}  // namespace lb::text::jinja
