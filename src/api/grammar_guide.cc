#include "api/grammar_guide.h"

#include <algorithm>
#include <string>

namespace lb::api {
namespace {

void SetBit(std::vector<uint32_t>* mask, TokenId token, bool value) {
  uint32_t& word = (*mask)[static_cast<size_t>(token) / 32];
  const uint32_t bit = 1u << (token % 32);
  word = value ? word | bit : word & ~bit;
}

}  // namespace

GrammarGuide::GrammarGuide(const text::Tokenizer& tokenizer,
                           std::shared_ptr<const grammar::CompiledGrammar> grammar)
    : tokenizer_(tokenizer), matcher_(std::move(grammar)) {
  mask_.resize((static_cast<size_t>(tokenizer.num_tokens()) + 31) / 32);
}

GrammarGuide::GrammarGuide(const text::Tokenizer& tokenizer,
                           std::shared_ptr<const grammar::CompiledGrammar> grammar,
                           const ReasoningFormat& format, std::string_view opened,
                           int64_t thinking_budget)
    : GrammarGuide(tokenizer, std::move(grammar)) {
  thoughts_.emplace(tokenizer, format, opened, thinking_budget);
  // With no thoughts wanted, none begins.
  const std::vector<TokenId> mark = tokenizer.Encode(format.open, false, true);
  if (mark.size() == 1 && thinking_budget != 0) opening_ = mark[0];
  if (format.kind == ReasoningFormat::Kind::kTags &&
      thoughts_->state() == ThoughtTracker::State::kBefore) {
    started_ = true;  // unless the first token opens a thought
  }
}

bool GrammarGuide::IsFree() const {
  return thoughts_ && !started_ && thoughts_->state() != ThoughtTracker::State::kOver;
}

std::span<const uint32_t> GrammarGuide::Allowed() {
  if (is_stuck_) {
    std::fill(mask_.begin(), mask_.end(), 0u);
    return mask_;
  }
  if (IsFree()) {
    const std::span<const uint32_t> forced = thoughts_->Allowed();
    if (!forced.empty()) return forced;
    std::fill(mask_.begin(), mask_.end(), ~0u);
    for (const TokenId id : tokenizer_.special().end_of_generation) SetBit(&mask_, id, false);
    return mask_;
  }
  const std::span<const uint32_t> bound = matcher_.Allowed();
  if (opening_ < 0 || !thoughts_ || thoughts_->state() != ThoughtTracker::State::kBefore)
    return bound;
  std::copy(bound.begin(), bound.end(), mask_.begin());
  SetBit(&mask_, opening_, true);
  return mask_;
}

void GrammarGuide::Take(TokenId token) {
  const bool was_free = IsFree();
  const bool may_open = thoughts_ && thoughts_->state() == ThoughtTracker::State::kBefore;
  if (was_free || may_open) thoughts_->Take(token);
  if (may_open && started_) {
    if (thoughts_->state() == ThoughtTracker::State::kThinking) {
      started_ = false;
      return;
    }
    opening_ = -1;
  }
  if (was_free) {
    if (thoughts_->state() != ThoughtTracker::State::kOver) return;
    started_ = true;
    // A token may end the thought and begin the content; the white space between is nobody's.
    std::string rest = thoughts_->rest();
    rest.erase(0, std::min(rest.find_first_not_of(" \r\n\t"), rest.size()));
    if (!rest.empty() && !matcher_.TakeText(rest)) is_stuck_ = true;
    return;
  }
  // Tokens come out of Allowed, so this takes all but what a sampler was forced to.
  if (!matcher_.Take(token)) is_stuck_ = true;
}

}  // namespace lb::api
