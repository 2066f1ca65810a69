// Chat templates for models that carry none, or by name (--chat-template NAME): Jinja sources
// written for this project, under the names llama.cpp gave the formats.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lb::text {

// None of them writes BOS: the tokenizer puts it in front where the model wants it.
std::string BuiltinTemplate(std::string_view name);  // "" when unknown
std::vector<std::string_view> BuiltinTemplateNames();

}  // namespace lb::text
