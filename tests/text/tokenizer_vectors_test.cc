// Proves that every vector file of llama.cpp's vocabularies is met: text to ids, and ids back to
// the same text wherever the tokenizer loses nothing.
#include <gtest/gtest.h>

#include "text/tokenizer.h"
#include "vocab_files.h"

namespace lb::text {
namespace {

TEST(TokenizerVectors, EncodeAndDecode) {
  SKIP_WITHOUT_VOCABULARIES();
  const std::vector<std::string> names = VocabNames(true);
  EXPECT_GE(names.size(), 15u);
  for (const std::string& name : names) {
    const auto tokenizer = LoadTokenizer(VocabPath(name));
    ASSERT_NE(tokenizer, nullptr);
    const std::vector<TestVector> vectors = ReadVectors(name);
    EXPECT_GE(vectors.size(), 40u) << name;
    for (const TestVector& vector : vectors) {
      const std::vector<TokenId> ids = tokenizer->Encode(vector.text, false, false);
      EXPECT_EQ(ids, vector.ids) << name << ": \"" << vector.text << "\"";
      const std::string decoded = tokenizer->Decode(vector.ids, false);
      if (tokenizer->model() == "bert") {  // lower-cased, with other spaces: the same tokens still
        EXPECT_EQ(tokenizer->Encode(tokenizer->Decode(vector.ids, true), false, true), vector.ids)
            << name << ": " << decoded;
      } else {
        EXPECT_EQ(decoded, vector.text) << name;
      }
    }
  }
}

TEST(TokenizerVectors, VocabulariesWithoutVectorsLoadAndRoundTrip) {
  SKIP_WITHOUT_VOCABULARIES();
  const std::string text = "Hello, y'all! How are you \xF0\x9F\x98\x81 ?\n  \xE6\x88\x91\xE6\x83\xB3 3333";
  for (const std::string& name : VocabNames(false)) {
    const auto tokenizer = LoadTokenizer(VocabPath(name));
    ASSERT_NE(tokenizer, nullptr);
    const std::vector<TokenId> ids = tokenizer->Encode(text, false, false);
    EXPECT_GT(ids.size(), 10u) << name;
    if (tokenizer->model() == "gpt2" || tokenizer->model() == "llama") {
      EXPECT_EQ(tokenizer->Decode(ids, false), text) << name;
    }
  }
}

}  // namespace
}  // namespace lb::text
