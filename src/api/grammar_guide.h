// Binds an answer to a grammar; what the model thinks before it is free.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "api/reasoning/budget.h"
#include "engine/request.h"
#include "grammar/compiler.h"

namespace lb::api {

// While a thought lasts, or the headers of channels, every token may come but those that end the
// answer; a budget of thoughts holds meanwhile. Engine thread only.
class GrammarGuide final : public TokenGuide {
 public:
  // The model does not think, or thoughts are content like any other: bound from the first token.
  GrammarGuide(const text::Tokenizer& tokenizer,
               std::shared_ptr<const grammar::CompiledGrammar> grammar);
  // `format` has a kind; `opened` as in format.h; `thinking_budget` in tokens, -1: no limit.
  GrammarGuide(const text::Tokenizer& tokenizer,
               std::shared_ptr<const grammar::CompiledGrammar> grammar,
               const ReasoningFormat& format, std::string_view opened, int64_t thinking_budget);

  std::span<const uint32_t> Allowed() override;
  void Take(TokenId token) override;

 private:
  bool IsFree() const;

  const text::Tokenizer& tokenizer_;
  grammar::Matcher matcher_;
  std::optional<ThinkingBudget> thoughts_;  // none: there are no thoughts
  TokenId opening_ = -1;                    // the token that begins a thought, where it is one
  bool started_ = false;                    // the bound text has begun
  bool is_stuck_ = false;                   // what came cannot become what was asked for
  std::vector<uint32_t> mask_;
};

}  // namespace lb::api
