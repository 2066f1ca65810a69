// OpenAI's responses: an object with output items, or numbered events that build it up.
#pragma once

#include <boost/json/object.hpp>
#include <memory>
#include <string>

#include "api/reply_writer.h"

namespace lb::api {

struct ResponsesReply {
  std::string model;         // answered back
  boost::json::object echo;  // fields of the request that the reply repeats
  bool with_logprobs = false;
  bool timings_per_token = false;
};

// `tokenizer` must outlive the writer.
std::unique_ptr<ReplyWriter> MakeResponsesWriter(const text::Tokenizer& tokenizer,
                                                 ResponsesReply reply);

}  // namespace lb::api
