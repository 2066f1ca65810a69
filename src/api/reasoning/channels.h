// Messages on channels, as gpt-oss writes them:
// <|channel|>analysis<|message|>a thought<|end|><|start|>assistant<|channel|>final<|message|>words
#pragma once

#include <string>

#include "api/reasoning/splitter.h"

namespace lb::api {

// What is said on the channel "analysis" is a thought, what is said on any other is content;
// headers and marks are markup. Text before any mark is content. `opened` is the part of the prompt
// behind the last "<|start|>assistant": what the template has begun already. With `keep_calls` a
// message to a function (to=...) is content as a whole, header and marks included, for the parser
// of calls to read.
class Channels final : public ReasoningSplitter {
 public:
  explicit Channels(std::string_view opened, bool keep_calls = false);
  std::vector<Segment> Push(std::string_view text) override;
  std::vector<Segment> Flush() override;
  bool has_reasoning() const override { return has_reasoning_; }
  bool thinking() const override { return !header_ && body_ == SegmentKind::kReasoning; }

 private:
  bool Step(std::vector<Segment>* out);

  bool header_ = false;  // inside a header, which is held until it is complete
  SegmentKind body_ = SegmentKind::kContent;
  bool has_reasoning_ = false;
  const bool keep_calls_;
  bool call_ = false;    // the message is a call
  bool begins_ = false;  // nothing was read, and a header may be open
  std::string held_;
};

}  // namespace lb::api
