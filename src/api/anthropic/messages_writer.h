// Anthropic's replies: a message of blocks, or events that open, fill and close them.
#pragma once

#include <memory>
#include <string>

#include "api/reply_writer.h"

namespace lb::api {

struct MessagesReply {
  std::string model;        // answered back
  int64_t max_tokens = -1;  // what was asked for, to tell it from the context's end
};

std::unique_ptr<ReplyWriter> MakeMessagesWriter(MessagesReply reply);

}  // namespace lb::api
