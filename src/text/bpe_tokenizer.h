// Byte-pair encoding: over bytes ("gpt2"), or over characters in SentencePiece's dress ("gemma4").
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/join_table.h"
#include "text/merge_table.h"
#include "text/pre_tokenizer.h"
#include "text/string_table.h"
#include "text/vocab_tokenizer.h"

namespace lb::text {

// Immutable after Create, thread-safe. Source: Sennrich et al. 2016; GPT-2's encoder.py for bytes.
class BpeTokenizer final : public VocabTokenizer {
 public:
  // `model` is "gpt2" or "gemma4". An unknown tokenizer.ggml.pre is warned of, and read as
  // "default".
  static Result<std::unique_ptr<Tokenizer>> Create(const gguf::Metadata& metadata,
                                                   const std::string& model);

 protected:
  void EncodeText(std::string_view text, std::vector<TokenId>* ids) const override;
  std::string NormalBytes(TokenId id) const override;

 private:
  BpeTokenizer(std::unique_ptr<const Vocab> vocab, std::string model, std::string pre,
               const PreTokenizerSpec& spec, PreTokenizer splitter);

  Result<void> LoadMerges(const gguf::Metadata& metadata);
  void LoadSymbols();
  void LoadByteTokens();
  Result<void> CheckByteTokens();
  std::string Spellable(std::string_view text) const;
  void EncodeWord(std::string_view word, SymbolMerger* merger, std::vector<TokenId>* ids) const;
  // `text` is a word, or a part of one that no merge reaches out of.
  void EncodeStretch(std::string_view text, SymbolMerger* merger, std::vector<TokenId>* ids) const;
  void AppendBytes(std::string_view bytes, std::vector<TokenId>* ids) const;

  const bool characters_;  // symbols are characters, spaces are marked, byte tokens fall back
  const bool ignore_merges_;
  PreTokenizer splitter_;
  StringTable symbols_;             // texts of tokens and of parts of merges, as bytes
  std::vector<TokenId> token_of_;   // [symbols_], -1 for what only merges on
  MergeTable merges_;
  JoinTable joins_;                 // of the merges, where symbols are characters
  std::array<uint32_t, 256> byte_symbol_{};
  std::array<TokenId, 256> byte_token_{};
  bool lacks_bytes_ = false;  // some of them are -1
};

}  // namespace lb::text
