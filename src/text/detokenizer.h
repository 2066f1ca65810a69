// Token ids to text, one token at a time, whole characters only.
#pragma once

#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace lb::text {

// One per answer; I/O threads. What Push and Flush give, joined, is the answer's text: valid
// UTF-8, where each maximal subpart of an ill-formed sequence has become one U+FFFD.
class Detokenizer {
 public:
  // `special`: print control tokens; `shown`: print these ones in any case. `tokenizer` must outlive
  // this.
  Detokenizer(const Tokenizer& tokenizer, bool special, std::vector<TokenId> shown = {});

  // The text that is certain now; "" while bytes of an unfinished character are held back.
  std::string Push(TokenId id);
  // The end of the answer: what was held back, as U+FFFD.
  std::string Flush();

 private:
  const Tokenizer& tokenizer_;
  bool special_;
  std::vector<TokenId> shown_;
  std::string pending_;
};

}  // namespace lb::text
