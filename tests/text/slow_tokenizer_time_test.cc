// Proves case C17: a million of any one character takes linear time, on a stack of 512 KiB, in every
// vocabulary.
#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <ctime>
#include <functional>
#include <iostream>
#include <set>
#include <string>

#include "text/pre_tokenizer.h"
#include "text/tokenizer.h"
#include "vocab_files.h"

namespace lb::text {
namespace {

// Runs `work` on a thread of its own whose stack is 512 KiB.
void OnSmallStack(std::function<void()> work) {
  pthread_attr_t attributes;
  ASSERT_EQ(pthread_attr_init(&attributes), 0);
  ASSERT_EQ(pthread_attr_setstacksize(&attributes, 512 << 10), 0);
  pthread_t thread;
  const auto entry = [](void* data) -> void* {
    (*static_cast<std::function<void()>*>(data))();
    return nullptr;
  };
  ASSERT_EQ(pthread_create(&thread, &attributes, entry, &work), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
}

std::string Repeat(std::string_view unit, size_t count) {
  std::string text;
  text.reserve(unit.size() * count);
  for (size_t i = 0; i < count; ++i) text += unit;
  return text;
}

// Processor seconds of this thread in `work`.
double Seconds(const std::function<void()>& work) {
  timespec begin{}, end{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
  work();
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
  return static_cast<double>(end.tv_sec - begin.tv_sec) +
         static_cast<double>(end.tv_nsec - begin.tv_nsec) * 1e-9;
}

struct Case {
  std::string_view unit;
  std::string_view last;  // a run followed by something else is where backtracking hurts
};

constexpr std::string_view kHan = "\xE4\xBD\xA0";
constexpr Case kCases[] = {
    {"A", ""}, {"a", ""}, {" ", ""}, {" ", kHan}, {"\n", ""}, {"\n", kHan}, {"1", ""}, {"1", "a"},
    {"\r\n", ""}, {".", ""}, {kHan, ""}, {"'s", ""}, {"Ab", ""}, {"\xC3\xA9", ""}, {" \n", "x"},
    {"\t ", "x"}, {"<", ""}, {"\xFF", ""}, {"\xE2\x80\x8D", ""}, {"\xCC\x81", ""},
    {"\xF0\x9F\x98\x80", ""}, {"a ", "1"}, {"A", "1"}, {"\xE4\xBD\xA0" "A", ""}};

// Runs `work` on 100,000 and on 1,000,000 of each case: ten times the time if it is linear, a hundred
// times if it is quadratic. Caches and other processes can spoil a measurement, hence a bound far from
// both, and the best of some where the first is not well within it; the slowest is printed (it should
// be below a second).
void ExpectLinear(const std::string& name, const std::function<void(const std::string&)>& work,
                  double* slowest) {
  int runs = 0;
  // Another beginning each time: a tokenizer remembers what it has seen.
  const auto seconds = [&](const std::string& text) {
    const std::string other = std::to_string(++runs) + '\n' + text;
    return Seconds([&] { work(other); });
  };
  for (const Case& c : kCases) {
    const std::string small = Repeat(c.unit, 100000).append(c.last);
    const std::string large = Repeat(c.unit, 1000000).append(c.last);
    double small_s = 1e9, large_s = 1e9;
    for (int attempt = 0; attempt < 5; ++attempt) {
      for (int i = 0; i < 3; ++i) small_s = std::min(small_s, seconds(small));
      large_s = std::min(large_s, seconds(large));
      if (large_s <= 20 * small_s) break;
    }
    *slowest = std::max(*slowest, large_s);
    EXPECT_LE(large_s, 30 * small_s + 0.05) << name << ": \"" << c.unit << "\"";
  }
}

TEST(SlowTokenizerTime, AMillionOfOneCharacter) {
  SKIP_WITHOUT_VOCABULARIES();
  double slowest = 0;
  std::set<std::string> seen;
  for (const std::string& name : VocabNames(false)) {
    const auto tokenizer = LoadTokenizer(VocabPath(name));
    ASSERT_NE(tokenizer, nullptr);
    // One vocabulary of each kind of byte-pair splitting.
    const bool first = seen.insert(std::string(tokenizer->pre())).second;
    if (!first && tokenizer->model() == "gpt2") continue;
    OnSmallStack([&] {
      ExpectLinear(
          name, [&](const std::string& text) { EXPECT_FALSE(tokenizer->Encode(text, true, true).empty()); },
          &slowest);
    });
  }
  std::cout << "slowest: " << slowest << " s\n";
}

TEST(SlowTokenizerTime, EverySplitter) {
  double slowest = 0;
  for (const PreTokenizerSpec& spec : PreTokenizerSpecs()) {
    const auto splitter = PreTokenizer::Create(spec);
    ASSERT_TRUE(splitter.has_value());
    OnSmallStack([&] {
      ExpectLinear(
          std::string(spec.names[0]),
          [&](const std::string& text) {
            size_t words = 0;
            splitter->Split(text, [&](std::string_view) { ++words; });
            EXPECT_GT(words, 0u);
          },
          &slowest);
    });
  }
  std::cout << "slowest: " << slowest << " s\n";
}

}  // namespace
}  // namespace lb::text
