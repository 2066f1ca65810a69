#include "app/compose.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <thread>
#include <utility>

#include "app/draft_model.h"
#include "app/generation_defaults.h"
#include "app/lora_adapters.h"
#include "app/model_card.h"
#include "app/model_overrides.h"
#include "app/prompt_cache.h"
#include "base/log.h"
#include "base/system_memory.h"
#include "engine/kv_sizing.h"
#include "engine/model_runner.h"

namespace lb::app {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;
constexpr int kStepDrafts = 32;        // guessed tokens in one step: few enough to cost less than they gain
constexpr int kVectorSequences = 128;  // texts in one step of a model that makes vectors only

// On a GPU: what a step takes beside weights and KV, in bytes, with room for the libraries.
int64_t StepBytes(const Model& model, const EngineConfig& config) {
  constexpr int64_t kLibraries = int64_t{1} << 30;
  const int rows = config.max_sequences + config.max_step_drafts;
  const auto activations = static_cast<int64_t>(model.ArenaBytes(config.max_batch_tokens, rows));
  return kLibraries + 2 * activations + int64_t{4} * rows * model.config().vocab_size;
}

Result<KvPlan> Plan(const Flags& flags, const ModelConfig& model, int64_t device_bytes) {
  KvSizing sizing;
  sizing.ctx_size = flags.ctx_size;
  LB_ASSIGN_OR_RETURN(sizing.dtypes, KvTypesOf(flags));
  LB_ASSIGN_OR_RETURN(sizing.memory_bytes, ParseMemorySize("--kv-memory", flags.kv_memory));
  sizing.all_of_it = device_bytes >= 0;
  sizing.available_bytes = sizing.all_of_it ? std::max<int64_t>(device_bytes, 1) : AvailableMemory();
  LB_ASSIGN_OR_RETURN(KvPlan plan, PlanKv(model, sizing));
  LogVerbose(1, "{}", plan.summary);
  if (!plan.warning.empty()) LogWarning("{}", plan.warning);
  return plan;
}

// The blocks that --kv-host-memory is for; 0, with a line that says why, where it would do nothing.
Result<int> HostSlots(const Flags& flags, const KvPlan& plan, bool gpu) {
  LB_ASSIGN_OR_RETURN(const int64_t bytes, ParseMemorySize("--kv-host-memory", flags.kv_host_memory, "0"));
  if (bytes == 0) return 0;
  const bool windows = std::ranges::all_of(plan.groups, [](const kv::KvGroupConfig& group) { return group.window > 0; });
  const std::string_view why = !gpu                  ? "on the CPU the cache is in the host's memory already"
                               : windows             ? "it serves no models of sliding windows only"
                               : !flags.cache_prompt ? "with --no-cache-prompt nothing is kept"
                                                     : "";
  if (!why.empty()) {
    LogWarning("--kv-host-memory does nothing: {}", why);
    return 0;
  }
  LB_ASSIGN_OR_RETURN(const HostTierPlan tier, PlanHostTier(plan, bytes, AvailableMemory()));
  LogVerbose(1, "{}", tier.summary);
  return tier.slots;
}

}  // namespace

Result<KvDTypes> KvTypesOf(const Flags& flags) {
  KvDTypes types;
  LB_ASSIGN_OR_RETURN(types.k, ParseKvDType("--cache-type-k", flags.cache_type_k));
  LB_ASSIGN_OR_RETURN(types.v, ParseKvDType("--cache-type-v", flags.cache_type_v));
  return types;
}

Result<std::optional<Pooling>> PoolingOf(const Flags& flags, const ModelConfig& model) {
  static const std::map<std::string_view, Pooling> kNames = {{"none", Pooling::kNone},
                                                             {"mean", Pooling::kMean},
                                                             {"cls", Pooling::kCls},
                                                             {"last", Pooling::kLast},
                                                             {"rank", Pooling::kRank}};
  std::optional<Pooling> pooling;
  if (!flags.pooling.empty()) {
    pooling = kNames.at(flags.pooling);
  } else if (flags.rerank) {
    pooling = Pooling::kRank;
  } else if (flags.embeddings || !model.generates) {
    pooling = model.pooling.value_or(Pooling::kMean);
  }
  if (flags.rerank && pooling != Pooling::kRank) {
    return Fail(ErrorCode::kInvalidArgument, "--rerank and --pooling {} exclude each other",
                flags.pooling);
  }
  if (pooling == Pooling::kRank && model.num_scores == 0) {
    return Fail(ErrorCode::kInvalidArgument,
                "{} cannot rerank: it has no score head (tensors cls.weight, cls.output.weight)",
                model.name);
  }
  return pooling;
}

