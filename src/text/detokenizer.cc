#include "text/detokenizer.h"

#include <utility>

#include "base/utf8.h"

namespace lb::text {

Detokenizer::Detokenizer(const Tokenizer& tokenizer, bool special)
    : tokenizer_(tokenizer), special_(special) {}

std::string Detokenizer::Push(TokenId id) {
  pending_ += tokenizer_.TokenBytes(id, special_);
  const size_t held = IncompleteUtf8Tail(pending_);
  std::string tail = pending_.substr(pending_.size() - held);
  pending_.resize(pending_.size() - held);
  std::string text = ToValidUtf8(pending_);
  pending_ = std::move(tail);
  return text;
}

std::string Detokenizer::Flush() { return ToValidUtf8(std::exchange(pending_, {})); }

}  // namespace lb::text
