// What earlier turns say of tools, in the form that a template can take.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "api/chat_request.h"
#include "api/tools/format.h"

namespace lb::api {

// The ids and names that belong to calls and their results, where a request left them out: a call
// without an id gets one, a result without an id is that of the first call that has none yet, a
// result without a name has its call's. Depends on the messages only, so that equal conversations
// are equal prompts. Messages are given in order.
class CallLinks {
 public:
  // `nine_letters`: ids that are not nine letters and digits are replaced, the same ones alike.
  explicit CallLinks(bool nine_letters) : nine_letters_(nine_letters) {}

  // Of the next call.
  std::string Call(const boost::json::object& call);
  struct Link {
    std::string id, name;  // "": unknown
  };
  // Of the next result.
  Link Result(const ChatMessage& message);

 private:
  std::string Fit(const std::string& id) const;

  struct Open {
    std::string given, id, name;
    bool answered = false;
  };
  const bool nine_letters_;
  std::vector<Open> calls_;
};

// The calls of a message as the format writes them (its arguments as JSON); "" without any.
std::string CallsAsText(const ChatMessage& message, const ToolFormat& format);

// For a template that knows nothing of tools: the tools and how to call them are told in the system
// message (or the first of the user), calls stand in the assistant's words, results in the user's.
std::vector<ChatMessage> MessagesWithoutTools(const ChatRequest& request, const ToolFormat& format,
                                              bool system_role);

}  // namespace lb::api
