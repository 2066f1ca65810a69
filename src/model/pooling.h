// How the states of a text's tokens become one vector.
#pragma once

namespace lb {

// The numbers are those of pooling_type in GGUF. kNone: a vector for each token. kRank: the state
// of one token through the model's score head.
enum class Pooling { kNone, kMean, kCls, kLast, kRank };

}  // namespace lb
