// The command line, as users of llama-box and llama.cpp know it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/bench/plan.h"
#include "app/env_flags.h"
#include "app/gpu_flags.h"
#include "base/result.h"
#include "kernels/backends.h"
#include "sampling/params.h"

namespace lb::app {

enum class Command { kServe, kRun, kInspect, kPerplexity, kBench, kPrint };

inline constexpr int kEverything = 6;  // of verbosity: --verbose

struct Flags {
  Command command = Command::kServe;
  std::string text_to_print;  // kPrint: the help or the version

  std::string model;
  std::string models_dir;     // "": there is one model, `model`
  int models_max = 4;         // of them in memory; 0: no limit
  bool models_autoload = true;
  std::string models_memory = "auto";
  double sleep_idle_seconds = -1;  // after which a model is unloaded; below 0: never
  std::string alias;          // "": the file's name
  std::string host = "127.0.0.1";
  int port = 8080;
  double timeout_seconds = 600;
  double idle_seconds = 60;
  int http_threads = 2;
  std::vector<std::string> api_keys;
  std::string api_key_file;   // one key a line
  std::string ssl_cert_file, ssl_key_file;  // PEM; both or none
  std::vector<std::string> cors_origins;
  bool slots = true;          // GET /slots is answered
  bool webui = true;          // the page at /
  std::string web_folder;     // "": the built-in page
  std::vector<std::string> webui_connect;  // origins that the page may call

  int64_t ctx_size = 0;       // tokens of the pool and of the longest request; 0: from memory
  std::string kv_memory = "auto";
  std::string kv_host_memory = "0";
  int parallel = -1;          // -1: automatic
  int batch_size = 0;         // 0: as the backend likes it
  GpuOptions gpu;
  CpuOptions cpu;             // threads, instruction set, where the threads run
  std::string cache_type_k = "f16", cache_type_v = "f16";
  bool cache_prompt = true;
  bool context_shift = false;
  int lookup_ngram_min = 0;  // 0: no guessing
  int draft_max = 16;
  float draft_p_min = 0.8f;
  std::string model_draft;   // a GGUF file; "": none
  int keep = 0;           // tokens that a context shift keeps at the front; -1: the whole prompt
  std::string prompt_cache_file;  // "": the cache ends with the process
  bool mlock = false;
  bool embeddings = false;    // a model that generates makes vectors too
  bool rerank = false;        // ... or scores: as pooling "rank"
  std::string pooling;        // "": the model's

  struct Lora {
    std::string path;
    float scale = 1.0f;
  };
  std::vector<Lora> loras;    // in the order given, which is their numbering
  bool lora_init_without_apply = false;

  std::vector<std::string> override_kv;  // KEY=TYPE:VALUE, over the file's own metadata
  std::string rope_scaling;              // this and the next: over the model's own when given
  double rope_scale = 0, rope_freq_base = 0, rope_freq_scale = 0;
  int64_t yarn_orig_ctx = 0;
  double yarn_attn_factor = 0, yarn_beta_fast = 0, yarn_beta_slow = 0;

  std::string chat_template;       // a built-in's name, or Jinja source
  std::string chat_template_file;
  std::string chat_template_kwargs;  // a JSON object, or nothing
  std::string reasoning_format = "auto";
  std::string tool_format = "auto";
  std::optional<bool> enable_thinking;
  int64_t reasoning_budget = -1;
  bool special = false;
  std::string system_prompt;       // of `run`

  SamplingParams sampling;
  std::string samplers;       // "": the usual ones
  std::string grammar, grammar_file;          // GBNF; at most one of these four
  std::string json_schema, json_schema_file;  // "": none
  int64_t seed = -1;
  int64_t max_tokens = -1;
  bool ignore_eos = false;
  std::vector<std::string> stop;
  std::vector<std::string> dry_breakers;
  std::vector<std::string> logit_bias;  // ID+BIAS or ID-BIAS

  int verbosity = 1;          // from kEverything on, replies show the prompt they had
  std::string prompt;         // of `run`; "": chat
  std::string text_file;      // of `perplexity`

  BenchOptions bench;

  std::vector<std::string> warnings;  // one line each, to be shown
  std::vector<std::string> notes;     // of flags without effect
};

// Unknown flags become warnings, and the bare value after one is skipped with it; flags of the
// servers that this one succeeds which change nothing here become notes (idle_flags.h); of flags
// given twice the last one counts; `--flag=value` and `--flag value` are the same. The environment
// (env_flags.h) counts as given first. An illegal value is an error of one line.
Result<Flags> ParseFlags(int argc, const char* const* argv, const GetEnv& get_env);

}  // namespace lb::app
