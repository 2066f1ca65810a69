// model_eval: perplexity and logits of a text, or speed, straight from the model layer.
//   model_eval -m MODEL --text FILE [--tokens N] [--chunk 512] [--from K] [--dump FILE] [--ref]
//   model_eval -m MODEL --ids FILE ...        the same over token ids (numbers between blanks)
//                                             --lora FILE SCALE: with this adapter (any number)
//   model_eval -m MODEL --prompt TEXT -n 24   greedy continuation
//   model_eval -m MODEL --speed 512,32        prefill and decode, tokens per second
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <memory>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "app/perplexity.h"
#include "gguf/gguf_file.h"
#include "kernels/backends.h"
#include "model/adapter.h"
#include "model/model.h"
#include "model/solo_runner.h"
#include "text/tokenizer.h"

namespace lb::app {
namespace {

struct Args {
  std::string model, text, ids, prompt, isa, kv = "f16";
  std::vector<int> speed;  // prefill tokens, decode tokens
  int streams = 1;
  int answer_tokens = 24;
  int threads = 0;
  bool ref = false;
  std::vector<std::pair<std::string, float>> loras;
  PerplexityOptions perplexity;
};

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Of this process, all threads: what remains comparable on a busy machine (with --threads 1, since
// waiting threads may spin).
double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

int32_t Argmax(std::span<const float> row) {
  return static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

Result<std::vector<int32_t>> ReadIds(const std::string& path) {
  LB_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(path));
  std::istringstream in(text);
  std::vector<int32_t> ids;
  for (int32_t id; in >> id;) ids.push_back(id);
  if (!in.eof()) {
    return Fail(ErrorCode::kInvalidArgument, "{}: entry {} is not a token id", path, ids.size());
  }
  return ids;
}

// `streams` sequences of speed[0] tokens, one after the other, then speed[1] steps of all of them.
Result<void> MeasureSpeed(const Model& model, Ops& ops, const Args& args) {
  const int prompt = args.speed[0];
  const int answer = args.speed.size() > 1 ? args.speed[1] : 0;
  SoloOptions solo;
  solo.num_sequences = args.streams;
  solo.max_context = prompt + answer;
  solo.max_batch_tokens = std::max(args.perplexity.batch_tokens, args.streams);
  solo.max_logit_rows = args.streams;
  solo.k_dtype = args.perplexity.k_dtype;
  solo.v_dtype = args.perplexity.v_dtype;
  LB_ASSIGN_OR_RETURN(const auto runner, SoloRunner::Create(model, ops, solo));
  std::vector<int32_t> tokens(prompt);
  for (int i = 0; i < prompt; ++i) tokens[i] = (1000 + 7919 * i) % model.config().vocab_size;
  std::vector<int32_t> next(args.streams);
  const int vocab = model.config().vocab_size;

  auto start = std::chrono::steady_clock::now();
  double cpu_start = CpuSeconds();
  for (int s = 0; s < args.streams; ++s) {
    for (int from = 0; from < prompt; from += solo.max_batch_tokens) {
      const int count = std::min(solo.max_batch_tokens, prompt - from);
      const std::vector<int32_t> rows(from + count == prompt ? 1 : 0, count - 1);
      const SoloPiece piece{s, std::span(tokens).subspan(from, count), rows};
      LB_ASSIGN_OR_RETURN(const auto logits, runner->Run(std::span(&piece, 1)));
      if (!rows.empty()) next[s] = Argmax(logits);
    }
  }
  const double prefill = SecondsSince(start);
  const double prefill_cpu = CpuSeconds() - cpu_start;
  fmt::print("prefill {} x {} tokens: {:.3f} s, {:.1f} tok/s; {:.3f} CPU s\n", args.streams, prompt,
             prefill, args.streams * prompt / prefill, prefill_cpu);
  if (answer == 0) return {};
  const std::vector<int32_t> row0 = {0};
  start = std::chrono::steady_clock::now();
  cpu_start = CpuSeconds();
  for (int i = 0; i < answer; ++i) {
    std::vector<SoloPiece> pieces;
    for (int s = 0; s < args.streams; ++s) pieces.push_back({s, std::span(&next[s], 1), row0});
    LB_ASSIGN_OR_RETURN(const auto logits, runner->Run(pieces));
    for (int s = 0; s < args.streams; ++s) {
      next[s] = Argmax(logits.subspan(static_cast<size_t>(s) * vocab, vocab));
    }
  }
  const double decode = SecondsSince(start);
  fmt::print("decode {} x {} tokens: {:.3f} s, {:.1f} tok/s, {:.2f} ms a step; {:.3f} CPU s\n",
             args.streams, answer, decode, args.streams * answer / decode, 1000 * decode / answer,
             CpuSeconds() - cpu_start);
  return {};
}

Result<void> Continue(const Model& model, Ops& ops, const text::Tokenizer& tokenizer,
                      const Args& args) {
  std::vector<int32_t> tokens = tokenizer.Encode(args.prompt, true, false);
  SoloOptions solo;
  solo.max_context = static_cast<int>(tokens.size()) + args.answer_tokens;
  solo.max_batch_tokens = static_cast<int>(tokens.size());
  solo.max_logit_rows = 1;
  solo.k_dtype = args.perplexity.k_dtype;
  solo.v_dtype = args.perplexity.v_dtype;
  LB_ASSIGN_OR_RETURN(const auto runner, SoloRunner::Create(model, ops, solo));
  std::span<const int32_t> input = tokens;
  std::vector<int32_t> answer;
  int32_t id = 0;
  while (static_cast<int>(answer.size()) < args.answer_tokens) {
    LB_ASSIGN_OR_RETURN(const auto logits, runner->Run(input));
    id = Argmax(logits);
    if (tokenizer.IsEndOfGeneration(id)) break;
    answer.push_back(id);
    input = std::span(&id, 1);
  }
  fmt::print("{}{}\n", args.prompt, tokenizer.Decode(answer, false));
  return {};
}

Result<void> Score(const Model& model, Ops& ops, const text::Tokenizer* tokenizer, Args args) {
  std::vector<int32_t> tokens;
  if (!args.ids.empty()) {
    LB_ASSIGN_OR_RETURN(tokens, ReadIds(args.ids));
  } else {
    LB_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(args.text));
    tokens = tokenizer->Encode(text, true, false);
    if (tokenizer->special().add_bos) args.perplexity.bos = tokenizer->special().bos;
  }
  const bool terminal = isatty(STDERR_FILENO) == 1;
  LB_ASSIGN_OR_RETURN(
      const PerplexityReport report,
      ScoreTokens(model, ops, tokens, args.perplexity, [&](const PerplexityReport& r) {
        if (terminal) fmt::print(stderr, "\r{} chunks: {:.4f} ", r.chunks, r.perplexity);
      }));
  if (terminal) fmt::print(stderr, "\n");
  fmt::print(
      "perplexity {:.4f} +- {:.4f} ({} chunks, {} scored tokens, mean nll {:.6f}); "
      "{:.1f} tok/s\n",
      report.perplexity, report.perplexity * report.stderr_nll, report.chunks, report.scored_tokens,
      report.mean_nll, report.tokens_run / report.seconds);
  return {};
}

Result<void> Main(Args args) {
  const auto kv_dtype = DTypeFromName(args.kv);
  if (!kv_dtype) return Fail(ErrorCode::kInvalidArgument, "--kv {}: unknown type", args.kv);
  args.perplexity.k_dtype = args.perplexity.v_dtype = *kv_dtype;
  std::unique_ptr<Ops> ops;
  if (args.ref) {
    ops = MakeRefOps();
  } else {
    LB_ASSIGN_OR_RETURN(ops, MakeCpuOps({{args.threads}, args.isa}));
  }
  LB_ASSIGN_OR_RETURN(const auto file, gguf::GgufFile::Open(args.model));
  const auto start = std::chrono::steady_clock::now();
  LB_ASSIGN_OR_RETURN(const auto model, LoadModel(*file, *ops, nullptr));
  for (const auto& [path, scale] : args.loras) {
    LB_ASSIGN_OR_RETURN(auto lora, gguf::GgufFile::Open(path));
    LB_ASSIGN_OR_RETURN(auto adapter, Adapter::Load(std::move(lora), *model, *ops));
    args.perplexity.adapters.push_back({static_cast<int>(model->adapters().size()), scale});
    model->AddAdapter(std::move(adapter));
  }
  fmt::print(stderr, "{}: {} on {}, loaded in {:.2f} s, {:.2f} CPU s\n", model->config().name,
             model->config().arch, ops->name(), SecondsSince(start), CpuSeconds());
  if (!args.speed.empty()) return MeasureSpeed(*model, *ops, args);
  std::unique_ptr<text::Tokenizer> tokenizer;
  if (args.ids.empty()) {
    LB_ASSIGN_OR_RETURN(tokenizer, text::Tokenizer::FromMetadata(file->metadata()));
  }
  if (!args.prompt.empty()) return Continue(*model, *ops, *tokenizer, args);
  return Score(*model, *ops, tokenizer.get(), args);
}

}  // namespace
}  // namespace lb::app

