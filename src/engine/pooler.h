// Pooler: the hidden states of one text, as they are computed, to what the model makes of them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/pooling.h"

namespace lb {

// Takes states in rising order of position, however they are cut into steps; the mean is summed in
// that order, so its bits do not depend on the cuts. Engine thread only.
class Pooler {
 public:
  // Whether the state of the token at `position` of `length` is needed. kRank looks at one token:
  // the last of a text that is read forwards, the first of one read as a whole.
  static bool Needs(Pooling pooling, bool causal, int64_t position, int64_t length);
  // Whether anything but the last token's state is: then nothing may come out of a cache.
  static bool NeedsAll(Pooling pooling, bool causal) { return Needs(pooling, causal, 0, 2); }

  // A state that is needed. Position 0 begins the text, again if need be.
  void Add(Pooling pooling, int64_t position, std::span<const float> state);
  // One row of the state's width, or with kNone one for each token. Ends the text.
  std::vector<float> Take(Pooling pooling);

 private:
  std::vector<float> rows_;
  std::vector<double> sum_;
  int64_t count_ = 0;
};

}  // namespace lb
