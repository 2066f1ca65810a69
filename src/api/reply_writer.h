// The JSON of one endpoint's choices; the frame around them is Generation's.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer.h"
#include "api/json_writer.h"
#include "text/tokenizer.h"

namespace lb::api {

// Each Write appends one element of `choices`. Stateless after construction.
class ReplyWriter {
 public:
  virtual ~ReplyWriter() = default;
  virtual std::string_view id_prefix() const = 0;     // "chatcmpl-"
  virtual std::string_view object() const = 0;        // of the plain reply
  virtual std::string_view chunk_object() const = 0;  // of a streamed chunk
  // What a stream says of choice `index` before its first text; false when there is nothing.
  virtual bool WriteStart(int index, JsonWriter* w) const = 0;
  virtual void WritePiece(int index, const Piece& piece, JsonWriter* w) const = 0;
  virtual void WriteFinish(int index, std::string_view reason, JsonWriter* w) const = 0;
  // The plain form: the same start, pieces and finish in one.
  virtual void WriteWhole(int index, const Piece& whole, std::string_view reason,
                          JsonWriter* w) const = 0;
};

std::unique_ptr<ReplyWriter> MakeChatWriter(const text::Tokenizer& tokenizer, bool with_logprobs);
// `echo[p]` goes before the answers to prompt p; empty: no echo. `answers_per_prompt` is n.
std::unique_ptr<ReplyWriter> MakeCompletionWriter(const text::Tokenizer& tokenizer,
                                                  bool with_logprobs, std::vector<std::string> echo,
                                                  int answers_per_prompt);

}  // namespace lb::api
