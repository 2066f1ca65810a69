// Which chat template a model gets.
#include <fstream>
#include <iterator>
#include <utility>

#include "app/compose.h"
#include "base/log.h"

namespace lb::app {
namespace {

using text::ChatTemplate;
using Template = std::shared_ptr<const ChatTemplate>;

std::string TokenName(const text::Tokenizer& tokenizer, TokenId id) {
  return id < 0 ? std::string() : std::string(tokenizer.TokenText(id));
}

Result<Template> Compile(std::string source, const text::Tokenizer& tokenizer) {
  const text::SpecialTokens& special = tokenizer.special();
  LB_ASSIGN_OR_RETURN(auto compiled,
                      ChatTemplate::Compile(std::move(source), TokenName(tokenizer, special.bos),
                                            TokenName(tokenizer, special.eos)));
  return Template(std::move(compiled));
}

// The built-in that fits the markers which the vocabulary knows as tokens.
std::string_view GuessBuiltin(const text::Tokenizer& tokenizer) {
  static constexpr std::pair<std::string_view, std::string_view> kMarkers[] = {
      {"<|im_start|>", "chatml"},
      {"<start_of_turn>", "gemma"},
      {"<|start_header_id|>", "llama3"},
      {"[INST]", "mistral-v3"},
      {"<|end_of_role|>", "granite"},
      {"<|assistant|>", "zephyr"},
  };
  for (const auto& [marker, name] : kMarkers) {
    const auto ids = tokenizer.Encode(marker, false, true);
    if (ids.size() == 1 && !ChatTemplate::BuiltinSource(name).empty()) return name;
  }
  return "chatml";
}

}  // namespace

Result<Template> ChooseChatTemplate(const Flags& flags, const gguf::Metadata& metadata,
                                    const text::Tokenizer& tokenizer) {
  if (!flags.chat_template_file.empty()) {
    std::ifstream in(flags.chat_template_file, std::ios::binary);
    std::string source((std::istreambuf_iterator<char>(in)), {});
    if (!in || source.empty()) {
      return Fail(ErrorCode::kIo, "--chat-template-file {}: cannot be read or is empty",
                  flags.chat_template_file);
    }
    auto compiled = Compile(std::move(source), tokenizer);
    if (!compiled.has_value()) {
      return Fail(ErrorCode::kInvalidArgument, "--chat-template-file {}: {}",
                  flags.chat_template_file, compiled.error().message);
    }
    LogVerbose(1, "chat template: from {}", flags.chat_template_file);
    return compiled;
  }
  if (!flags.chat_template.empty()) {
    const std::string builtin = ChatTemplate::BuiltinSource(flags.chat_template);
    const bool source = flags.chat_template.find("{") != std::string::npos;
    if (builtin.empty() && !source) {
      std::string names;
      for (const auto name : ChatTemplate::BuiltinNames()) {
        names += (names.empty() ? "" : ", ") + std::string(name);
      }
      return Fail(ErrorCode::kInvalidArgument, "--chat-template {}: unknown name (known: {})",
                  flags.chat_template, names);
    }
    auto compiled = Compile(source ? flags.chat_template : builtin, tokenizer);
    if (!compiled.has_value()) {
      return Fail(ErrorCode::kInvalidArgument, "--chat-template: {}", compiled.error().message);
    }
    LogVerbose(1, "chat template: {}", source ? "from --chat-template" : flags.chat_template);
    return compiled;
  }
  LB_ASSIGN_OR_RETURN(const auto own, metadata.String("tokenizer.chat_template"));
  if (own && !own->empty()) {
    auto compiled = Compile(*own, tokenizer);
    if (compiled.has_value()) {
      LogVerbose(1, "chat template: the model's own ({} bytes)", own->size());
      return compiled;
    }
    LogWarning("chat template: the model's own does not compile: {}", compiled.error().message);
  }
  const std::string_view name = GuessBuiltin(tokenizer);
  LogWarning("chat template: {} takes the built-in \"{}\"; --chat-template chooses another",
             own && !own->empty() ? "its place" : "the model has none, and", name);
  return Compile(ChatTemplate::BuiltinSource(name), tokenizer);
}

}  // namespace lb::app
