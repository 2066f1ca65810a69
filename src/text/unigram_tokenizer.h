// SentencePiece's unigram models ("t5"): the cut of the text whose tokens' scores have the highest
// sum.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/charsmap.h"
#include "text/trie.h"
#include "text/vocab_tokenizer.h"

namespace lb::text {

// Immutable after Create, thread-safe. Source: Kudo 2018; scores are summed in double, as the
// training code does, so that ties fall the same way.
class UnigramTokenizer final : public VocabTokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> Create(const gguf::Metadata& metadata);

 protected:
  void EncodeText(std::string_view text, std::vector<TokenId>* ids) const override;
  std::string NormalBytes(TokenId id) const override;

 private:
  struct Options {
    bool add_space_prefix = true;
    bool remove_extra_spaces = false;
  };
  // The best way to reach a place in the text.
  struct Step {
    double score;
    uint32_t from;  // where its last token begins
    TokenId token;
  };

  UnigramTokenizer(std::unique_ptr<const Vocab> vocab, std::string pre, Options options,
                   Charsmap charsmap);

  void LoadTokens();
  std::string Normalize(std::string_view text) const;
  // Appends the tokens of `text`, which is cut off where no token reaches over.
  void AppendBest(std::string_view text, const std::vector<Step>& steps,
                  std::vector<TokenId>* ids) const;
  void AppendUnknownText(std::string_view text, bool after_unknown,
                         std::vector<TokenId>* ids) const;

  const Options options_;
  Charsmap charsmap_;
  Trie tokens_;
  std::vector<double> score_;  // [tokens]
  double unknown_score_ = 0;
  std::array<TokenId, 256> byte_token_{};
  bool has_bytes_ = false;  // all 256
};

}  // namespace lb::text
