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
// API layer builds from its request (key order kept).
struct ChatInput {
  jinja::Value messages;         // list of {role, content, tool_calls?, tool_call_id?, name?, ...}
  jinja::Value tools;            // list, or none
  jinja::Value documents;        // list, or none
  bool add_generation_prompt = true;
  jinja::Value extra;            // object: chat_template_kwargs, enable_thinking, ...
  int64_t now_unix = 0;          // what strftime_now sees
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

  // kInvalidArgument with the template's own words when it calls raise_exception, or when a limit
  // (steps, output bytes, depth) is hit.
  Result<RenderedPrompt> Render(const ChatInput& input) const;
  const std::string& source() const { return source_; }

  // What the template's text shows it can do.
  bool knows_tools() const;
  bool knows_system_role() const;
  bool knows_thinking() const;
  ~ChatTemplate();

 private:
  struct Impl;
  ChatTemplate();
  std::string source_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lb::text
