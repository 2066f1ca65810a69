// Candidates: the tokens that may still be chosen, and their logits as the stages have changed
// them.
//
// Dense while all of the vocabulary is in play (logits by id; -infinity marks a banned token), then
// a list once a stage has cut the tail. With usual parameters the list has tens of entries and
// nothing of the vocabulary's size is ever copied.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/strong_id.h"
#include "sampling/params.h"

namespace lb::sampling {

struct Candidate {
  TokenId id = 0;
  float logit = 0;  // finite
  float p = 0;      // after FillProbabilities
  float key = 0;    // scratch of KeepMass
};

// More probable, the lower id first among equals. A total order, so every cut is well defined.
inline bool Better(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

// Reused from call to call. Sizes: V = vocabulary.
struct Workspace {
  std::vector<float> dense;       // [V] edited copy of the logits
  std::vector<Candidate> list;    // up to V
  std::vector<int32_t> marks;     // [V], all zero between stages
  std::vector<TokenId> distinct;  // tokens whose mark is not zero
  std::vector<int32_t> matches;   // [history] for dry
};

// The k best of `logits`, best first; -infinity never enters.
void SelectTop(std::span<const float> logits, int k, std::vector<Candidate>* out);

class Candidates {
 public:
  // Views both for its life.
  Candidates(std::span<const float> logits, Workspace& workspace);
  // A list from the start: the best of a row, best first, which decide as all of it would.
  Candidates(std::span<const TokenLogit> best, Workspace& workspace);

  int size() const;  // upper bound while dense
  bool dense() const { return !listed_; }
  // Nothing has cut the row yet of which the list has the best.
  bool uncut() const { return uncut_; }
  bool edited() const { return edited_; }  // a logit of the dense form may have changed
  std::span<const float> logits() const { return logits_; }  // while dense
  std::span<float> EditableLogits();  // while dense: copies at the first call
  std::vector<Candidate>& List();     // turns dense into a list
  float MaxLogit() const;
  int Count() const;  // exact; walks the vocabulary while dense

  // Gives each logit of a token whose mark is not zero the value edit(token, mark, logit). `tokens`
  // are those tokens, each once.
  template <typename Edit>
  void EditMarked(std::span<const TokenId> tokens, std::span<const int32_t> marks, Edit edit) {
    if (listed_) {
      for (Candidate& c : workspace_.list) {
        if (marks[c.id] != 0) c.logit = Clamp(edit(c.id, marks[c.id], c.logit));
      }
      return;
    }
    const std::span<float> logits = EditableLogits();
    for (const TokenId t : tokens) {
      if (logits[t] >= -kLimit) logits[t] = Clamp(edit(t, marks[t], logits[t]));
    }
  }

  void KeepTop(int k);          // the k best; the list is sorted afterwards
  void KeepAbove(float logit);  // those with at least this logit
  // logit -> (logit - greatest logit) * factor
  void Scale(float factor);
  void KeepBest();

  // Makes a list and fills `p`.
  void FillProbabilities();
  // Keeps the smallest prefix, in rising order of (key, id), whose sum of p reaches `mass` (exceeds
  // it, when `beyond`); at least one. Needs a list with p and key. Linear on average.
  void KeepMass(double mass, bool beyond);

  // The token at which the running sum of probabilities passes `u` in [0, 1). Fills *p with its
  // probability among the candidates.
  TokenId Draw(double u, double* p);

  static constexpr float kLimit = 1e30f;
  static float Clamp(float logit) {
    return logit < -kLimit ? -kLimit : (logit > kLimit ? kLimit : logit);
  }

 private:
  std::span<const float> logits_;
  Workspace& workspace_;
  bool edited_ = false;
  bool listed_ = false;
  bool uncut_ = false;
};

}  // namespace lb::sampling
