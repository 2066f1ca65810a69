#include "engine/pooler.h"

#include <utility>

namespace lb {

bool Pooler::Needs(Pooling pooling, bool causal, int64_t position, int64_t length) {
  switch (pooling) {
    case Pooling::kNone:
    case Pooling::kMean:
      return true;
    case Pooling::kCls:
      return position == 0;
    case Pooling::kLast:
      return position == length - 1;
    case Pooling::kRank:
      return position == (causal ? length - 1 : 0);
  }
  return false;
}

void Pooler::Add(Pooling pooling, int64_t position, std::span<const float> state) {
  if (position == 0) {
    rows_.clear();
    sum_.assign(pooling == Pooling::kMean ? state.size() : 0, 0.0);
    count_ = 0;
  }
  ++count_;
  if (pooling != Pooling::kMean) {
    rows_.insert(rows_.end(), state.begin(), state.end());
    return;
  }
  for (size_t i = 0; i < state.size(); ++i) sum_[i] += state[i];
}

std::vector<float> Pooler::Take(Pooling pooling) {
  if (pooling != Pooling::kMean) return std::exchange(rows_, {});
  std::vector<float> mean(sum_.size());
  for (size_t i = 0; i < mean.size(); ++i) {
    mean[i] = static_cast<float>(sum_[i] / static_cast<double>(count_));
  }
  sum_.clear();
  return mean;
}

}  // namespace lb
