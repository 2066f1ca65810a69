// A model's chat template: messages in, prompt out.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/jinja/value.h"
#include "text/tokenizer.h"

namespace lb::text {

// What a template is given beside bos_token and eos_token. Values are jinja::Value trees that the
// API layer builds from its request (jinja/from_json.h; key order kept).
struct ChatInput {
  jinja::Value messages;   // list of {role, content, tool_calls?, tool_call_id?, name?, ...}
  jinja::Value tools;      // list, or none
  jinja::Value documents;  // list, or none
  bool add_generation_prompt = true;
  // Object or none: chat_template_kwargs, enable_thinking, ... Its names cannot replace those
  // above, but they can replace bos_token and eos_token (as data then).
  jinja::Value extra;
  int64_t now_unix = 0;  // what strftime_now sees, in the machine's time zone
};

// A rendered prompt in spans: what the template itself wrote is `special`, what came out of a
// message's strings is not, so that no user can write a control token.
struct RenderedPrompt {
  struct Span {
    std::string text;
    bool special = false;
  };
  std::vector<Span> spans;
  std::string Text() const;
  // Views of the spans, which must outlive them.
  std::vector<TextSpan> views() const;
};

// Immutable after Compile, thread-safe.
class ChatTemplate {
 public:
  // A syntax error names line and column, never more of the source than the token at fault.
  static Result<std::unique_ptr<ChatTemplate>> Compile(std::string source, std::string bos_token,
                                                       std::string eos_token);
  // A built-in template by its llama.cpp name ("chatml", "llama3", "gemma", ...), as Jinja source;
  // "" when unknown.
  static std::string BuiltinSource(std::string_view name);
  static std::vector<std::string_view> BuiltinNames();

  // kInvalidArgument with the template's own words when it calls raise_exception; with the line
  // when it uses what is undefined or a limit (steps, output bytes, memory, depth) is hit.
  // The role of a message counts as the template's text when it is one of the roles of the API
  // (system, developer, user, assistant, tool, function), since templates build control tokens of
  // it; any other role is data.
  Result<RenderedPrompt> Render(const ChatInput& input) const;
  const std::string& source() const { return source_; }

  // What the template can do, found out by rendering small conversations in Compile.
  bool knows_tools() const;           // the tools given appear in the prompt
  bool knows_system_role() const;     // a system message is taken and appears
  bool knows_developer_role() const;  // it says something about developer messages
  bool knows_thinking() const;        // it has a switch for, writes or keeps reasoning
  // Message content must be a list of parts ({"type": "text", "text": ...}): strings are lost.
  bool wants_typed_content() const;
  // Runs over the tools without asking whether there are any: Render gives it an empty list then.
  bool wants_tools_list() const;
  // The arguments of a past tool call must be an object: JSON text would be refused or quoted
  // again.
  bool wants_object_arguments() const;
  // They may be JSON text, even if it is quoted again: it is not refused.
  bool takes_text_arguments() const;
  bool keeps_calls() const;  // past calls of tools appear in the prompt
  // How it writes a call: a small conversation with one, rendered; "" where it refuses.
  const std::string& call_example() const;
  ~ChatTemplate();

 private:
  struct Impl;
  ChatTemplate();
  std::string source_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lb::text
