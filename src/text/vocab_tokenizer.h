// What all tokenizers have in common: special tokens, beginnings and ends, and decoding.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/fragment_cache.h"
#include "text/special_matcher.h"
#include "text/tokenizer.h"
#include "text/vocab.h"

namespace lb::text {

// U+2581, SentencePiece's visible space.
inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

// Immutable after construction but for what it keeps of texts that came lately, which changes no answer; thread-safe.
class VocabTokenizer : public Tokenizer {
 public:
  using Tokenizer::Encode;
  std::vector<TokenId> Encode(std::span<const TextSpan> spans, bool add_special) const final;
  std::string TokenBytes(TokenId id, bool special) const final;
  std::string Decode(std::span<const TokenId> ids, bool special) const final;

  std::string_view TokenText(TokenId id) const final {
    return vocab_->Has(id) ? vocab_->Text(id) : std::string_view();
  }
  TokenType Type(TokenId id) const final {
    return vocab_->Has(id) ? vocab_->Type(id) : TokenType::kUnused;
  }
  int num_tokens() const final { return vocab_->size(); }
  const SpecialTokens& special() const final { return vocab_->special(); }
  std::string_view model() const final { return model_; }
  std::string_view pre() const final { return pre_; }

 protected:
  // `prefixes_space`: Encode puts a space before text at the start and after a special token, so
  // Decode takes it away again.
  VocabTokenizer(std::unique_ptr<const Vocab> vocab, std::string model, std::string pre,
                 bool prefixes_space);

  // Appends the tokens of `text`, in which there are no special tokens. `text` stands at the
  // start, or right behind a special token. Never writes a control or unknown token but `unk`.
  virtual void EncodeText(std::string_view text, std::vector<TokenId>* ids) const = 0;
  // The bytes of a token of type normal, unused or byte.
  virtual std::string NormalBytes(TokenId id) const = 0;

  const Vocab& vocab() const { return *vocab_; }

  // Appends what stands for bytes that no token spells: the unknown token, if there is one.
  void AppendUnknown(std::vector<TokenId>* ids) const;

 private:
  // Neighbouring fragments, none of them a control token; out of the cache where it can be.
  void EncodeStretch(std::span<const Fragment> fragments, std::vector<TokenId>* ids) const;

  std::unique_ptr<const Vocab> vocab_;
  SpecialMatcher matcher_;
  std::string model_;
  std::string pre_;
  bool prefixes_space_;
  mutable FragmentCache cache_;
};

// The value of a byte token's text "<0x41>", or -1.
int ByteTokenValue(std::string_view text);
// `text` with each U+2581 a space.
std::string UnmarkSpaces(std::string_view text);

}  // namespace lb::text
