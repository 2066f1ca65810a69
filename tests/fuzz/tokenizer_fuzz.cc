// Fuzzes the tokenizers, in two ways. Any bytes as text for small vocabularies of every kind: no
// crash, ids in range, nothing lost where nothing may be, no control token out of plain text, the
// same tokens however the text is cut. And any bytes as a vocabulary: an error of one line, or a
// tokenizer that encodes and decodes.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/utf8.h"
#include "tests/text/tiny_vocabs.h"
#include "text/detokenizer.h"
#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"

namespace {

using lb::TokenId;
using lb::text::TextSpan;
using lb::text::TinyVocab;
using lb::text::Tokenizer;
using lb::text::TokenType;

class Input {
 public:
  Input(const uint8_t* data, size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}
  uint8_t Byte() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(rest_[0]);
    rest_.remove_prefix(1);
    return byte;
  }
  std::string Take(size_t size) {
    const std::string taken(rest_.substr(0, size));
    rest_.remove_prefix(taken.size());
    return taken;
  }
  bool empty() const { return rest_.empty(); }
  std::string Rest() { return Take(rest_.size()); }

 private:
  std::string_view rest_;
};

std::vector<std::unique_ptr<Tokenizer>> MakeTokenizers() {
  spdlog::set_level(spdlog::level::off);
  std::vector<std::unique_ptr<Tokenizer>> made;
  const auto add = [&](TinyVocab vocab) {
    auto tokenizer = Tokenizer::FromMetadata(vocab.Build());
    CHECK(tokenizer.has_value());
    made.push_back(std::move(tokenizer).value());
  };
  for (const auto& spec : lb::text::PreTokenizerSpecs()) {
    if (!spec.sentencepiece_style) add(lb::text::TinyBpe(std::string(spec.names[0])));
  }
  for (const bool prefix : {false, true}) {
    TinyVocab llama = lb::text::TinySentencePiece("llama");
    llama.Bool("tokenizer.ggml.add_space_prefix", prefix);
    add(llama);
    TinyVocab t5 = lb::text::TinySentencePiece("t5");
    t5.Bool("tokenizer.ggml.remove_extra_whitespaces", prefix);
    add(t5);
    TinyVocab gemma = lb::text::TinySentencePiece("gemma4");
    gemma.Merge("h", "e");
    gemma.Merge("\xE2\x96\x81", "\xE2\x96\x81");
    gemma.Merge("l", "l");
    gemma.Merge("he", "ll");
    add(gemma);
  }
  add(lb::text::TinyBert());
  return made;
}

void CheckIds(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  for (const TokenId id : ids) CHECK(id >= 0 && id < tokenizer.num_tokens());
  lb::text::Detokenizer detokenizer(tokenizer, true);
  std::string streamed, bytes;
  for (const TokenId id : ids) {
    streamed += detokenizer.Push(id);
    CHECK(lb::IsValidUtf8(streamed));
    bytes += tokenizer.TokenBytes(id, true);
  }
  streamed += detokenizer.Flush();
  CHECK(streamed == lb::ToValidUtf8(bytes));
  static_cast<void>(tokenizer.Decode(ids, false));
}

void FuzzText(Input input) {
  static const std::vector<std::unique_ptr<Tokenizer>> tokenizers = MakeTokenizers();
  const Tokenizer& tokenizer = *tokenizers[input.Byte() % tokenizers.size()];
  const size_t cut = input.Byte();
  const std::string text = input.Rest();

  const std::vector<TokenId> ids = tokenizer.Encode(text, false, false);
  CheckIds(tokenizer, ids);
  for (const TokenId id : ids) {
    CHECK(tokenizer.Type(id) != TokenType::kControl || id == tokenizer.special().unk);
  }
  const bool marks = tokenizer.model() != "gpt2";
  const bool exact = tokenizer.model() != "bert" && tokenizer.model() != "t5";
  if (exact && !(marks && text.find("\xE2\x96\x81") != text.npos)) {
    CHECK(tokenizer.Decode(ids, false) == text);
  }
  const std::string_view view = text;
  const size_t at = std::min(cut, text.size());
  const std::vector<TextSpan> plain{{view.substr(0, at), false}, {view.substr(at), false}};
  CHECK(tokenizer.Encode(plain, false) == ids);
  const std::vector<TextSpan> mixed{{view.substr(0, at), true}, {view.substr(at), false}};
  CheckIds(tokenizer, tokenizer.Encode(mixed, true));
}