namespace {

int StepTokens(const Flags& flags, bool gpu) { return flags.batch_size > 0 ? flags.batch_size : gpu ? 4096 : 512; }

// A model that makes vectors only keeps nothing from one step to the next: its KV is scratch, as
// large as a step, which holds the longest text.
void PlanVectorModel(const Flags& flags, const ModelConfig& model, EngineConfig* config,
                     RunnerConfig* runner) {
  const int64_t longest = flags.ctx_size > 0 ? std::min<int64_t>(flags.ctx_size, model.context_length)
                                             : model.context_length;
  config->max_request_tokens = longest;
  config->max_batch_tokens = static_cast<int>(std::max<int64_t>(StepTokens(flags, false), longest));
  // No sequence holds anything while it waits, so nothing is gained by fewer of them.
  config->max_sequences = std::min(kVectorSequences, config->max_batch_tokens / 2);
  const int64_t blocks = kv::BlocksFor(config->max_batch_tokens) + config->max_sequences;
  config->kv_groups.assign(model.kv_groups.size(), {0, static_cast<int>(blocks)});
  config->prefix_cache = false;
  config->generates = false;
  runner->k_dtype = runner->v_dtype = DType::kF32;
  runner->scratch_kv = true;
}

}  // namespace

Result<std::unique_ptr<Engine>> MakeEngine(const Flags& flags, EngineConfig config,
                                           const Model& model, Ops& ops, const Clock* clock) {
  RunnerConfig runner_config;
  LB_ASSIGN_OR_RETURN(config.pooling, PoolingOf(flags, model.config()));
  if (model.config().generates) {
    const bool gpu = ops.free_memory() >= 0;
    config.max_batch_tokens = StepTokens(flags, gpu);
    if (gpu) config.efficient_tokens = 1024;
    const int most = std::max(1, config.max_batch_tokens / 2);
    config.max_sequences = std::min(flags.parallel > 0 ? flags.parallel : gpu ? 256 : 64, most);
    LB_ASSIGN_OR_RETURN(const KvPlan plan,
                        Plan(flags, model.config(), gpu ? ops.free_memory(StepBytes(model, config)) : -1));
    config.kv_groups = plan.groups;
    config.max_request_tokens = plan.max_request_tokens;
    // Automatic: as many as the pool serves at a few hundred tokens each, within a step's tokens.
    if (flags.parallel <= 0) {
      config.max_sequences =
          static_cast<int>(std::clamp<int64_t>(plan.pool_tokens / 256, std::min(4, most), config.max_sequences));
    }
    config.prefix_cache = flags.cache_prompt;
    LB_ASSIGN_OR_RETURN(config.host_slots, HostSlots(flags, plan, gpu));
    runner_config.host_slots = config.host_slots;
    config.lookup_min_match = flags.lookup_ngram_min;
    config.max_draft = flags.draft_max;
    const bool guesses = flags.lookup_ngram_min > 0 || !flags.model_draft.empty();
    config.max_step_drafts = guesses ? kStepDrafts : 0;
    LB_ASSIGN_OR_RETURN(const KvDTypes types, KvTypesOf(flags));
    runner_config.k_dtype = types.k;
    runner_config.v_dtype = types.v;
  } else {
    PlanVectorModel(flags, model.config(), &config, &runner_config);
    if (flags.kv_host_memory != "0") LogWarning("--kv-host-memory does nothing: a model that makes vectors keeps no cache");
  }
  for (const auto& group : config.kv_groups) runner_config.group_blocks.push_back(group.num_blocks);
  runner_config.max_batch_tokens = config.max_batch_tokens;
  if (config.pooling) runner_config.max_hidden_rows = config.max_batch_tokens;
  runner_config.max_logit_rows =
      config.generates ? config.max_sequences + config.max_step_drafts : 0;
  LB_ASSIGN_OR_RETURN(auto runner, MakeModelRunner(model, ops, runner_config));
  LB_ASSIGN_OR_RETURN(auto engine, Engine::Create(std::move(config), std::move(runner), clock));
  const EngineLimits& limits = engine->limits();
  LogVerbose(1, "engine: up to {} sequences together, {} tokens in a step, {} requests may wait",
             limits.max_sequences, limits.max_batch_tokens, limits.max_queue);
  if (ops.free_memory() >= 0) LB_RETURN_IF_ERROR(engine->WarmUp());  // a GPU
  return engine;
}

