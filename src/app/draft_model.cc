#include "app/draft_model.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/printable.h"
#include "base/system_memory.h"
#include "engine/model_drafter.h"

namespace lb::app {
namespace {

// Most tokens of one pass, so that a long prompt does not hold up the answers beside it.
constexpr int kDraftBatch = 256;

Result<void> CheckVocabulary(const Flags& flags, const text::Tokenizer& ours,
                             const gguf::Metadata& metadata) {
  LB_ASSIGN_OR_RETURN(const auto theirs, text::Tokenizer::FromMetadata(metadata));
  if (ours.num_tokens() != theirs->num_tokens()) {
    return Fail(
        ErrorCode::kInvalidArgument,
        "--model-draft {}: its vocabulary has {} tokens and that of the model {}: they must "
        "be the same",
        flags.model_draft, theirs->num_tokens(), ours.num_tokens());
  }
  for (TokenId id = 0; id < ours.num_tokens(); ++id) {
    if (ours.TokenText(id) == theirs->TokenText(id)) continue;
    return Fail(ErrorCode::kInvalidArgument,
                "--model-draft {}: token {} is \"{}\" there and \"{}\" in the model: the "
                "vocabularies must be the same",
                flags.model_draft, id, Printable(theirs->TokenText(id)),
                Printable(ours.TokenText(id)));
  }
  return {};
}

}  // namespace

Result<void> LoadDraftModel(const Flags& flags, Composition* c, const LoadProgress& progress) {
  if (!c->model->config().generates) {
    return Fail(ErrorCode::kInvalidArgument, "--model-draft: the model makes vectors, no answers");
  }
  LB_ASSIGN_OR_RETURN(c->draft_file, gguf::GgufFile::Open(flags.model_draft));
  LB_RETURN_IF_ERROR(CheckVocabulary(flags, *c->tokenizer, c->draft_file->metadata()));
  LB_ASSIGN_OR_RETURN(c->draft_model, LoadModel(*c->draft_file, *c->ops, progress));
  const ModelConfig& model = c->draft_model->config();
  if (model.vocab_size != c->model->config().vocab_size) {
    return Fail(ErrorCode::kInvalidArgument,
                "--model-draft {}: it gives {} logits and the model {}: they must be the same",
                flags.model_draft, model.vocab_size, c->model->config().vocab_size);
  }
  const EngineLimits& limits = c->engine->limits();
  KvSizing sizing;
  sizing.ctx_size = limits.pool_tokens;
  sizing.available_bytes = AvailableMemory();
  LB_ASSIGN_OR_RETURN(const KvPlan plan, PlanKv(model, sizing));
  ModelDrafterConfig config;
  config.kv_groups = plan.groups;
  config.max_batch_tokens = std::max(kDraftBatch, limits.max_sequences);
  config.min_probability = flags.draft_p_min;
  RunnerConfig runner_config;
  for (const auto& group : plan.groups) runner_config.group_blocks.push_back(group.num_blocks);
  runner_config.max_batch_tokens = config.max_batch_tokens;
  runner_config.max_logit_rows = limits.max_sequences;
  LB_ASSIGN_OR_RETURN(auto runner, MakeModelRunner(*c->draft_model, *c->ops, runner_config));
  LB_ASSIGN_OR_RETURN(auto drafter, ModelDrafter::Create(std::move(config), std::move(runner)));
  c->engine->UseDrafter(std::move(drafter));
  LogVerbose(1, "draft model: {} ({}, {:.1f} M parameters); its KV: {}", model.name, model.arch,
             static_cast<double>(model.num_parameters) / 1e6, plan.summary);
  return {};
}

}  // namespace lb::app
