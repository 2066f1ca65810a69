// A chat request in the form that chat templates know.
#pragma once

#include "api/chat_request.h"
#include "api/tools/format.h"
#include "text/chat_template.h"

namespace lb::api {

// What a template's source shows of the shapes it expects, where templates disagree.
struct TemplateHabits {
  bool developer_role = false;    // names the role; else it is told "system"
  bool object_arguments = false;  // treats a call's arguments as an object, not as JSON text
  bool null_content = false;      // tells a call from an answer by its null content
  bool thinking_field = false;    // calls a message's reasoning_content "thinking"
  bool nine_letter_ids = false;   // refuses call ids that are not nine letters and digits
  bool text_arguments = true;     // takes a call's arguments as JSON text, however it shows them
  bool system_role = true;        // takes a system message
  // Knows nothing of tools, or drops past calls: then they are told in this format.
  bool tools_as_text = false, calls_as_text = false;
  const ToolFormat* text_format = nullptr;
};
TemplateHabits HabitsOf(const text::ChatTemplate& chat_template, const ToolFormat& format);

text::ChatInput MakeChatInput(const ChatRequest& request, const TemplateHabits& habits,
                              int64_t now_unix);

}  // namespace lb::api
