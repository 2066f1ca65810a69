// Proves that command lines written for llama-box and llama-server start this server: every flag is
// known by each of its spellings, what has no effect says so once, unknown flags are skipped with
// their value, the last of duplicates counts, the environment counts less, and nonsense is refused
// in one line.
#include "app/flags.h"

#include <gtest/gtest.h>

#include <map>
#include <sstream>

namespace lb::app {
namespace {

using Environment = std::map<std::string, std::string>;

Result<Flags> Parse(const std::string& line, const Environment& environment = {}) {
  std::istringstream in(line);
  std::vector<std::string> words{"llama-box"};
  for (std::string word; in >> word;) words.push_back(word);
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());
  return ParseFlags(static_cast<int>(argv.size()), argv.data(), [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

TEST(Flags, TheLineOfGpuStackStartsTheServer) {
  const auto flags = Parse(
      "--host 0.0.0.0 --embeddings --gpu-layers 0 --parallel 4 --ctx-size 8192 --port 40517 "
      "--model /m/x.gguf --alias tiny --no-mmap --no-warmup --max-projected-cache 10 "
      "--ctx-size 4096 --temp 0.6");
  ASSERT_TRUE(flags.has_value()) << flags.error().message;
  EXPECT_EQ(flags->host, "0.0.0.0");
  EXPECT_EQ(flags->port, 40517);
  EXPECT_EQ(flags->model, "/m/x.gguf");
  EXPECT_EQ(flags->alias, "tiny");
  EXPECT_EQ(flags->parallel, 4);
  EXPECT_EQ(flags->ctx_size, 4096);  // the last one
  EXPECT_FLOAT_EQ(flags->sampling.temperature, 0.6f);
  EXPECT_TRUE(flags->warnings.empty()) << flags->warnings.front();
  EXPECT_EQ(flags->notes.size(), 3u);
  EXPECT_TRUE(flags->embeddings);
}

// A flag with as many values as it takes; none may be unknown or take a neighbour's word.
TEST(Flags, EverySpellingIsKnown) {
  const char* lines[] = {
      "-v", "--verbose", "--log-verbose", "-lv 2", "--verbosity 2", "--log-verbosity 2",
      "--log-colors", "--log-colors auto", "--host h", "--port 1", "-to 5", "--timeout 5",
      "--threads-http 2", "-np 2", "--parallel 2", "--conn-idle 60", "--conn-keepalive 15",
      "-a x", "--alias x", "--lora f", "--lora-scaled f 0.5", "--lora-init-without-apply", "-s 1",
      "--seed 1", "-fa", "-fa on", "--flash-attn", "--no-flash-attn", "--swa-full", "-kvu",
      "--kv-unified", "--metrics", "--embeddings", "--embedding", "--rerank", "--reranking",
      "--rpc a:1", "-ts 1,2", "--tensor-split 1/2", "-ngl 99", "--gpu-layers -1",
      "--n-gpu-layers 0", "-ot a=b", "-otd a=b", "-cmoe", "-ncmoe 1", "-cmoed", "-ncmoed 1",
      "--warmup", "--no-warmup", "-dev none", "--device none", "-sm layer", "-mg 0",
      "--main-gpu 0", "--override-kv a=int:1", "--chat-template chatml", "--jinja",
      "--chat-template-file f", "--chat-template-kwargs {}", "--enable-reasoning",
      "--no-enable-reasoning", "--reasoning-in-content", "--no-reasoning-in-content",
      "--reasoning-format deepseek", "--reasoning-budget 0", "--slot-save-path p",
      "-tps -1", "--tokens-per-second 0", "-t 2",
      "--threads 2", "-tb 2", "--threads-batch 2", "-Cb ff", "-Crb 0-1", "--cpu-strict-batch 1",
      "--prio-batch 1", "--poll-batch 50", "-c 0", "--ctx-size 0", "--no-cache-prompt",
      "--cache-prompt", "-b 64", "--batch-size 64", "-ub 32", "--ubatch-size 32", "-e", "--escape",
      "--no-escape", "--cache-type-k q8_0", "-ctk f16", "-ctv f16", "-dt 0.1",
      "--defrag-thold -1", "--cache-reuse 256", "-nkvo", "--no-kv-offload", "-nr", "--no-repack",
      "--mlock", "--mmap", "--no-mmap", "--numa distribute", "--rope-scaling yarn",
      "--rope-scale 4", "--rope-freq-base 10000", "--rope-freq-scale 0.25",
      "--yarn-orig-ctx 4096", "--yarn-ext-factor -1", "--yarn-attn-factor 1",
      "--yarn-beta-fast 32", "--yarn-beta-slow 1", "--control-vector f",
      "--control-vector-scaled f 1", "--control-vector-layer-range 1 2", "-r x",
      "--reverse-prompt x", "-sp", "--special", "--samplers top_k", "--temp 0.1", "--top-k 1",
      "--top-p 1", "--min-p 0", "--top-nsigma -1", "--xtc-probability 0", "--xtc-threshold 0.1",
      "--typical 1", "--repeat-last-n -1", "--repeat-penalty 1", "--presence-penalty 0",
      "--frequency-penalty 0", "--dry-multiplier 0", "--dry-base 1.75", "--dry-allowed-length 2",
      "--dry-penalty-last-n -1", "--dry-sequence-breaker none", "--dynatemp-range 0",
      "--dynatemp-exp 1", "--mirostat 0", "--mirostat-lr 0.1", "--mirostat-ent 5", "-l 5+1",
      "--logit-bias 5-1", "-md f", "--model-draft f", "--draft 8", "--draft-max 8", "--draft-n 8",
      "--draft-min 0", "--draft-n-min 0", "--draft-p-min 0.8", "-devd none", "-ngld 9",
      "--lookup-ngram-min 2", "--mmproj f", "--visual-max-image-size 0",
      "--max-projected-cache 10", "--visual-max-image-cache 1", "--pooling mean",
      "--attention causal", "--image-max-batch 4", "--image-no-text-encoder-model-offload",
      "--image-vae-tiling", "--image-sampler euler", "--rpc-server-port 0",
      "--rpc-server-main-gpu 0", "--rpc-server-cache", "--origin-rpc-server-main-gpu 1", "-n 5",
      "--predict 5", "--n-predict 5", "--infill", "--spm-infill", "--slots", "--no-slots", "--reasoning off", "-rea auto", "-sps 0.5", "-nocb",
      "--no-cont-batching", "--sampling-seq kfy", "-lcs f", "-lcd f", "--api-key k",
      "--temperature 0.5", "-jf f", "--spec-draft-model f", "--spec-draft-n-max 8", "--spec-draft-p-min 0.5", "-mm f",
      "--api-key-file f", "--ssl-cert-file c --ssl-key-file k", "--cors-origins *",
  };
  for (const char* line : lines) {
    const auto flags = Parse(std::string(line) + " -m model.gguf");
    ASSERT_TRUE(flags.has_value()) << line << ": " << flags.error().message;
    EXPECT_EQ(flags->model, "model.gguf") << line;
    EXPECT_TRUE(flags->warnings.empty()) << line << ": " << flags->warnings.front();
    EXPECT_LE(flags->notes.size(), 1u) << line;
  }
}

TEST(Flags, UnknownOnesAreSkippedWithTheirValue) {
  const auto flags = Parse("--enable-auto-tool-choice --frobnicate 7 --offset -3 -m m.gguf --port=1 --port 2");
  ASSERT_TRUE(flags.has_value()) << flags.error().message;
  EXPECT_EQ(flags->port, 2);
  ASSERT_EQ(flags->warnings.size(), 3u);
  EXPECT_EQ(flags->warnings[0], "unknown flag --enable-auto-tool-choice is skipped");
  EXPECT_EQ(flags->warnings[1], "unknown flag --frobnicate 7 is skipped");
  EXPECT_EQ(flags->warnings[2], "unknown flag --offset -3 is skipped");
}

TEST(Flags, NonsenseIsRefusedInOneLine) {
  const char* lines[] = {
      "-m m.gguf --port 70000",        "-m m.gguf --port eighty",   "-m m.gguf -c -5",
      "-m m.gguf --top-p 2",           "-m m.gguf --rope-scaling x", "-m m.gguf --ssl-cert-file c",
      "-hf user/model",
      "-m m.gguf --images",            "-m m.gguf --rpc-server-port 50052",
      "--port 80",
  };
  for (const char* line : lines) {
    const auto flags = Parse(line);
    ASSERT_FALSE(flags.has_value()) << line;
    EXPECT_EQ(flags.error().message.find('\n'), std::string::npos) << line;
    EXPECT_FALSE(flags.error().message.empty()) << line;
  }
}

TEST(Flags, TheEnvironmentCountsLessThanTheCommandLine) {
  const Environment environment = {{"LLAMA_ARG_MODEL", "env.gguf"},   {"LLAMA_ARG_PORT", "9000"},
                                   {"LLAMA_ARG_CTX_SIZE", "2048"},    {"LLAMA_API_KEY", "secret"},
                                   {"LLAMA_ARG_CACHE_PROMPT", "off"}, {"LLAMA_ARG_MLOCK", "perhaps"},
                                   {"LLAMA_ARG_N_GPU_LAYERS", "99"}};
  const auto flags = Parse("--port 9001", environment);
  ASSERT_TRUE(flags.has_value()) << flags.error().message;
  EXPECT_EQ(flags->model, "env.gguf");
  EXPECT_EQ(flags->port, 9001);
  EXPECT_EQ(flags->ctx_size, 2048);
  EXPECT_EQ(flags->api_keys, std::vector<std::string>{"secret"});
  EXPECT_FALSE(flags->cache_prompt);
  EXPECT_FALSE(flags->mlock);
  ASSERT_EQ(flags->warnings.size(), 1u);
  EXPECT_EQ(flags->warnings[0], "unknown flag --LLAMA_ARG_MLOCK=perhaps is skipped");
  EXPECT_EQ(flags->notes.size(), 0u);
}

TEST(Flags, ThePageCanBeSwitchedOffOrReplaced) {
  EXPECT_TRUE(Parse("-m a.gguf")->webui);
  for (const char* off : {"--no-webui", "--no-ui", "--webui --no-webui"}) {
    EXPECT_FALSE(Parse(std::string("-m a.gguf ") + off)->webui) << off;
  }
  EXPECT_FALSE(Parse("-m a.gguf", {{"LLAMA_ARG_WEBUI", "0"}})->webui);
  const auto flags = Parse("-m a.gguf --path site --webui-connect http://a:1 --webui-connect http://b:2");
  EXPECT_EQ(flags->web_folder, "site");
  EXPECT_EQ(flags->webui_connect, (std::vector<std::string>{"http://a:1", "http://b:2"}));
}

TEST(Flags, EscapesMeanWhatTheyDoInC) {
  const auto flags = Parse("-m m.gguf -r a\\nb -r c\\\\n -r \\x");
  ASSERT_TRUE(flags.has_value());
  EXPECT_EQ(flags->stop, (std::vector<std::string>{"a\nb", "c\\n", "\\x"}));
  const auto plain = Parse("-m m.gguf --no-escape -r a\\nb");
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->stop, std::vector<std::string>{"a\\nb"});
}

TEST(Flags, PrintsAndExits) {
  for (const char* line : {"--help", "-h", "--version", "--system-info", "--list-devices"}) {
    const auto flags = Parse(line);
    ASSERT_TRUE(flags.has_value()) << line;
    EXPECT_EQ(flags->command, Command::kPrint) << line;
    EXPECT_FALSE(flags->text_to_print.empty()) << line;
  }
}

}  // namespace
}  // namespace lb::app
