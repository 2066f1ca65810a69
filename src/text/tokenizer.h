// Text to token ids and back, as the model's GGUF metadata say.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/strong_id.h"
#include "gguf/metadata.h"

namespace lb::text {

// What a token is; the numbers of tokenizer.ggml.token_type.
enum class TokenType : uint8_t {
  kNormal = 1, kUnknown, kControl, kUserDefined, kUnused, kByte,
};

// A stretch of text to encode. Only in a `special` stretch do spellings of control tokens
// ("<|im_end|>") become those tokens: what a user wrote is never one.
struct TextSpan {
  std::string_view text;
  bool special = false;
};

// Ids with a meaning, -1 where the model has none.
struct SpecialTokens {
  TokenId bos = -1, eos = -1, eot = -1, unk = -1, sep = -1, pad = -1, mask = -1, cls = -1;
  TokenId fim_prefix = -1, fim_suffix = -1, fim_middle = -1;
  TokenId fim_repo = -1, fim_separator = -1;  // before a repository's name, and before each file's
  bool can_fill_in() const { return fim_prefix >= 0 && fim_suffix >= 0 && fim_middle >= 0; }
  bool add_bos = false, add_eos = false, add_sep = false;
  // Every id that ends an answer: eos, eot, and the tokens known to mean end of turn or message.
  std::vector<TokenId> end_of_generation;
};

// Immutable after construction, thread-safe. Time is linear in the text, stack use is bounded.
class Tokenizer {
 public:
  // Reads tokenizer.ggml.*; refuses an unknown model by name, and metadata that contradict each
  // other (ids out of range, missing byte tokens) with the key.
  static Result<std::unique_ptr<Tokenizer>> FromMetadata(const gguf::Metadata& metadata);
  virtual ~Tokenizer() = default;

  // The tokens of the spans one after the other, as one text. `add_special` adds BOS/EOS (CLS/SEP) where the
  // model wants them; a text that already begins with BOS gets no second one. Text need not be
  // valid UTF-8: bad bytes are encoded as the model encodes bytes.
  virtual std::vector<TokenId> Encode(std::span<const TextSpan> spans, bool add_special) const = 0;
  std::vector<TokenId> Encode(std::string_view text, bool add_special, bool parse_special) const {
    const TextSpan span{text, parse_special};
    return Encode(std::span(&span, 1), add_special);
  }

  // The bytes one token stands for when it continues a text (a lone token may be part of a
  // character). Control tokens give "" unless `special`.
  virtual std::string TokenBytes(TokenId id, bool special) const = 0;
  // The text of `ids` as a whole: the start-of-text rules (SentencePiece's first space) applied.
  virtual std::string Decode(std::span<const TokenId> ids, bool special) const = 0;

  virtual std::string_view TokenText(TokenId id) const = 0;  // as stored in the vocabulary
  virtual TokenType Type(TokenId id) const = 0;
  virtual int num_tokens() const = 0;
  virtual const SpecialTokens& special() const = 0;
  virtual std::string_view model() const = 0;  // tokenizer.ggml.model: "gpt2", "llama", "bert", "t5"
  virtual std::string_view pre() const = 0;    // tokenizer.ggml.pre
  bool IsEndOfGeneration(TokenId id) const;
};

}  // namespace lb::text
