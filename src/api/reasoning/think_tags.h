// Thoughts between two tags: DeepSeek-R1, Qwen3 and many more.
#pragma once

#include <string>

#include "api/reasoning/splitter.h"

namespace lb::api {

// A thought is what stands between `open`, the first thing of the answer, and `close`. White space
// around the tags belongs to them. An answer that begins otherwise has no thought, unless the
// prompt has opened it already (`opened`); there a repeated opening tag is markup, too. Only the
// first `close` counts. A thought that is never closed is still one.
class ThinkTags final : public ReasoningSplitter {
 public:
  ThinkTags(std::string open, std::string close, bool opened);
  std::vector<Segment> Push(std::string_view text) override;
  std::vector<Segment> Flush() override;
  bool has_reasoning() const override { return has_reasoning_; }
  bool thinking() const override { return state_ == State::kLead || state_ == State::kThought; }

 private:
  enum class State {
    kStart,  // nothing but white space and a part of the tag so far
    kLead,   // after the opening tag, before the first word of the thought
    kThought,
    kTrail,  // after the closing tag, before the first word of the content
    kContent,
  };
  bool Step(std::vector<Segment>* out);

  const std::string open_, close_;
  State state_;
  bool has_reasoning_;
  std::string held_;
};

}  // namespace lb::api