int main(int argc, char** argv) {
  lb::app::Args args;
  CLI::App app("Perplexity, logits, a greedy answer or the speed of a GGUF model");
  app.add_option("-m,--model", args.model, "GGUF file")->required();
  auto* what = app.add_option_group("what to run");
  what->add_option("--text", args.text, "score this text file");
  what->add_option("--ids", args.ids, "score these token ids (a file of numbers)");
  what->add_option("--prompt", args.prompt, "continue this text greedily");
  what->add_option("--speed", args.speed, "time P prompt and N answer tokens: P,N")->delimiter(',');
  what->require_option(1);
  app.add_option("-n", args.answer_tokens, "tokens of a continuation");
  app.add_option("--streams", args.streams, "sequences at once, for --speed");
  app.add_option("--tokens", args.perplexity.max_tokens, "only the first N tokens (0: all)");
  app.add_option("--chunk", args.perplexity.chunk_tokens, "tokens of a chunk");
  app.add_option("--from", args.perplexity.first_scored, "first scored position (-1: chunk / 2)");
  app.add_option("--batch", args.perplexity.batch_tokens, "tokens in a forward pass");
  app.add_option("--dump", args.perplexity.dump_path, "write the scored rows' logits here");
  app.add_flag("--f16", args.perplexity.dump_f16, "dump as f16 instead of f32");
  app.add_option("--kv", args.kv, "type of the KV cache");
  app.add_option("--threads", args.threads, "threads (0: one per core)");
  app.add_option("--isa", args.isa, "instruction set: amx, avx512, avx2, portable");
  app.add_option("--lora", args.loras, "adapter and its scale");
  app.add_flag("--ref", args.ref, "plain reference kernels");
  CLI11_PARSE(app, argc, argv);
  const auto result = lb::app::Main(args);
  if (!result) fmt::print(stderr, "model_eval: {}\n", result.error().message);
  return result ? 0 : 1;
}