// A string of printable or any bytes, or one that a vocabulary is likely to have.
std::string Word(Input* input) {
  static const char* const kWords[] = {"<s>", "<|im_end|>", "<0x41>", "\xE2\x96\x81", "a", "b", "ab",
                                       "\xC4\xA0", "\n", "</s>", "[UNK]", "<|end|>", "a b", ""};
  const uint8_t kind = input->Byte();
  return kind < std::size(kWords) ? kWords[kind] : input->Take(kind % 9);
}

void FuzzVocabulary(Input input) {
  static const char* const kModels[] = {"gpt2", "gemma4", "llama", "bert", "t5", "rwkv"};
  static const char* const kIds[] = {
      "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id",
      "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.seperator_token_id",
      "tokenizer.ggml.eot_token_id", "tokenizer.ggml.cls_token_id",
      "tokenizer.ggml.fim_pre_token_id"};
  static const char* const kFlags[] = {
      "tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token",
      "tokenizer.ggml.add_sep_token", "tokenizer.ggml.add_space_prefix",
      "tokenizer.ggml.remove_extra_whitespaces", "tokenizer.ggml.normalizer.lowercase",
      "tokenizer.ggml.normalizer.strip_accents"};
  const auto specs = lb::text::PreTokenizerSpecs();
  TinyVocab vocab(kModels[input.Byte() % std::size(kModels)]);
  vocab.String("tokenizer.ggml.pre", std::string(specs[input.Byte() % specs.size()].names[0]));
  const uint8_t names = input.Byte();
  if (names % 4 == 0) vocab.String("general.name", "Phi-3");
  if (names % 4 == 1) vocab.String("general.architecture", "nomic-bert-moe");
  if (input.Byte() % 2 == 0) {
    for (int byte = 0; byte < 256; ++byte) vocab.Add(lb::text::ByteCharacter(byte));
  }
  for (uint8_t tokens = input.Byte() % 48; tokens > 0; --tokens) {
    const std::string text = Word(&input);
    const uint8_t kind = input.Byte();
    vocab.Add(text, static_cast<TinyVocab::Type>(kind % 8), static_cast<int8_t>(input.Byte()));
  }
  for (uint8_t merges = input.Byte() % 24; merges > 0; --merges) {
    const std::string left = Word(&input);
    vocab.Merge(left, Word(&input));
  }
  for (uint8_t ids = input.Byte() % 8; ids > 0; --ids) {
    const char* key = kIds[input.Byte() % std::size(kIds)];
    vocab.Int(key, static_cast<int8_t>(input.Byte()));
  }
  for (uint8_t flags = input.Byte() % 8; flags > 0; --flags) {
    vocab.Bool(kFlags[input.Byte() % std::size(kFlags)], input.Byte() % 2 == 0);
  }
  if (input.Byte() % 2 == 0) {
    std::vector<int64_t> charsmap;
    if (input.Byte() % 2 == 0) charsmap = {static_cast<int64_t>(input.Byte()) & ~3, 0, 0, 0};
    for (const char c : input.Take(input.Byte())) charsmap.push_back(static_cast<uint8_t>(c));
    vocab.Ints("tokenizer.ggml.precompiled_charsmap", std::move(charsmap));
  }
  const auto tokenizer = Tokenizer::FromMetadata(vocab.Build());
  if (!tokenizer.has_value()) {
    CHECK(!tokenizer.error().message.empty());
    CHECK(tokenizer.error().message.find('\n') == std::string::npos);
    return;
  }
  const std::string text = input.Rest();
  CheckIds(**tokenizer, (*tokenizer)->Encode(text, false, false));
  CheckIds(**tokenizer, (*tokenizer)->Encode(text, true, true));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  if (input.Byte() % 4 == 0) {
    FuzzVocabulary(input);
  } else {
    FuzzText(input);
  }
  return 0;
}
