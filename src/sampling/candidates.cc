#include "sampling/candidates.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "sampling/vector_math.h"

namespace lb::sampling {
namespace {

constexpr float kNegInf = -std::numeric_limits<float>::infinity();
constexpr int kHeapLimit = 512;  // more than this: select from a full list
constexpr size_t kDrawBlock = 1024;

void GatherAbove(std::span<const float> logits, float least, std::vector<Candidate>* out) {
  out->clear();
  const size_t n = logits.size();
  const float below = std::nextafter(least, kNegInf);
  for (size_t begin = 0; begin < n; begin += kScan) {
    const size_t end = std::min(begin + kScan, n);
    if (end - begin == kScan && !AnyAbove(logits.data() + begin, below)) continue;
    for (size_t i = begin; i < end; ++i) {
      if (logits[i] >= least && logits[i] > kNegInf) {
        out->push_back({static_cast<TokenId>(i), logits[i], 0, 0});
      }
    }
  }
}

void KeepTopOfList(int k, std::vector<Candidate>* list) {
  if (static_cast<size_t>(k) < list->size()) {
    std::nth_element(list->begin(), list->begin() + k, list->end(), Better);
    list->resize(k);
  }
  std::sort(list->begin(), list->end(), Better);
}

}  // namespace

void SelectTop(std::span<const float> logits, int k, std::vector<Candidate>* out) {
  if (k > kHeapLimit) {
    GatherAbove(logits, kNegInf, out);
    KeepTopOfList(k, out);
    return;
  }
  out->clear();
  if (k <= 0) return;
  // A heap with its worst entry in front; once full, most blocks of logits hold nothing better.
  float least = kNegInf;
  for (size_t begin = 0; begin < logits.size(); begin += kScan) {
    const size_t end = std::min(begin + kScan, logits.size());
    if (end - begin == kScan && !AnyAbove(logits.data() + begin, least)) continue;
    for (size_t i = begin; i < end; ++i) {
      if (!(logits[i] > least)) continue;  // an equal one has the higher id, so it loses
      if (out->size() == static_cast<size_t>(k)) {
        std::pop_heap(out->begin(), out->end(), Better);
        out->pop_back();
      }
      out->push_back({static_cast<TokenId>(i), logits[i], 0, 0});
      std::push_heap(out->begin(), out->end(), Better);
      if (out->size() == static_cast<size_t>(k)) least = out->front().logit;
    }
  }
  std::sort(out->begin(), out->end(), Better);
}

Candidates::Candidates(std::span<const float> logits, Workspace& workspace)
    : logits_(logits), workspace_(workspace) {}

Candidates::Candidates(std::span<const TokenLogit> best, Workspace& workspace)
    : workspace_(workspace), listed_(true), uncut_(true) {
  workspace_.list.clear();
  for (const TokenLogit& t : best) {
    if (t.token >= 0 && t.logit > kNegInf) workspace_.list.push_back({t.token, t.logit, 0, 0});
  }
}

int Candidates::size() const {
  return static_cast<int>(listed_ ? workspace_.list.size() : logits_.size());
}

std::span<float> Candidates::EditableLogits() {
  DCHECK(!listed_);
  if (!edited_) {
    workspace_.dense.assign(logits_.begin(), logits_.end());
    logits_ = workspace_.dense;
    edited_ = true;
  }
  return workspace_.dense;
}

std::vector<Candidate>& Candidates::List() {
  if (!listed_) {
    GatherAbove(logits_, kNegInf, &workspace_.list);
    listed_ = true;
  }
  return workspace_.list;
}

float Candidates::MaxLogit() const {
  if (!listed_) return Max(logits_);
  float max = kNegInf;
  for (const Candidate& c : workspace_.list) max = std::max(max, c.logit);
  return max;
}

int Candidates::Count() const {
  if (listed_) return size();
  return size() - static_cast<int>(std::count(logits_.begin(), logits_.end(), kNegInf));
}

void Candidates::KeepTop(int k) {
  uncut_ = false;
  if (listed_) {
    KeepTopOfList(k, &workspace_.list);
  } else {
    SelectTop(logits_, k, &workspace_.list);
    listed_ = true;
  }
}

void Candidates::KeepAbove(float logit) {
  if (listed_) {
    std::erase_if(workspace_.list, [logit](const Candidate& c) { return c.logit < logit; });
  } else {
    GatherAbove(logits_, logit, &workspace_.list);
    listed_ = true;
  }
}

void Candidates::Scale(float factor) {
  const float max = MaxLogit();
  if (listed_) {
    for (Candidate& c : workspace_.list) c.logit = Clamp((c.logit - max) * factor);
    return;
  }
  for (float& logit : EditableLogits()) {
    const float scaled = (logit - max) * factor;
    logit = logit == kNegInf ? kNegInf : (scaled < -kLimit ? -kLimit : scaled);
  }
}

void Candidates::KeepBest() { KeepTop(1); }

void Candidates::FillProbabilities() {
  std::vector<Candidate>& list = List();
  const float max = MaxLogit();
  double sum = 0;
  for (Candidate& c : list) {
    c.p = ExpNegative(c.logit - max);
    sum += c.p;
  }
  const float scale = static_cast<float>(1.0 / sum);
  for (Candidate& c : list) c.p *= scale;
}

void Candidates::KeepMass(double mass, bool beyond) {
  DCHECK(listed_);
  std::vector<Candidate>& list = workspace_.list;
  const auto before = [](const Candidate& a, const Candidate& b) {
    return a.key != b.key ? a.key < b.key : a.id < b.id;
  };
  const auto reached = [&](double sum) { return beyond ? sum > mass : sum >= mass; };
  // Quickselect by mass: the cut lies in [begin, end), and `sum` is the mass before begin.
  size_t begin = 0;
  size_t end = list.size();
  double sum = 0;
  constexpr size_t kSmall = 64;
  while (end - begin > kSmall) {
    const Candidate a = list[begin];
    const Candidate b = list[begin + (end - begin) / 2];
    const Candidate c = list[end - 1];
    const Candidate pivot =
        std::max(std::min(a, b, before), std::min(std::max(a, b, before), c, before), before);
    const auto middle = std::partition(list.begin() + begin, list.begin() + end,
                                       [&](const Candidate& x) { return before(x, pivot); });
    const size_t cut = middle - list.begin();
    double left = 0;
    for (size_t i = begin; i < cut; ++i) left += list[i].p;
    if (cut > begin && reached(sum + left)) {
      end = cut;
    } else {
      // The pivot is the least of the right part: put it first and step over it, so that each turn
      // makes the range smaller.
      std::iter_swap(list.begin() + cut,
                     std::min_element(list.begin() + cut, list.begin() + end, before));
      sum += left + list[cut].p;
      begin = cut + 1;
      if (reached(sum)) {
        list.resize(begin);
        return;
      }
    }
  }
  std::sort(list.begin() + begin, list.begin() + end, before);
  size_t keep = begin;
  while (keep < end) {
    sum += list[keep++].p;
    if (reached(sum)) break;
  }
  // Rounding may leave the whole range short of the mass: what follows it then stays cut, as it was
  // only beyond `end` because everything up to there did reach the mass.
  list.resize(std::max<size_t>(keep, 1));
}

TokenId Candidates::Draw(double u, double* p) {
  const float max = MaxLogit();
  if (listed_) {
    std::vector<Candidate>& list = workspace_.list;
    CHECK(!list.empty());
    double sum = 0;
    for (Candidate& c : list) {
      c.p = ExpNegative(c.logit - max);
      sum += c.p;
    }
    double left = u * sum;
    const Candidate* chosen = nullptr;
    for (const Candidate& c : list) {
      if (c.p == 0) continue;
      chosen = &c;  // the last one with any probability, should rounding let `left` outlive the sum
      left -= c.p;
      if (left < 0) break;
    }
    *p = chosen->p / sum;
    return chosen->id;
  }
  // Dense: sum by block, find the block, then the token in it.
  std::vector<Candidate>& blocks = workspace_.list;
  blocks.clear();
  double sum = 0;
  for (size_t begin = 0; begin < logits_.size(); begin += kDrawBlock) {
    const size_t count = std::min(kDrawBlock, logits_.size() - begin);
    const double mass = SumExp(logits_.subspan(begin, count), max);
    blocks.push_back({static_cast<TokenId>(begin), static_cast<float>(mass), 0, 0});
    sum += blocks.back().logit;
  }
  double left = u * sum;
  TokenId chosen = IndexOf(logits_, max);
  double chosen_p = 1;
  for (const Candidate& block : blocks) {
    const double mass = block.logit;
    if (left >= mass) {
      left -= mass;
      continue;
    }
    const size_t begin = block.id;
    const size_t end = std::min(begin + kDrawBlock, logits_.size());
    for (size_t i = begin; i < end && left >= 0; ++i) {
      const double x = ExpNegative(logits_[i] - max);
      if (x == 0) continue;
      chosen = static_cast<TokenId>(i);
      chosen_p = x;
      left -= x;
    }
    break;
  }
  *p = chosen_p / sum;
  return chosen;
}

}  // namespace lb::sampling
