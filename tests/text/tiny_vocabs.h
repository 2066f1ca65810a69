// Small vocabularies of every kind, built by hand: for tests that need no files, and for fuzzing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/utf8.h"
#include "gguf/metadata.h"

namespace lb::text {

// Metadata under construction.
class TinyVocab {
 public:
  // The numbers of tokenizer.ggml.token_type.
  enum Type { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

  explicit TinyVocab(std::string model) { String("tokenizer.ggml.model", std::move(model)); }

  int64_t Add(std::string text, Type type = kNormal, double score = 0) {
    tokens_.push_back(std::move(text));
    types_.push_back(type);
    scores_.push_back(score);
    return static_cast<int64_t>(tokens_.size()) - 1;
  }
  void Merge(const std::string& left, const std::string& right) {
    merges_.push_back(left + " " + right);
    Add(left + right);
  }
  void String(const char* key, std::string value) {
    metadata_.Set(key, {gguf::ValueType::kString, {}, std::move(value)});
  }
  void Int(const char* key, int64_t value) {
    metadata_.Set(key, {gguf::ValueType::kInt64, {}, value});
  }
  void Bool(const char* key, bool value) {
    metadata_.Set(key, {gguf::ValueType::kBool, {}, value});
  }
  void Ints(const char* key, std::vector<int64_t> values) {
    metadata_.Set(key, {gguf::ValueType::kArray, gguf::ValueType::kInt32, std::move(values)});
  }

  gguf::Metadata Build() {
    metadata_.Set("tokenizer.ggml.tokens",
                  {gguf::ValueType::kArray, gguf::ValueType::kString, tokens_});
    metadata_.Set("tokenizer.ggml.scores",
                  {gguf::ValueType::kArray, gguf::ValueType::kFloat32, scores_});
    Ints("tokenizer.ggml.token_type", types_);
    if (!merges_.empty()) {
      metadata_.Set("tokenizer.ggml.merges",
                    {gguf::ValueType::kArray, gguf::ValueType::kString, merges_});
    }
    return metadata_;
  }

 private:
  gguf::Metadata metadata_;
  std::vector<std::string> tokens_;
  std::vector<int64_t> types_;
  std::vector<double> scores_;
  std::vector<std::string> merges_;
};

// GPT-2's character for a byte.
inline std::string ByteCharacter(int byte) {
  const auto itself = [](int b) {
    return (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
  };
  char32_t code = static_cast<char32_t>(byte);
  if (!itself(byte)) {
    code = 0x100;
    for (int b = 0; b < byte; ++b) code += itself(b) ? 0 : 1;
  }
  std::string text;
  AppendUtf8(code, &text);
  return text;
}

inline std::string ByteToken(int byte) {
  constexpr char kHex[] = "0123456789ABCDEF";
  return {'<', '0', 'x', kHex[byte >> 4], kHex[byte & 15], '>'};
}

// All 256 bytes, a few merges, "<s>" as BOS, "<|im_start|>", "<|im_end|>" (control), "<think>"
// (user-defined).
inline TinyVocab TinyBpe(const std::string& pre) {
  TinyVocab vocab("gpt2");
  vocab.String("tokenizer.ggml.pre", pre);
  for (int byte = 0; byte < 256; ++byte) vocab.Add(ByteCharacter(byte));
  vocab.Int("tokenizer.ggml.bos_token_id", vocab.Add("<s>", TinyVocab::kControl));
  vocab.Add("<|im_start|>", TinyVocab::kControl);
  vocab.Int("tokenizer.ggml.eos_token_id", vocab.Add("<|im_end|>", TinyVocab::kControl));
  vocab.Add("<think>", TinyVocab::kUserDefined);
  const std::string space = ByteCharacter(' '), line = ByteCharacter('\n');
  vocab.Merge("h", "e");
  vocab.Merge("l", "l");
  vocab.Merge("he", "ll");
  vocab.Merge("hell", "o");
  vocab.Merge(space, "hello");
  vocab.Merge(space, space);
  vocab.Merge(space + space, space + space);
  vocab.Merge(line, line);
  vocab.Merge("<", "|");
  vocab.Merge("|", ">");
  vocab.Merge("1", "2");
  vocab.Merge("12", "3");
  vocab.Merge(ByteCharacter(0xC3), ByteCharacter(0xA9));
  return vocab;
}

// The same words in SentencePiece's ways; `model` is "llama" or "t5".
inline TinyVocab TinySentencePiece(const std::string& model) {
  TinyVocab vocab(model);
  vocab.Int("tokenizer.ggml.unknown_token_id", vocab.Add("<unk>", TinyVocab::kUnknown));
  vocab.Int("tokenizer.ggml.bos_token_id", vocab.Add("<s>", TinyVocab::kControl));
  vocab.Int("tokenizer.ggml.eos_token_id", vocab.Add("</s>", TinyVocab::kControl));
  for (int byte = 0; byte < 256; ++byte) vocab.Add(ByteToken(byte), TinyVocab::kByte);
  vocab.Add("<think>", TinyVocab::kUserDefined);
  double score = 0;
  for (const char* piece :
       {"he", "ll", "hell", "hello", "\xE2\x96\x81hello", "\xE2\x96\x81\xE2\x96\x81", "wor", "ld",
        "world", "<s", "12", "\xE4\xBD\xA0\xE5\xA5\xBD", "\xE2\x96\x81", "h", "e", "l", "o", "w",
        "r", "d", "<", ">", "s", "/", "1", "2", "\n", "\xE4\xBD\xA0", "\xE5\xA5\xBD", "\xC3\xA9"}) {
    vocab.Add(piece, TinyVocab::kNormal, score -= 1);
  }
  return vocab;
}

inline TinyVocab TinyBert() {
  TinyVocab vocab("bert");
  vocab.Int("tokenizer.ggml.padding_token_id", vocab.Add("[PAD]", TinyVocab::kControl));
  vocab.Int("tokenizer.ggml.unknown_token_id", vocab.Add("[UNK]", TinyVocab::kControl));
  vocab.Int("tokenizer.ggml.cls_token_id", vocab.Add("[CLS]", TinyVocab::kControl));
  vocab.Int("tokenizer.ggml.seperator_token_id", vocab.Add("[SEP]", TinyVocab::kControl));
  for (const char* piece :
       {"\xE2\x96\x81hello", "\xE2\x96\x81h", "ello", "e", "l", "o", "\xE2\x96\x81world",
        "\xE2\x96\x81" "cafe", "\xE2\x96\x81.", "\xE2\x96\x81,", "\xE2\x96\x81'", "\xE2\x96\x81s",
        "s", "\xE2\x96\x81\xE4\xBD\xA0", "\xE2\x96\x81[", "\xE2\x96\x81]"}) {
    vocab.Add(piece);
  }
  return vocab;
}

}  // namespace lb::text
