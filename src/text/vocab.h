// The vocabulary of a GGUF file: each token's text, kind and score, and the ids with a meaning.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "gguf/metadata.h"
#include "text/tokenizer.h"

namespace lb::text {

// What holds where the metadata say nothing; it depends on the kind of tokenizer.
struct VocabDefaults {
  TokenId bos = -1, eos = -1, unk = -1, sep = -1, pad = -1, mask = -1;
  bool add_bos = false, add_eos = false, add_sep = false;
  bool force_add_bos = false;  // against the file: Gemma 4's says no and means yes
};

// Immutable after Load, thread-safe.
class Vocab {
 public:
  // kCorrupt names the key whose value cannot be: lists of different lengths, ids out of range.
  static Result<Vocab> Load(const gguf::Metadata& metadata, const VocabDefaults& defaults);

  int size() const { return static_cast<int>(types_.size()); }
  bool Has(TokenId id) const { return id >= 0 && id < size(); }
  std::string_view Text(TokenId id) const {
    const auto i = static_cast<size_t>(id);
    return std::string_view(arena_).substr(begin_[i], begin_[i + 1] - begin_[i]);
  }
  TokenType Type(TokenId id) const { return types_[static_cast<size_t>(id)]; }
  // 0 where the file has no scores; always finite.
  float Score(TokenId id) const {
    return scores_.empty() ? 0.0f : scores_[static_cast<size_t>(id)];
  }
  // Bytes of all texts together.
  size_t text_bytes() const { return arena_.size(); }
  const SpecialTokens& special() const { return special_; }
  // Tokens whose white space before (mask tokens) or behind them belongs to them.
  bool StripsLeft(TokenId id) const { return (strip_[static_cast<size_t>(id)] & kLeft) != 0; }
  bool StripsRight(TokenId id) const { return (strip_[static_cast<size_t>(id)] & kRight) != 0; }

 private:
  static constexpr uint8_t kLeft = 1, kRight = 2;

  Result<void> LoadTexts(const gguf::Metadata& metadata);
  Result<void> LoadTypes(const gguf::Metadata& metadata);
  Result<void> LoadScores(const gguf::Metadata& metadata);
  Result<void> LoadSpecial(const gguf::Metadata& metadata, const VocabDefaults& defaults);
  Result<void> LoadAddFlags(const gguf::Metadata& metadata, const VocabDefaults& defaults);
  // Finds turn ends and fill-in-the-middle marks by their text, makes control tokens of them, and
  // collects what ends an answer. `eom`, `pad`, ... are the ids the file names itself, or -1.
  void FindByText(TokenId eom, TokenId fim_pad, TokenId fim_repo, TokenId fim_separator);
  Result<void> LoadStripping(const gguf::Metadata& metadata);

  std::string arena_;
  std::vector<size_t> begin_{0};
  std::vector<TokenType> types_;
  std::vector<float> scores_;
  std::vector<uint8_t> strip_;
  SpecialTokens special_;
};

}  // namespace lb::text
