// Ends a thought that has used up its tokens.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/reasoning/format.h"
#include "api/reasoning/thought_tracker.h"
#include "engine/request.h"

namespace lb::api {

// Once thoughts have had `max_tokens` tokens, forces the format's closing text, after the character
// that is being written. Tokens of marks do not count, those of the forced text neither. Zero lets
// no thought begin, -1 is no limit. Engine thread only.
class ThinkingBudget final : public TokenGuide {
 public:
  // `opened` as in format.h. `tokenizer` must outlive this; the format has a kind.
  ThinkingBudget(const text::Tokenizer& tokenizer, const ReasoningFormat& format,
                 std::string_view opened, int64_t max_tokens);
  std::span<const uint32_t> Allowed() override;
  void Take(TokenId token) override;

  ThoughtTracker::State state() const { return tracker_.state(); }
  // See ThoughtTracker.
  const std::string& rest() const { return tracker_.rest(); }

 private:
  const int64_t max_tokens_;
  const std::vector<TokenId> forced_;
  ThoughtTracker tracker_;
  size_t num_forced_ = 0;  // tokens of forced_ that are there
  bool forcing_ = false;
  int64_t num_thought_ = 0;
  std::vector<uint32_t> mask_;
};

}  // namespace lb::api
