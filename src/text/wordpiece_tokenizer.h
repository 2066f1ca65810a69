// BERT's tokenizer ("bert"): clean, split into words, then the longest known pieces from the left.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/char_set.h"
#include "text/trie.h"
#include "text/vocab_tokenizer.h"

namespace lb::text {

// Immutable after Create, thread-safe. Source: BERT's tokenization.py. GGUF spells "word" as
// "\u2581word" and "##piece" as "piece".
class WordPieceTokenizer final : public VocabTokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> Create(const gguf::Metadata& metadata);

 protected:
  void EncodeText(std::string_view text, std::vector<TokenId>* ids) const override;
  std::string NormalBytes(TokenId id) const override;

 private:
  // The word that is being read: its bytes behind a space mark, and how many characters it has.
  struct Word {
    std::string bytes{kSpaceMark};
    int characters = 0;
  };

  WordPieceTokenizer(std::unique_ptr<const Vocab> vocab, std::string pre, bool lowercase,
                     bool strip_accents);

  void AppendCharacter(char32_t c, Word* word, std::vector<TokenId>* ids) const;
  // Writes the word's pieces, or the unknown token, and empties it.
  void FinishWord(Word* word, std::vector<TokenId>* ids) const;

  const bool lowercase_;
  const bool strip_accents_;
  Trie pieces_;
  CharSet punctuation_;
  CharSet ignored_;  // control and format characters
  CharSet accents_;
};

}  // namespace lb::text
