#include "text/vocab.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>

#include "base/log.h"

namespace lb::text {
namespace {

using gguf::Metadata;

constexpr char kTokens[] = "tokenizer.ggml.tokens";

Error WrongLength(std::string_view key, size_t length, int tokens) {
  return Fail(ErrorCode::kCorrupt, "{}: {} entries for {} tokens", key, length, tokens);
}

// The id under the first of `keys` that is there. Out of range: an error if encoding would write
// that token, otherwise a warning and no such token.
Result<std::optional<TokenId>> ReadId(const Metadata& metadata,
                                      std::initializer_list<const char*> keys, int tokens,
                                      bool written) {
  for (const char* key : keys) {
    LB_ASSIGN_OR_RETURN(const std::optional<int64_t> id, metadata.Int(key));
    if (!id) continue;
    if (*id == -1 || *id == 0xFFFFFFFF) return std::optional<TokenId>(-1);
    if (*id >= 0 && *id < tokens) return std::optional<TokenId>(static_cast<TokenId>(*id));
    if (written) {
      return Fail(ErrorCode::kCorrupt, "{} is {}, but the vocabulary has {} tokens", key, *id,
                  tokens);
    }
    LogWarning("tokenizer: ignoring key={} id={} tokens={}", key, *id, tokens);
    return std::optional<TokenId>(-1);
  }
  return std::optional<TokenId>();
}

// Texts by which tokens are known, best first. llama.cpp's lists: the files do not say.
constexpr std::string_view kEndOfTurn[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<EOT>", "_<EOT>", "[EOT]",
    "<\xEF\xBD\x9C" "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>", "<end_of_utterance>",
    "<|end_of_text|>", "<|endoftext|>"};
constexpr std::string_view kEndOfMessage[] = {"<|eom_id|>"};
constexpr std::string_view kFimPrefix[] = {
    "<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>",
    "<\xEF\xBD\x9C" "fim\xE2\x96\x81" "begin\xEF\xBD\x9C>", "<PRE>", "\xE2\x96\x81<PRE>",
    "<|code_prefix|>", "<|prefix|>"};
constexpr std::string_view kFimSuffix[] = {
    "<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>",
    "<\xEF\xBD\x9C" "fim\xE2\x96\x81hole\xEF\xBD\x9C>", "<SUF>", "\xE2\x96\x81<SUF>",
    "<|code_suffix|>", "<|suffix|>"};
constexpr std::string_view kFimMiddle[] = {
    "<|fim_middle|>", "<fim-middle>", "<fim_middle>",
    "<\xEF\xBD\x9C" "fim\xE2\x96\x81" "end\xEF\xBD\x9C>", "<MID>", "\xE2\x96\x81<MID>",
    "<|code_middle|>", "<|middle|>"};
constexpr std::string_view kFimPad[] = {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"};
constexpr std::string_view kFimRepo[] = {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>",
                                         "<reponame>"};
constexpr std::string_view kFimSeparator[] = {"<|file_sep|>"};
constexpr std::string_view kEndsAnswer[] = {
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>",
    "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]",
    "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>",
    "<\xEF\xBD\x9C" "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>", "[e~["};

}  // namespace

Result<void> Vocab::LoadTexts(const Metadata& metadata) {
  LB_ASSIGN_OR_RETURN(const std::vector<std::string>* const tokens, metadata.StringArray(kTokens));
  if (tokens == nullptr || tokens->empty()) {
    return Fail(ErrorCode::kCorrupt, "{} is {}", kTokens, tokens == nullptr ? "missing" : "empty");
  }
  if (tokens->size() > INT32_MAX) {
    return Fail(ErrorCode::kUnsupported, "{}: {} tokens", kTokens, tokens->size());
  }
  size_t bytes = 0;
  for (const std::string& token : *tokens) bytes += token.size();
  arena_.reserve(bytes);
  begin_.reserve(tokens->size() + 1);
  for (const std::string& token : *tokens) {
    arena_ += token;
    begin_.push_back(arena_.size());
  }
  types_.assign(tokens->size(), TokenType::kNormal);
  strip_.assign(tokens->size(), 0);
  return {};
}

Result<void> Vocab::LoadTypes(const Metadata& metadata) {
  constexpr char kKey[] = "tokenizer.ggml.token_type";
  LB_ASSIGN_OR_RETURN(const std::vector<int64_t>* const types, metadata.IntArray(kKey));
  if (types == nullptr) return {};
  if (types->size() != types_.size()) return WrongLength(kKey, types->size(), size());
  for (size_t i = 0; i < types->size(); ++i) {
    const int64_t type = (*types)[i];
    types_[i] = type >= 1 && type <= 6 ? static_cast<TokenType>(type) : TokenType::kUnused;
  }
  return {};
}

Result<void> Vocab::LoadScores(const Metadata& metadata) {
  constexpr char kKey[] = "tokenizer.ggml.scores";
  const gguf::Value* const value = metadata.Find(kKey);
  if (value == nullptr) return {};
  const auto take = [&](const auto& numbers) -> Result<void> {
    if (numbers.size() != types_.size()) return WrongLength(kKey, numbers.size(), size());
    for (const auto number : numbers) {
      const auto score = static_cast<double>(number);
      scores_.push_back(std::isnan(score)
                            ? -std::numeric_limits<float>::max()
                            : static_cast<float>(std::clamp<double>(
                                  score, -std::numeric_limits<float>::max(),
                                  std::numeric_limits<float>::max())));
    }
    return {};
  };
  if (const auto* ints = std::get_if<std::vector<int64_t>>(&value->data)) return take(*ints);
  LB_ASSIGN_OR_RETURN(const std::vector<double>* const floats, metadata.FloatArray(kKey));
  return take(*floats);
}

Result<void> Vocab::LoadAddFlags(const Metadata& metadata, const VocabDefaults& defaults) {
  struct Row {
    const char* key;
    bool* flag;
    bool fallback;
    TokenId token;
  };
  const Row rows[] = {
      {"tokenizer.ggml.add_bos_token", &special_.add_bos, defaults.add_bos, special_.bos},
      {"tokenizer.ggml.add_eos_token", &special_.add_eos, defaults.add_eos, special_.eos},
      {"tokenizer.ggml.add_sep_token", &special_.add_sep, defaults.add_sep, special_.sep},
  };
  for (const Row& row : rows) {
    LB_ASSIGN_OR_RETURN(const std::optional<bool> said, metadata.Bool(row.key));
    *row.flag = said.value_or(row.fallback);
    if (row.flag == &special_.add_bos && defaults.force_add_bos) *row.flag = true;
    if (*row.flag && row.token < 0) {
      if (said.value_or(false)) {
        LogWarning("tokenizer: {} is set, but the file names no such token", row.key);
      }
      *row.flag = false;
    }
  }
  return {};
}

Result<void> Vocab::LoadSpecial(const Metadata& metadata, const VocabDefaults& defaults) {
  TokenId eom = -1, fim_pad = -1, fim_repo = -1, fim_separator = -1;
  struct Row {
    TokenId* id;
    TokenId fallback;
    bool written;
    std::initializer_list<const char*> keys;
  };
  const Row rows[] = {
      {&special_.bos, defaults.bos, true, {"tokenizer.ggml.bos_token_id"}},
      {&special_.eos, defaults.eos, true, {"tokenizer.ggml.eos_token_id"}},
      {&special_.unk, defaults.unk, true, {"tokenizer.ggml.unknown_token_id"}},
      {&special_.sep, defaults.sep, true, {"tokenizer.ggml.seperator_token_id"}},
      {&special_.eot, -1, false, {"tokenizer.ggml.eot_token_id"}},
      {&eom, -1, false, {"tokenizer.ggml.eom_token_id"}},
      {&special_.pad, defaults.pad, false, {"tokenizer.ggml.padding_token_id"}},
      {&special_.mask, defaults.mask, false, {"tokenizer.ggml.mask_token_id"}},
      {&special_.cls, -1, false, {"tokenizer.ggml.cls_token_id"}},
      {&special_.fim_prefix, -1, false,
       {"tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"}},
      {&special_.fim_suffix, -1, false,
       {"tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"}},
      {&special_.fim_middle, -1, false,
       {"tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"}},
      {&fim_pad, -1, false, {"tokenizer.ggml.fim_pad_token_id"}},
      {&fim_repo, -1, false, {"tokenizer.ggml.fim_rep_token_id"}},
      {&fim_separator, -1, false, {"tokenizer.ggml.fim_sep_token_id"}},
  };
  for (const Row& row : rows) {
    LB_ASSIGN_OR_RETURN(const std::optional<TokenId> id,
                        ReadId(metadata, row.keys, size(), row.written));
    *row.id = id.value_or(row.fallback);
    if (!Has(*row.id)) *row.id = -1;
  }
  LB_RETURN_IF_ERROR(LoadAddFlags(metadata, defaults));
  FindByText(eom, fim_pad, fim_repo, fim_separator);
  return {};
}

void Vocab::FindByText(TokenId eom, TokenId fim_pad, TokenId fim_repo, TokenId fim_separator) {
  // The candidates: tokens that begin as one of the known texts do.
  std::vector<TokenId> candidates;
  for (TokenId id = 0; id < size(); ++id) {
    const std::string_view text = Text(id);
    if (text.size() > 64) continue;
    if (text.starts_with('<') || text.starts_with('[') || text.starts_with('_') ||
        text.starts_with("\xE2\x96\x81<")) {
      candidates.push_back(id);
    }
  }
  const auto find = [&](std::string_view text) -> TokenId {
    for (const TokenId id : candidates) {
      if (Text(id) == text) return id;
    }
    return -1;
  };
  const auto make_control = [&](TokenId id) {
    types_[static_cast<size_t>(id)] = TokenType::kControl;
  };
  const auto first_of = [&](std::span<const std::string_view> texts, TokenId* id) {
    for (size_t i = 0; *id < 0 && i < texts.size(); ++i) {
      *id = find(texts[i]);
      if (*id >= 0) make_control(*id);
    }
  };
  first_of(kEndOfTurn, &special_.eot);
  first_of(kEndOfMessage, &eom);
  first_of(kFimPrefix, &special_.fim_prefix);
  first_of(kFimSuffix, &special_.fim_suffix);
  first_of(kFimMiddle, &special_.fim_middle);
  first_of(kFimPad, &fim_pad);
  first_of(kFimRepo, &fim_repo);
  first_of(kFimSeparator, &fim_separator);
  special_.fim_repo = fim_repo;
  special_.fim_separator = fim_separator;

  std::vector<TokenId>& ends = special_.end_of_generation;
  for (const std::string_view text : kEndsAnswer) {
    const TokenId id = find(text);
    if (id < 0) continue;
    make_control(id);
    ends.push_back(id);
  }
  const auto drop = [&](TokenId id) { std::erase(ends, id); };
  const auto ends_by = [&](std::string_view text) {
    const TokenId id = find(text);
    return id >= 0 && std::find(ends.begin(), ends.end(), id) != ends.end();
  };
  // In formats with messages inside an answer, "<|end|>" closes a message, not the answer.
  const bool call = ends_by("<|call|>") || ends_by("<|calls|>");
  if (call && (ends_by("<|return|>") || ends_by("<|flush|>"))) {
    const TokenId end = find("<|end|>");
    drop(end);
    if (special_.eot == end) special_.eot = -1;
  }
  // Gemma 4 has "</s>" as an HTML tag.
  if (ends_by("<|tool_response>") && ends_by("</s>")) {
    const TokenId tag = find("</s>");
    drop(tag);
    types_[static_cast<size_t>(tag)] = TokenType::kNormal;
  }
  for (const TokenId id : {special_.eos, special_.eot, eom, fim_pad, fim_repo, fim_separator}) {
    if (id >= 0) ends.push_back(id);
  }
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
}

// Which tokens take the white space beside them is in tokenizer.json, but not in GGUF.
Result<void> Vocab::LoadStripping(const Metadata& metadata) {
  LB_ASSIGN_OR_RETURN(std::optional<std::string> name, metadata.String("general.name"));
  LB_ASSIGN_OR_RETURN(const auto architecture, metadata.String("general.architecture"));
  LB_ASSIGN_OR_RETURN(const auto pre, metadata.String("tokenizer.ggml.pre"));
  std::string lower = name.value_or("");
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto any = [](const std::string& text, std::initializer_list<const char*> parts) {
    return std::any_of(parts.begin(), parts.end(),
                       [&](const char* part) { return text.find(part) != text.npos; });
  };
  const bool mask_left = any(pre.value_or(""), {"jina-v2-de", "jina-v2-es", "jina-v2-code"}) ||
                         any(architecture.value_or(""), {"nomic-bert-moe", "jina-bert-v3"}) ||
                         any(lower, {"modern-bert"});
  const bool phi3 = any(lower, {"phi-3", "phi3"});
  if (!mask_left && !phi3) return {};
  for (TokenId id = 0; id < size(); ++id) {
    const std::string_view text = Text(id);
    const TokenType type = Type(id);
    if (mask_left && (text == "<mask>" || text == "[MASK]")) {
      strip_[static_cast<size_t>(id)] = kLeft;
    }
    const bool marker = type == TokenType::kControl || type == TokenType::kUserDefined ||
                        type == TokenType::kUnknown;
    if (phi3 && marker && text != "<unk>" && text != "<s>" && text != "<|endoftext|>") {
      strip_[static_cast<size_t>(id)] = kRight;
    }
  }
  return {};
}

Result<Vocab> Vocab::Load(const Metadata& metadata, const VocabDefaults& defaults) {
  Vocab vocab;
  LB_RETURN_IF_ERROR(vocab.LoadTexts(metadata));
  LB_RETURN_IF_ERROR(vocab.LoadTypes(metadata));
  LB_RETURN_IF_ERROR(vocab.LoadScores(metadata));
  LB_RETURN_IF_ERROR(vocab.LoadSpecial(metadata, defaults));
  LB_RETURN_IF_ERROR(vocab.LoadStripping(metadata));
  return vocab;
}

}  // namespace lb::text
