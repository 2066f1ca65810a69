// Follows an answer token by token: is this a thought?
#pragma once

#include <string>
#include <string_view>

#include "api/reasoning/format.h"

namespace lb::api {

// One per answer. Engine thread only.
class ThoughtTracker {
 public:
  enum class State {
    kBefore,  // a thought may still begin
    kThinking,
    kOver,  // content, to the end; on channels another thought may follow
  };
  // `opened` as in format.h. `tokenizer` must outlive this; the format has a kind.
  ThoughtTracker(const text::Tokenizer& tokenizer, const ReasoningFormat& format,
                 std::string_view opened);

  void Take(TokenId token);

  State state() const { return state_; }
  // The tokens so far end with a whole character.
  bool at_character() const;
  // What the last token brought of the content, when it ended the thought in its middle.
  const std::string& rest() const { return rest_; }

 private:
  void TakeOnChannels();

  const text::Tokenizer& tokenizer_;
  const ReasoningFormat format_;
  State state_;
  std::string tail_;  // bytes in which a mark may be about to be completed
  std::string rest_;
};

}  // namespace lb::api
