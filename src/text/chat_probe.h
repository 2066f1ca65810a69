// Finds out what a chat template can do by letting it render small conversations.
#pragma once

#include "text/jinja/template.h"

namespace lb::text {

struct ChatAbilities {
  bool tools = false;
  bool system_role = false;
  bool thinking = false;
  bool typed_content = false;     // content must be a list of parts
  bool tools_list = false;        // no tools must be an empty list: none is refused
  bool object_arguments = false;  // arguments of tool calls must be objects
  bool text_arguments = false;    // they may be JSON text: it is not refused
  bool keeps_calls = false;       // past calls appear in the prompt
  std::string call_example;       // a conversation with a call of a tool, rendered; "": refused
};

// What `program` does with a few small conversations; a refusal counts as not able to.
ChatAbilities ProbeTemplate(const jinja::Template& program, const std::string& bos_token,
                            const std::string& eos_token);

// The variables of a rendering, in the order they hold: later ones replace earlier ones.
using ChatContext = std::vector<std::pair<std::string, jinja::Value>>;

}  // namespace lb::text
