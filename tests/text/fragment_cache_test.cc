// Proves that the cache of tokenized texts gives what was put there, keeps to its bytes, and lets go of what was not asked for longest;
// and that a tokenizer answers the same with it, from many threads at once.
#include "text/fragment_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "text/tokenizer.h"
#include "tiny_vocabs.h"

namespace lb::text {
namespace {

using Ids = std::vector<TokenId>;

TEST(FragmentCache, GivesWhatWasPutThereBehindWhatIsThere) {
  FragmentCache cache(10'000);
  Ids ids = {7};
  EXPECT_FALSE(cache.Find("a text", &ids));
  cache.Add("a text", Ids{1, 2, 3});
  cache.Add("", Ids{});
  cache.Add("a text", Ids{9});  // the first stays
  EXPECT_TRUE(cache.Find("a text", &ids));
  EXPECT_TRUE(cache.Find("", &ids));
  EXPECT_FALSE(cache.Find("a tex", &ids));
  EXPECT_EQ(ids, (Ids{7, 1, 2, 3}));
}

TEST(FragmentCache, LetsGoOfWhatWasNotAskedForLongest) {
  FragmentCache cache(4'000);  // ten of these
  const auto text = [](int i) { return std::string(100, static_cast<char>('a' + i)); };
  const auto has = [&](int i) {
    Ids ids;
    return cache.Find(text(i), &ids);
  };
  for (int i = 0; i < 10; ++i) cache.Add(text(i), Ids(25, i));
  EXPECT_TRUE(has(0));
  for (int i = 10; i < 18; ++i) cache.Add(text(i), Ids(25, i));
  EXPECT_TRUE(has(0));
  EXPECT_FALSE(has(1));
  EXPECT_FALSE(has(8));
  EXPECT_TRUE(has(9));
  EXPECT_TRUE(has(17));
  // One that would push out most of them is not taken.
  cache.Add(std::string(1'000, 'x'), Ids(200, 1));
  Ids ids;
  EXPECT_FALSE(cache.Find(std::string(1'000, 'x'), &ids));
  EXPECT_TRUE(has(17));
}

// Texts with the spellings of control and user-defined tokens in them, some of which may become such: what stands between two control
// tokens has the tokens that a tokenizer gives it which has seen nothing before.
TEST(FragmentCache, AStretchIsTheSameWhereverItStands) {
  std::mt19937 rng(7);
  const auto pick = [&](size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(rng); };
  const std::vector<std::string> pieces = {"hello", " ", "  ", "\n", "\n\n", "world", "<think>", "<|im_end|>", "<|im_start|>", "<s>", "</s>", "<", "123",
                                           "\xC3\xA9", "\xE4\xBD\xA0", "[SEP]", "[MASK]", "he", "\t"};
  std::vector<std::string> texts;
  for (int i = 0; i < 6; ++i) {
    std::string text;
    while (text.size() < 300 + 60 * static_cast<size_t>(i)) text += pieces[pick(pieces.size())];
    texts.push_back(std::move(text));
  }
  for (TinyVocab vocab : {TinyBpe("gpt-2"), TinySentencePiece("llama"), TinySentencePiece("t5"), TinyBert()}) {
    const gguf::Metadata metadata = vocab.Build();
    const auto make = [&] { return std::move(Tokenizer::FromMetadata(metadata)).value(); };
    const auto tokenizer = make();
    for (int round = 0; round < 400; ++round) {
      std::vector<TextSpan> spans;
      for (size_t n = 1 + pick(6); n > 0; --n) {
        const bool text = pick(2) == 0;
        spans.push_back({text ? texts[pick(texts.size())] : pieces[pick(pieces.size())], pick(2) == 0});
      }
      const bool add_special = pick(2) == 0;
      ASSERT_EQ(tokenizer->Encode(spans, add_special), make()->Encode(spans, add_special)) << tokenizer->model() << " round " << round;
    }
  }
}

TEST(FragmentCache, ATokenizerAnswersTheSameWithItFromManyThreads) {
  const gguf::Metadata vocab = TinyBpe("gpt-2").Build();
  const auto make = [&] { return std::move(Tokenizer::FromMetadata(vocab)).value(); };
  std::vector<std::string> texts;
  std::vector<Ids> expected;
  for (int i = 0; i < 20; ++i) {
    std::string text;
    for (int word = 0; word < 200; ++word) text += word * (i + 3) % 7 == 0 ? " hello" : word % 3 == 0 ? "123" : "\nhe";
    expected.push_back(make()->Encode(text, true, true));  // one that has seen nothing yet
    texts.push_back(std::move(text));
  }
  const auto tokenizer = make();
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (size_t round = 0; round < 200; ++round) {
        const size_t i = round * (t + 3) % texts.size();
        wrong[t] += tokenizer->Encode(texts[i], true, true) != expected[i];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, testing::Each(0));
}

}  // namespace
}  // namespace lb::text
