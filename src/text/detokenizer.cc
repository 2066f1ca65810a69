#include "text/detokenizer.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"

namespace lb::text {

Detokenizer::Detokenizer(const Tokenizer& tokenizer, bool special, std::vector<TokenId> shown)
    : tokenizer_(tokenizer), special_(special), shown_(std::move(shown)) {}

std::string Detokenizer::Push(TokenId id) {
  const bool shown = special_ || std::find(shown_.begin(), shown_.end(), id) != shown_.end();
  pending_ += tokenizer_.TokenBytes(id, shown);
  const size_t held = IncompleteUtf8Tail(pending_);
  std::string tail = pending_.substr(pending_.size() - held);
  pending_.resize(pending_.size() - held);
  std::string text = ToValidUtf8(pending_);
  pending_ = std::move(tail);
  return text;
}

std::string Detokenizer::Flush() { return ToValidUtf8(std::exchange(pending_, {})); }

}  // namespace lb::text
