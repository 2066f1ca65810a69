// The one place that knows every concrete type: files in, a service out.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "api/service.h"
#include "app/flags.h"
#include "base/clock.h"
#include "engine/engine.h"
#include "engine/engine_thread.h"
#include "engine/kv_sizing.h"
#include "gguf/gguf_file.h"
#include "kernels/ops.h"
#include "model/model.h"

namespace lb::app {

// A loaded model with its engine running. Members are destroyed in reverse order.
struct Composition {
  std::unique_ptr<gguf::GgufFile> file;
  std::shared_ptr<const text::Tokenizer> tokenizer;
  std::shared_ptr<const text::ChatTemplate> chat_template;  // null: none
  std::unique_ptr<Ops> ops;
  std::unique_ptr<Model> model;
  std::unique_ptr<gguf::GgufFile> draft_file;
  std::unique_ptr<Model> draft_model;  // null: none; some of its weights stay in the file's mapping
  SteadyClock clock;
  std::unique_ptr<Engine> engine;
  std::string prompt_cache_key;  // what a saved cache must have been made for; "": none is saved
  std::unique_ptr<EngineThread> engine_thread;
  std::shared_ptr<const api::Service> service;
};

// Logs what a person wants to know. `progress` may be null. Every error is one line.
// `earlier`, if any: the figures of this model from before, which count on.
Result<std::unique_ptr<Composition>> Compose(const Flags& flags, const LoadProgress& progress, const EngineStats* earlier = nullptr);

// --cache-type-k and -v.
Result<KvDTypes> KvTypesOf(const Flags& flags);

// How vectors are made, as the flags and the model have it; none: they are not. kInvalidArgument
// for scores of a model that has no head for them.
Result<std::optional<Pooling>> PoolingOf(const Flags& flags, const ModelConfig& model);

// The parts of it that others put together differently.
// `config` has what no flag sets. Model, ops and clock outlive the engine. On a GPU it is warmed up.
Result<std::unique_ptr<Engine>> MakeEngine(const Flags& flags, EngineConfig config,
                                           const Model& model, Ops& ops, const Clock* clock);

// The template that flags and model ask for: --chat-template(-file), the model's own, or a built-in
// that fits its vocabulary. A bad one from a flag is an error, a bad one from the model a warning.
Result<std::shared_ptr<const text::ChatTemplate>> ChooseChatTemplate(
    const Flags& flags, const gguf::Metadata& metadata, const text::Tokenizer& tokenizer);

// `word` (0), or bytes with an optional K, M, G or T (powers of 1024).
Result<int64_t> ParseMemorySize(std::string_view flag, const std::string& text, std::string_view word = "auto");

}  // namespace lb::app