Result<int64_t> ParseMemorySize(std::string_view flag, const std::string& text, std::string_view word) {
  if (text == word) return int64_t{0};
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, ec] = std::from_chars(text.data(), end, number);
  static const std::pair<std::string_view, double> kUnits[] = {
      {"", 1}, {"K", 1024}, {"M", kMiB}, {"G", kMiB * 1024}, {"T", kMiB * kMiB}};
  for (const auto& [unit, factor] : kUnits) {
    std::string_view given(rest, static_cast<size_t>(end - rest));
    if (given.size() > 1 && given.substr(1) == "iB") given = given.substr(0, 1);
    if (ec == std::errc() && given == unit && number > 0 && number * factor < 1e18) {
      return static_cast<int64_t>(number * factor);
    }
  }
  return Fail(ErrorCode::kInvalidArgument,
              "{} must be {} or a size such as 512M or 4G, not {}", flag, word, text);
}

Result<std::unique_ptr<Composition>> Compose(const Flags& flags, const LoadProgress& progress, const EngineStats* earlier) {
  const auto start = std::chrono::steady_clock::now();
  auto c = std::make_unique<Composition>();
  LB_ASSIGN_OR_RETURN(c->file, gguf::GgufFile::Open(flags.model));
  LB_RETURN_IF_ERROR(OverrideMetadata(flags, c->file->mutable_metadata()));
  LB_ASSIGN_OR_RETURN(auto tokenizer, text::Tokenizer::FromMetadata(c->file->metadata()));
  c->tokenizer = std::move(tokenizer);
  LB_ASSIGN_OR_RETURN(api::GenerationDefaults defaults, MakeDefaults(flags, *c->tokenizer));
  LB_ASSIGN_OR_RETURN(const ModelConfig facts, ReadModelConfig(*c->file));
  LB_RETURN_IF_ERROR(PoolingOf(flags, facts));  // before all weights are read
  if (facts.generates) {
    LB_ASSIGN_OR_RETURN(c->chat_template,
                        ChooseChatTemplate(flags, c->file->metadata(), *c->tokenizer));
  }
  LB_ASSIGN_OR_RETURN(c->ops, ChooseOps(flags.gpu, flags.cpu, *c->file, facts));
  LB_ASSIGN_OR_RETURN(c->model, LoadModel(*c->file, *c->ops, progress));
  const ModelConfig& model = c->model->config();
  LogVerbose(1, "model: {} ({}, {:.1f} M parameters, {:.1f} MiB, {} layers, vocabulary {} {}/{}, trained on "
          "{} tokens) on {}",
          model.name, model.arch, static_cast<double>(model.num_parameters) / 1e6,
          static_cast<double>(c->file->file_bytes()) / kMiB, model.num_layers, model.vocab_size,
          c->tokenizer->model(), c->tokenizer->pre(), model.context_length, c->ops->name());
  LB_ASSIGN_OR_RETURN(defaults.adapters, LoadAdapters(flags, *c->ops, c->model.get()));
  EngineConfig config;
  config.num_adapters = static_cast<int>(flags.loras.size());
  if (defaults.adapters != nullptr) config.start_adapters = defaults.adapters->Current();
  LB_ASSIGN_OR_RETURN(c->engine, MakeEngine(flags, std::move(config), *c->model, *c->ops, &c->clock));
  if (!flags.model_draft.empty()) LB_RETURN_IF_ERROR(LoadDraftModel(flags, c.get(), progress));
  LB_RETURN_IF_ERROR(LoadPromptCache(flags, c.get()));
  if (earlier != nullptr) c->engine->CountOn(*earlier);
  c->engine_thread = std::make_unique<EngineThread>(c->engine.get(), &c->clock);
  api::Service::Parts parts;
  parts.tokenizer = c->tokenizer;
  parts.chat_template = c->chat_template;
  parts.engine = c->engine.get();
  parts.card = MakeModelCard(flags, c->model->config(), *c->file);
  parts.defaults = defaults;
  c->service = std::make_shared<const api::Service>(std::move(parts));
  LogVerbose(1, "loaded in {:.1f} s", std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  return c;
}

}  // namespace lb::app
