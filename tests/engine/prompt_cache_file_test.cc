// Proves that a restart finds its prompts again, and that a file which does not fit, or of which
// any byte is wrong, is refused and leaves the cache empty and sound.
#include "engine/prompt_cache_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/log.h"
#include "engine/engine.h"
#include "tests/engine/fake_runner.h"

namespace lb {
namespace {

constexpr int64_t kLimit = 400;

class PromptCacheFileTest : public testing::Test {
 protected:
  PromptCacheFileTest() {
    SetLogVerbosity(0);
    path_ = testing::TempDir() + "prompt_cache_" + std::to_string(::getpid());
  }
  ~PromptCacheFileTest() override { std::filesystem::remove(path_); }

  std::unique_ptr<Engine> Make(int blocks, std::vector<int> windows = {0, 48}) {
    EngineConfig config;
    for (int w : windows) config.kv_groups.push_back({w, blocks});
    config.max_request_tokens = std::min<int64_t>(kLimit, blocks * kv::kBlockTokens);
    auto runner =
        std::make_unique<test::FakeRunner>(windows, std::vector<int>(windows.size(), blocks));
    return std::move(*Engine::Create(config, std::move(runner), &clock_));
  }
  static Request Prompt(int n, uint64_t seed) {
    Request r;
    for (int i = 0; i < n; ++i) {
      r.prompt.push_back(
          static_cast<TokenId>(test::Mix(seed * 1000 + static_cast<uint64_t>(i)) % test::kVocab));
    }
    r.max_tokens = 12;
    r.sampling.temperature = 0;
    return r;
  }
  // Cached tokens of the answer, which must be the model's own.
  static int Ask(Engine& engine, const Request& r) {
    auto stream = std::move(*engine.Submit(r));
    std::vector<TokenId> tokens;
    while (true) {
      engine.Step();
      for (const TokenEvent& e : stream->Take()) {
        if (e.kind == TokenEvent::Kind::kToken) tokens.push_back(e.token);
        if (!e.last()) continue;
        EXPECT_EQ(tokens, test::AnswerAlone(r, {0, 48}, kLimit).tokens);
        return e.usage.cached_tokens;
      }
    }
  }
  static void ExpectSound(const Engine& engine) {
    const auto sound = engine.kv().CheckInvariants();
    EXPECT_TRUE(sound.has_value()) << sound.error().message;
  }

  SteadyClock clock_;
  std::string path_;
};

TEST_F(PromptCacheFileTest, ARestartFindsItsPromptsAgain) {
  auto before = Make(60);
  Ask(*before, Prompt(200, 1));
  Ask(*before, Prompt(150, 2));
  Request other = Prompt(200, 1);
  other.cache_namespace = 9;
  Ask(*before, other);
  const auto saved = before->SavePromptCache(path_, "model");
  ASSERT_TRUE(saved.has_value()) << saved.error().message;
  EXPECT_GT(*saved, 500);
  EXPECT_EQ(std::filesystem::status(path_).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);

  auto after = Make(60);
  const auto loaded = after->LoadPromptCache(path_, "model");
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  EXPECT_EQ(*loaded, *saved);
  ExpectSound(*after);
  EXPECT_EQ(Ask(*after, Prompt(200, 1)), 192);
  EXPECT_EQ(Ask(*after, Prompt(150, 2)), 144);
  EXPECT_EQ(Ask(*after, other), 192);
  EXPECT_EQ(Ask(*after, Prompt(200, 3)), 0);
  ExpectSound(*after);
}

TEST_F(PromptCacheFileTest, ASmallerPoolKeepsWhatWasUsedLast) {
  auto before = Make(60);
  Ask(*before, Prompt(200, 1));
  Ask(*before, Prompt(200, 2));
  ASSERT_TRUE(before->SavePromptCache(path_, "model").has_value());
  auto after = Make(16);
  const auto loaded = after->LoadPromptCache(path_, "model");
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  EXPECT_EQ(*loaded, 256);
  ExpectSound(*after);
  EXPECT_EQ(Ask(*after, Prompt(200, 2)), 192);
  ExpectSound(*after);
}

TEST_F(PromptCacheFileTest, WhatDoesNotFitIsRefused) {
  auto before = Make(60);
  Ask(*before, Prompt(200, 1));
  ASSERT_TRUE(before->SavePromptCache(path_, "model").has_value());
  EXPECT_EQ(Make(60)->LoadPromptCache(path_, "other model").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(Make(60, {0})->LoadPromptCache(path_, "model").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(Make(60, {0, 64})->LoadPromptCache(path_, "model").error().code,
            ErrorCode::kUnsupported);
  EXPECT_EQ(Make(60)->LoadPromptCache(path_ + "x", "model").error().code, ErrorCode::kNotFound);
  for (const char* foreign : {"x", "GGUF, say, or somebody's letters"}) {
    std::ofstream(path_, std::ios::trunc) << foreign;
    EXPECT_EQ(Make(60)->LoadPromptCache(path_, "model").error().code, ErrorCode::kInvalidArgument);
  }
  std::ofstream(path_, std::ios::trunc).close();
  EXPECT_EQ(Make(60)->LoadPromptCache(path_, "model").error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(before->SavePromptCache("/nonexistent/folder/file", "model").error().code,
            ErrorCode::kIo);
}

TEST_F(PromptCacheFileTest, EveryWrongByteAndEveryCutIsSeen) {
  auto before = Make(60);
  Ask(*before, Prompt(60, 1));
  ASSERT_TRUE(before->SavePromptCache(path_, "model").has_value());
  std::ifstream in(path_, std::ios::binary);
  const std::string good((std::istreambuf_iterator<char>(in)), {});
  auto refused = [&](const std::string& bytes) {
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bytes;
    auto engine = Make(60);
    const bool refuses = !engine->LoadPromptCache(path_, "model").has_value();
    return refuses && engine->kv().tree().num_nodes() == 0 &&
           engine->kv().CheckInvariants().has_value();
  };
  EXPECT_FALSE(refused(good));
  for (size_t i = 0; i < good.size(); i += 1 + i / 64) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    ASSERT_TRUE(refused(bad)) << "byte " << i;
    ASSERT_TRUE(refused(good.substr(0, i))) << "cut at " << i;
  }
  ASSERT_TRUE(refused(good + "x"));
}

}  // namespace
}  // namespace lb
