#include "api/reasoning/format.h"

#include <initializer_list>

#include "api/reasoning/channels.h"
#include "api/reasoning/think_tags.h"

namespace lb::api {
namespace {

using Kind = ReasoningFormat::Kind;

struct Tags {
  std::string_view open, close;
};
// Looked for in this order: the plain ones are the beginning of nothing else.
constexpr Tags kTags[] = {
    {"<|START_THINKING|>", "<|END_THINKING|>"},                           // Command R7B and later
    {"[THINK]", "[/THINK]"},                                              // Magistral
    {"<seed:think>", "</seed:think>"},                                    // Seed-OSS
    {"\xE2\x97\x81think\xE2\x96\xB7", "\xE2\x97\x81/think\xE2\x96\xB7"},  // Kimi
    {"<mm:think>", "</mm:think>"},                                        // MiniMax M3
    {"<|inner_prefix|>", "<|inner_suffix|>"},                             // Apertus
    {"<|channel>thought", "<channel|>"},                                  // Gemma 4
    {"<think>", "</think>"},  // DeepSeek, Qwen3, GLM, Granite, ...
};

bool Has(std::string_view text, std::string_view words) {
  return text.find(words) != std::string_view::npos;
}

std::vector<TokenId> ControlTokens(std::initializer_list<std::string_view> marks,
                                   const text::Tokenizer& tokenizer) {
  std::vector<TokenId> found;
  for (const std::string_view mark : marks) {
    for (const TokenId id : tokenizer.Encode(mark, false, true)) {
      if (tokenizer.TokenBytes(id, false).empty()) found.push_back(id);
    }
  }
  return found;
}

ReasoningFormat TagFormat(const Tags& tags, const text::Tokenizer& tokenizer) {
  ReasoningFormat format;
  format.kind = Kind::kTags;
  format.open = tags.open;
  format.close = tags.close;
  // With the line breaks that the models were trained to write around it.
  format.forced = "\n" + format.close + "\n\n";
  format.shown = ControlTokens({tags.open, tags.close}, tokenizer);
  return format;
}

}  // namespace

ReasoningFormat FindReasoningFormat(std::string_view template_source,
                                    const text::Tokenizer& tokenizer) {
  if (Has(template_source, "<|channel|>") && Has(template_source, "<|message|>")) {
    ReasoningFormat format;
    format.kind = Kind::kChannels;
    format.open = "<|channel|>analysis<|message|>";
    format.close = "<|end|>";
    format.forced = "<|end|><|start|>assistant<|channel|>final<|message|>";
    format.shown = ControlTokens(
        {"<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|constrain|>"}, tokenizer);
    return format;
  }
  for (const Tags& tags : kTags) {
    if (Has(template_source, tags.open) || Has(template_source, tags.close)) {
      return TagFormat(tags, tokenizer);
    }
  }
  return {};
}

ReasoningFormat DefaultReasoningFormat(const text::Tokenizer& tokenizer) {
  return TagFormat({"<think>", "</think>"}, tokenizer);
}

std::string OpenedByPrompt(const ReasoningFormat& format, std::string_view prompt) {
  if (format.kind == Kind::kChannels) {
    constexpr std::string_view kTurn = "<|start|>assistant";
    const size_t turn = prompt.rfind(kTurn);
    if (turn == std::string_view::npos) return {};
    const std::string_view opened = prompt.substr(turn + kTurn.size());
    return Has(opened, "<|end|>") ? std::string() : std::string(opened);
  }
  while (!prompt.empty() && IsSpace(prompt.back())) prompt.remove_suffix(1);
  return !format.open.empty() && prompt.ends_with(format.open) ? format.open : std::string();
}

std::unique_ptr<ReasoningSplitter> MakeSplitter(const ReasoningFormat& format,
                                                std::string_view opened, bool keep_calls) {
  switch (format.kind) {
    case Kind::kNone:
      return nullptr;
    case Kind::kTags:
      return std::make_unique<ThinkTags>(format.open, format.close, !opened.empty());
    case Kind::kChannels:
      return std::make_unique<Channels>(opened, keep_calls);
  }
  return nullptr;
}

}  // namespace lb::api
