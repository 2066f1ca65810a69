// Proves that tokenizing loses nothing where it may not: any Unicode text, and any bytes, come
// back from byte-level and SentencePiece vocabularies; whole or one token at a time (cases C13, C16).
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/utf8.h"
#include "random_text.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"
#include "tiny_vocabs.h"
#include "vocab_files.h"

namespace lb::text {
namespace {

std::unique_ptr<Tokenizer> Make(TinyVocab vocab) {
  auto tokenizer = Tokenizer::FromMetadata(vocab.Build());
  EXPECT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
  return std::move(tokenizer).value();
}

// SentencePiece writes a space as U+2581, so that character cannot be told from one.
std::string WithoutSpaceMarks(std::string text) {
  for (size_t at = text.find("\xE2\x96\x81"); at != text.npos; at = text.find("\xE2\x96\x81")) {
    text.erase(at, 3);
  }
  return text;
}

std::string Streamed(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  Detokenizer detokenizer(tokenizer, false);
  std::string text;
  for (const TokenId id : ids) {
    const std::string part = detokenizer.Push(id);
    EXPECT_TRUE(IsValidUtf8(part));
    text += part;
  }
  return text + detokenizer.Flush();
}

// Three vocabularies lack the first bytes of some planes: U+FFFD stands for their characters.
std::string AsSpelled(const Tokenizer& tokenizer, const std::string& text) {
  std::string spelled;
  for (size_t pos = 0; pos < text.size();) {
    const auto length = static_cast<size_t>(DecodeUtf8(text, pos).length);
    const std::string c = text.substr(pos, length);
    const bool whole = tokenizer.Decode(tokenizer.Encode(c, false, false), false) == c;
    EXPECT_TRUE(whole || length == 4 || static_cast<unsigned char>(c[0]) < 0x20) << c;
    spelled += whole ? c : "\xEF\xBF\xBD";
    pos += length;
  }
  return spelled;
}

void ExpectRoundTrips(const Tokenizer& tokenizer, const std::string& name, int texts) {
  RandomText random(5);
  const bool marks = tokenizer.model() != "gpt2";
  for (int i = 0; i < texts; ++i) {
    std::string text = random.Text(30);
    if (marks) text = WithoutSpaceMarks(text);
    const std::vector<TokenId> ids = tokenizer.Encode(text, false, false);
    if (name == "falcon" || name == "refact" || name == "starcoder") {
      text = AsSpelled(tokenizer, text);
    }
    ASSERT_EQ(tokenizer.Decode(ids, false), text) << name;
    const std::string streamed = Streamed(tokenizer, ids);
    // The stream keeps the space that SentencePiece puts first.
    ASSERT_TRUE(streamed == text || streamed == " " + text) << name << ": " << text;
  }
}

TEST(TokenizerRoundTrip, TinyVocabularies) {
  ExpectRoundTrips(*Make(TinyBpe("gpt-2")), "tiny bpe", 10000);
  ExpectRoundTrips(*Make(TinySentencePiece("llama")), "tiny spm", 10000);
  TinyVocab no_prefix = TinySentencePiece("llama");
  no_prefix.Bool("tokenizer.ggml.add_space_prefix", false);
  ExpectRoundTrips(*Make(no_prefix), "tiny spm without prefix", 2000);
}

TEST(TokenizerRoundTrip, RealVocabularies) {
  SKIP_WITHOUT_VOCABULARIES();
  for (const std::string& name : VocabNames(false)) {
    const auto tokenizer = LoadTokenizer(VocabPath(name));
    ASSERT_NE(tokenizer, nullptr);
    if (tokenizer->model() == "bert" || tokenizer->model() == "t5") continue;
    ExpectRoundTrips(*tokenizer, name, name == "qwen2" || name == "llama-spm" ? 10000 : 1500);
  }
}

// Bytes that are no UTF-8 come back as they were, where the vocabulary has all bytes.
TEST(TokenizerRoundTrip, AnyBytes) {
  std::vector<std::unique_ptr<Tokenizer>> tokenizers;
  tokenizers.push_back(Make(TinyBpe("gpt-2")));
  tokenizers.push_back(Make(TinySentencePiece("llama")));
  if (!VocabNames(false).empty()) {
    for (const char* name : {"qwen2", "llama-bpe", "llama-spm", "gemma-4"}) {
      tokenizers.push_back(LoadTokenizer(VocabPath(name)));
    }
  }
  for (const auto& tokenizer : tokenizers) {
    RandomText random(9);
    for (int i = 0; i < 2000; ++i) {
      const std::string bytes = WithoutSpaceMarks(random.Bytes(20));
      const std::vector<TokenId> ids = tokenizer->Encode(bytes, false, false);
      ASSERT_EQ(tokenizer->Decode(ids, false), bytes) << tokenizer->model();
      const std::string streamed = Streamed(*tokenizer, ids);
      const std::string valid = ToValidUtf8(bytes);
      ASSERT_TRUE(streamed == valid || streamed == " " + valid) << tokenizer->model();
    }
  }
}

// Case C13: cut after any token, nothing but the end shows that a character was cut.
TEST(TokenizerRoundTrip, ACutCharacterIsOneMarkAtTheEnd) {
  const auto tokenizer = Make(TinyBpe("gpt-2"));
  const std::string text =
      "ab\xF0\x9F\x98\x80\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD\xE4\xBD\xA0\xE5\xA5\xBD\xC3\xA9";
  const std::vector<TokenId> ids = tokenizer->Encode(text, false, false);
  EXPECT_GT(ids.size(), 15u);
  for (size_t cut = 0; cut <= ids.size(); ++cut) {
    Detokenizer detokenizer(*tokenizer, false);
    std::string bytes, streamed;
    for (size_t i = 0; i < cut; ++i) {
      bytes += tokenizer->TokenBytes(ids[i], false);
      streamed += detokenizer.Push(ids[i]);
    }
    EXPECT_EQ(streamed, bytes.substr(0, ValidUtf8Prefix(bytes)));
    const std::string rest = detokenizer.Flush();
    EXPECT_EQ(rest, IsValidUtf8(bytes) ? "" : "\xEF\xBF\xBD") << cut;
    EXPECT_EQ(streamed + rest, ToValidUtf8(bytes));
    EXPECT_EQ(detokenizer.Flush(), "");
  }
}

TEST(TokenizerRoundTrip, IllFormedBytesDoNotWait) {
  const auto tokenizer = Make(TinyBpe("gpt-2"));
  const auto push = [&](Detokenizer* detokenizer, unsigned char byte) {
    return detokenizer->Push(byte);  // the tiny vocabulary's first 256 ids are the bytes
  };
  Detokenizer detokenizer(*tokenizer, false);
  EXPECT_EQ(push(&detokenizer, 0xFF), "\xEF\xBF\xBD");
  EXPECT_EQ(push(&detokenizer, 0xE4), "");
  EXPECT_EQ(push(&detokenizer, 0xBD), "");
  EXPECT_EQ(push(&detokenizer, 'a'), "\xEF\xBF\xBD" "a");  // one maximal subpart
  EXPECT_EQ(push(&detokenizer, 0xF0), "");
  EXPECT_EQ(push(&detokenizer, 0xE4), "\xEF\xBF\xBD");
  EXPECT_EQ(push(&detokenizer, 0xBD), "");
  EXPECT_EQ(push(&detokenizer, 0xA0), "\xE4\xBD\xA0");
}

TEST(TokenizerRoundTrip, ControlTokensShowOnlyWhenAsked) {
  const auto tokenizer = Make(TinyBpe("gpt-2"));
  const std::vector<TokenId> ids = tokenizer->Encode("a<|im_end|><think>", false, true);
  ASSERT_EQ(ids.size(), 3u);
  EXPECT_EQ(tokenizer->Decode(ids, false), "a<think>");
  EXPECT_EQ(tokenizer->Decode(ids, true), "a<|im_end|><think>");
}

// Ids come from clients too.
TEST(TokenizerRoundTrip, IdsOutOfRangeAreNothing) {
  const auto tokenizer = Make(TinyBpe("gpt-2"));
  for (const TokenId id : {-1, -2147483647 - 1, tokenizer->num_tokens(), 2147483647}) {
    EXPECT_EQ(tokenizer->TokenBytes(id, true), "");
    EXPECT_EQ(tokenizer->TokenText(id), "");
    EXPECT_EQ(tokenizer->Type(id), TokenType::kUnused);
    EXPECT_FALSE(tokenizer->IsEndOfGeneration(id));
    EXPECT_EQ(tokenizer->Decode(std::vector<TokenId>{id}, true), "");
  }
}

}  // namespace
}  // namespace lb::text
