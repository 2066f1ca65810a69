#include "app/env_flags.h"

#include <string_view>

namespace lb::app {
namespace {

struct Variable {
  const char* name;
  const char* flag;
  const char* off = nullptr;  // of a switch: what it says when it is off; "": nothing
};

constexpr Variable kVariables[] = {
    {"LLAMA_ARG_MODEL", "--model"},
    {"LLAMA_ARG_ALIAS", "--alias"},
    {"LLAMA_ARG_MODELS_DIR", "--models-dir"},
    {"LLAMA_ARG_MODELS_MAX", "--models-max"},
    {"LLAMA_ARG_MODELS_AUTOLOAD", "--models-autoload", "--no-models-autoload"},
    {"LLAMA_ARG_CHAT_TEMPLATE", "--chat-template"},
    {"LLAMA_ARG_CHAT_TEMPLATE_FILE", "--chat-template-file"},
    {"LLAMA_ARG_CHAT_TEMPLATE_KWARGS", "--chat-template-kwargs"},
    {"LLAMA_ARG_THINK", "--reasoning-format"},
    {"LLAMA_ARG_REASONING", "--reasoning"},
    {"LLAMA_ARG_THINK_BUDGET", "--reasoning-budget"},
    {"LLAMA_ARG_JINJA", "--jinja", "--no-jinja"},
    {"LLAMA_ARG_HOST", "--host"},
    {"LLAMA_ARG_PORT", "--port"},
    {"LLAMA_ARG_TIMEOUT", "--timeout"},
    {"LLAMA_ARG_THREADS_HTTP", "--http-threads"},
    {"LLAMA_API_KEY", "--api-key"},
    {"LLAMA_ARG_API_KEY_FILE", "--api-key-file"},
    {"LLAMA_ARG_CORS_ORIGINS", "--cors"},
    {"LLAMA_ARG_SSL_CERT_FILE", "--ssl-cert-file"},
    {"LLAMA_ARG_SSL_KEY_FILE", "--ssl-key-file"},
    {"LLAMA_ARG_ENDPOINT_METRICS", "--metrics", ""},
    {"LLAMA_ARG_ENDPOINT_SLOTS", "--slots", "--no-slots"},
    {"LLAMA_ARG_ENDPOINT_PROPS", "--props", ""},
    {"LLAMA_ARG_WEBUI", "--webui", "--no-webui"},
    {"LLAMA_ARG_STATIC_PATH", "--path"},
    {"LLAMA_ARG_EMBEDDINGS", "--embeddings", ""},
    {"LLAMA_ARG_RERANKING", "--reranking", ""},
    {"LLAMA_ARG_POOLING", "--pooling"},
    {"LLAMA_ARG_LOG_VERBOSITY", "--verbosity"},
    {"LLAMA_ARG_CTX_SIZE", "--ctx-size"},
    {"LLAMA_ARG_N_PARALLEL", "--parallel"},
    {"LLAMA_ARG_BATCH", "--batch-size"},
    {"LLAMA_ARG_UBATCH", "--ubatch-size"},
    {"LLAMA_ARG_THREADS", "--threads"},
    {"LLAMA_ARG_CACHE_TYPE_K", "--cache-type-k"},
    {"LLAMA_ARG_CACHE_TYPE_V", "--cache-type-v"},
    {"LLAMA_ARG_CACHE_PROMPT", "--cache-prompt", "--no-cache-prompt"},
    {"LLAMA_ARG_CACHE_REUSE", "--cache-reuse"},
    {"LLAMA_ARG_CONTEXT_SHIFT", "--context-shift", "--no-context-shift"},
    {"LLAMA_ARG_CONT_BATCHING", "--cont-batching", "--no-cont-batching"},
    {"LLAMA_ARG_DEFRAG_THOLD", "--defrag-thold"},
    {"LLAMA_ARG_KV_UNIFIED", "--kv-unified", "--no-kv-unified"},
    {"LLAMA_ARG_SWA_FULL", "--swa-full", ""},
    {"LLAMA_ARG_SLOT_SAVE_PATH", "--slot-save-path"},
    {"LLAMA_ARG_FLASH_ATTN", "--flash-attn"},
    {"LLAMA_ARG_MLOCK", "--mlock", ""},
    {"LLAMA_ARG_MMAP", "--mmap", "--no-mmap"},
    {"LLAMA_ARG_NUMA", "--numa"},
    {"LLAMA_ARG_N_GPU_LAYERS", "--gpu-layers"},
    {"LLAMA_ARG_DEVICE", "--device"},
    {"LLAMA_ARG_MAIN_GPU", "--main-gpu"},
    {"LLAMA_ARG_SPLIT_MODE", "--split-mode"},
    {"LLAMA_ARG_TENSOR_SPLIT", "--tensor-split"},
    {"LLAMA_ARG_ROPE_SCALING_TYPE", "--rope-scaling"},
    {"LLAMA_ARG_ROPE_SCALE", "--rope-scale"},
    {"LLAMA_ARG_ROPE_FREQ_BASE", "--rope-freq-base"},
    {"LLAMA_ARG_ROPE_FREQ_SCALE", "--rope-freq-scale"},
    {"LLAMA_ARG_YARN_ORIG_CTX", "--yarn-orig-ctx"},
    {"LLAMA_ARG_YARN_ATTN_FACTOR", "--yarn-attn-factor"},
    {"LLAMA_ARG_YARN_BETA_FAST", "--yarn-beta-fast"},
    {"LLAMA_ARG_YARN_BETA_SLOW", "--yarn-beta-slow"},
    {"LLAMA_ARG_MODEL_DRAFT", "--model-draft"},
    {"LLAMA_ARG_SPEC_DRAFT_MODEL", "--model-draft"},
    {"LLAMA_ARG_DRAFT_MAX", "--draft-max"},
    {"LLAMA_ARG_SPEC_DRAFT_N_MAX", "--draft-max"},
    {"LLAMA_ARG_DRAFT_P_MIN", "--draft-p-min"},
    {"LLAMA_ARG_SPEC_DRAFT_P_MIN", "--draft-p-min"},
    {"LLAMA_ARG_N_PREDICT", "--predict"},
    {"LLAMA_ARG_TEMPERATURE", "--temp"},
    {"LLAMA_ARG_TOP_K", "--top-k"},
    {"LLAMA_ARG_TOP_P", "--top-p"},
    {"LLAMA_ARG_MIN_P", "--min-p"},
    {"LLAMA_ARG_REPEAT_PENALTY", "--repeat-penalty"},
    {"LLAMA_ARG_PRESENCE_PENALTY", "--presence-penalty"},
    {"LLAMA_ARG_FREQUENCY_PENALTY", "--frequency-penalty"},
};

bool IsOneOf(std::string_view value, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    if (value == word) return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> FlagsOfEnvironment(const GetEnv& get) {
  std::vector<std::string> flags;
  for (const Variable& variable : kVariables) {
    const char* value = get(variable.name);
    if (value == nullptr) continue;
    if (variable.off == nullptr) {
      flags.push_back(std::string(variable.flag) + "=" + value);
    } else if (IsOneOf(value, {"1", "on", "true", "enabled"})) {
      flags.push_back(variable.flag);
    } else if (!IsOneOf(value, {"0", "off", "false", "disabled"})) {
      flags.push_back(std::string("--") + variable.name + "=" + value);
    } else if (*variable.off != '\0') {
      flags.push_back(variable.off);
    }
  }
  return flags;
}

}  // namespace lb::app
