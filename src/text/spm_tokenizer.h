// SentencePiece's byte-pair models ("llama"): merge the neighbours whose text is the token of the
// highest score.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/join_table.h"
#include "text/string_table.h"
#include "text/symbol_merger.h"
#include "text/vocab_tokenizer.h"

namespace lb::text {

// Immutable after Create, thread-safe. Source: Kudo and Richardson 2018.
class SpmTokenizer final : public VocabTokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> Create(const gguf::Metadata& metadata);

 protected:
  void EncodeText(std::string_view text, std::vector<TokenId>* ids) const override;
  std::string NormalBytes(TokenId id) const override;

 private:
  SpmTokenizer(std::unique_ptr<const Vocab> vocab, std::string pre, bool add_space_prefix);

  void LoadSymbols();
  void LoadByteTokens();
  Result<void> CheckByteTokens() const;
  // `text` has its spaces marked, and no merge reaches over its ends.
  void EncodeStretch(std::string_view text, SymbolMerger* merger, std::vector<TokenId>* ids) const;

  const bool add_space_prefix_;
  StringTable symbols_;            // the tokens that text can become
  std::vector<TokenId> token_of_;  // [symbols_]
  std::vector<uint32_t> rank_of_;  // [symbols_] 0 for the highest score, equal for equal ones
  JoinTable joins_;                // of them
  size_t longest_ = 0;             // bytes of the longest of them
  std::array<TokenId, 256> byte_token_{};
};

}  // namespace lb::text
