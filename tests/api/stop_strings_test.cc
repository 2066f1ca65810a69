// Stop strings: the result depends on the text alone, whatever the cut; nothing of a match is given
// out; nothing is held back that cannot become one.
#include "api/stop_strings.h"

#include <gtest/gtest.h>

#include <random>

namespace lb::api {
namespace {

// What the header promises, by the plainest means: the first end of any match, the longest there.
std::string Naive(const std::string& text, const std::vector<std::string>& stops, bool* matched) {
  for (size_t end = 1; end <= text.size(); ++end) {
    size_t longest = 0;
    for (const std::string& stop : stops) {
      if (!stop.empty() && stop.size() <= end && stop.size() > longest &&
          text.compare(end - stop.size(), stop.size(), stop) == 0) {
        longest = stop.size();
      }
    }
    if (longest > 0) {
      *matched = true;
      return text.substr(0, end - longest);
    }
  }
  *matched = false;
  return text;
}

// Could `given` of the pushed text have been longer? Only if its rest is no beginning of a stop.
size_t NaiveHold(const std::string& text, const std::vector<std::string>& stops) {
  size_t hold = 0;
  for (const std::string& stop : stops) {
    for (size_t n = 1; n < stop.size() && n <= text.size(); ++n) {
      if (text.compare(text.size() - n, n, stop, 0, n) == 0) hold = std::max(hold, n);
    }
  }
  return hold;
}

void CheckAllCuts(const std::string& text, const std::vector<std::string>& stops) {
  bool matched = false;
  const std::string expected = Naive(text, stops, &matched);
  // Two cuts anywhere, and every byte alone.
  for (size_t a = 0; a <= text.size(); ++a) {
    for (size_t b = a; b <= text.size(); ++b) {
      StopStrings matcher(stops);
      std::string got;
      std::string pushed;
      for (const std::string& piece : {text.substr(0, a), text.substr(a, b - a), text.substr(b)}) {
        got += matcher.Push(piece);
        pushed += piece;
        if (matcher.matched()) continue;
        ASSERT_EQ(got.size() + NaiveHold(pushed, stops), pushed.size());
      }
      ASSERT_EQ(matcher.matched(), matched) << text;
      if (!matched) got += matcher.Flush();
      ASSERT_EQ(got, expected) << text << " cut at " << a << " and " << b;
    }
  }
  StopStrings matcher(stops);
  std::string got;
  for (const char c : text) got += matcher.Push(std::string_view(&c, 1));
  if (!matcher.matched()) got += matcher.Flush();
  ASSERT_EQ(got, expected);
}

TEST(StopStrings, CasesOfC14OverEveryCut) {
  const std::string text = "alpha beta gamma delta";
  const std::vector<std::vector<std::string>> sets = {{"ta gam"},
                                                      {"zzz", "gamma"},
                                                      {"delta!"},
                                                      {"a"},
                                                      {""},
                                                      {text},
                                                      {"beta", "ta g"},
                                                      {"ta g", "beta gamma"},
                                                      {"a b", "e", "l", "zz", "gam"},
                                                      {std::string(400, 'a')},
                                                      {}};
  for (const auto& stops : sets) CheckAllCuts(text, stops);
}

TEST(StopStrings, KnownAnswers) {
  const auto whole = [](std::vector<std::string> stops) {
    StopStrings matcher(stops);
    std::string got = matcher.Push("alpha beta gamma delta");
    return matcher.matched() ? got : got + matcher.Flush();
  };
  EXPECT_EQ(whole({"ta gam"}), "alpha be");
  EXPECT_EQ(whole({"zzz", "gamma"}), "alpha beta ");
  EXPECT_EQ(whole({"delta!"}), "alpha beta gamma delta");
  EXPECT_EQ(whole({"a"}), "");
  EXPECT_EQ(whole({""}), "alpha beta gamma delta");
  EXPECT_EQ(whole({"beta", "ta g"}), "alpha ");
}

TEST(StopStrings, RandomTextsOfFewLetters) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    const auto word = [&](size_t longest) {
      std::string s(1 + random() % longest, 'a');
      for (char& c : s) c = static_cast<char>('a' + random() % 2);
      return s;
    };
    std::vector<std::string> stops;
    for (size_t i = 0; i <= random() % 3; ++i) stops.push_back(word(6));
    CheckAllCuts(word(14), stops);
  }
}

TEST(StopStrings, NothingComesAfterAMatch) {
  StopStrings matcher({"x"});
  EXPECT_EQ(matcher.Push("axb"), "a");
  EXPECT_EQ(matcher.Push("more"), "");
  EXPECT_EQ(matcher.Flush(), "");
  EXPECT_EQ(matcher.match(), "x");
}

}  // namespace
}  // namespace lb::api
