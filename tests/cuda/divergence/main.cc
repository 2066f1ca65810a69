// cuda_divergence: how far one backend's next-token distributions are from another's, on real text.
//   cuda_divergence -m MODEL --text FILE [--text FILE ...] [--backend cuda] [--beside cpu] [--beside-model MODEL2]
// The text is cut into chunks of --chunk tokens, each computed by both from an empty cache: by the second in one pass,
// by the first in passes of each of --widths tokens, since prompts, a few rows and single rows run through different
// kernels. Prints the Kullback-Leibler divergence of the first from the second over all positions, in nats: mean, 99th
// percentile, greatest; how often both name the same most probable token; and the perplexity of both. The exit code is 1 when a mean
// is above --limit. Backends: cuda, cuda-deterministic, cpu, ref. MODEL2, by default MODEL, must have the same vocabulary:
// the same weights in F32, say, with which the CPU does not round activations to 8 bits.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "gguf/gguf_file.h"
#include "kernels/backends.h"
#include "kernels/cuda_loader.h"
#include "model/model.h"
#include "model/solo_runner.h"
#include "text/tokenizer.h"

namespace lb {
namespace {

struct Args {
  std::string model, beside_model, backend = "cuda", beside = "cpu";
  std::vector<std::string> texts;
  std::vector<int> widths = {512, 16, 1};
  int chunk = 512;
  int tokens = 4096;
  double limit = 1e-3;
};

Result<std::unique_ptr<Ops>> MakeOps(const std::string& name) {
  if (name == "ref") return MakeRefOps();
  if (name == "cpu") return MakeCpuOps({});
  CudaOptions options;
  options.deterministic = name == "cuda-deterministic";
  return MakeCudaOps(options);
}

// A model on a backend, and the logits of a chunk computed with it.
class Side {
 public:
  static Result<std::unique_ptr<Side>> Create(const std::string& path, const std::string& backend, int chunk) {
    auto side = std::make_unique<Side>();
    LB_ASSIGN_OR_RETURN(side->ops_, MakeOps(backend));
    LB_ASSIGN_OR_RETURN(side->file_, gguf::GgufFile::Open(path));
    LB_ASSIGN_OR_RETURN(side->model_, LoadModel(*side->file_, *side->ops_, nullptr));
    SoloOptions options;
    options.max_context = options.max_batch_tokens = options.max_logit_rows = chunk;
    LB_ASSIGN_OR_RETURN(side->runner_, SoloRunner::Create(*side->model_, *side->ops_, options));
    return side;
  }

  // Of every token, in passes of `width` tokens: [tokens, vocab].
  Result<std::vector<float>> Logits(std::span<const int32_t> tokens, int width) {
    runner_->Reset(0);
    std::vector<float> all;
    for (size_t from = 0; from < tokens.size(); from += static_cast<size_t>(width)) {
      const auto piece_tokens = tokens.subspan(from, std::min(static_cast<size_t>(width), tokens.size() - from));
      std::vector<int32_t> rows(piece_tokens.size());
      std::iota(rows.begin(), rows.end(), 0);
      const SoloPiece piece{0, piece_tokens, rows};
      LB_ASSIGN_OR_RETURN(const auto logits, runner_->Run(std::span(&piece, 1)));
      all.insert(all.end(), logits.begin(), logits.end());
    }
    return all;
  }

  int vocab() const { return model_->config().vocab_size; }
  const gguf::GgufFile& file() const { return *file_; }
  std::string_view backend() const { return ops_->name(); }

 private:
  std::unique_ptr<Ops> ops_;  // outlives what was made with it
  std::unique_ptr<gguf::GgufFile> file_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<SoloRunner> runner_;
};

// log(sum(exp(row))), so that row[t] less this is the log probability of t.
double LogSum(std::span<const float> row) {
  const double max = *std::ranges::max_element(row);
  double sum = 0;
  for (const float x : row) sum += std::exp(x - max);
  return max + std::log(sum);
}

struct Divergence {
  std::vector<double> kl;  // by position
  int same_best = 0;
  double nll_first = 0, nll_second = 0;  // sums over `scored` positions
  int scored = 0;

  // `next`: the token that follows, or -1.
  void Add(std::span<const float> first, std::span<const float> second, int32_t next) {
    const double log_first = LogSum(first), log_second = LogSum(second);
    double sum = 0;
    for (size_t t = 0; t < first.size(); ++t) {
      const double p = second[t] - log_second;
      sum += std::exp(p) * (p - (first[t] - log_first));
    }
    kl.push_back(sum);
    same_best += std::ranges::max_element(first) - first.begin() == std::ranges::max_element(second) - second.begin();
    if (next < 0) return;
    nll_first += log_first - first[static_cast<size_t>(next)];
    nll_second += log_second - second[static_cast<size_t>(next)];
    ++scored;
  }

  double Mean() const { return std::accumulate(kl.begin(), kl.end(), 0.0) / static_cast<double>(kl.size()); }

  void Print(int width) const {
    std::vector<double> sorted = kl;
    std::ranges::sort(sorted);
    fmt::print("{:4} tokens a pass: mean KL {:.3e}, 99 % below {:.2e}, greatest {:.2e}; top-1 agreement {:.2f} %; perplexity {:.4f} and {:.4f}\n",
               width, Mean(), sorted[sorted.size() * 99 / 100], sorted.back(),
               100.0 * same_best / static_cast<double>(kl.size()), std::exp(nll_first / scored), std::exp(nll_second / scored));
  }
};

Result<std::vector<int32_t>> Tokens(const Args& args, const gguf::GgufFile& file, int32_t* bos) {
  LB_ASSIGN_OR_RETURN(const auto tokenizer, text::Tokenizer::FromMetadata(file.metadata()));
  std::string text;
  for (const std::string& path : args.texts) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return Fail(ErrorCode::kInvalidArgument, "{}: cannot be read", path);
    text.append(std::istreambuf_iterator<char>(in), {});
  }
  auto tokens = tokenizer->Encode(text, true, false);
  const auto whole = std::min<size_t>(tokens.size(), static_cast<size_t>(args.tokens)) / static_cast<size_t>(args.chunk);
  if (whole == 0) {
    return Fail(ErrorCode::kInvalidArgument, "the text has {} tokens, and a chunk takes {}", tokens.size(), args.chunk);
  }
  tokens.resize(whole * static_cast<size_t>(args.chunk));
  *bos = tokenizer->special().add_bos ? tokenizer->special().bos : -1;
  return tokens;
}

// Whether every mean is at most the limit.
Result<bool> Compare(const Args& args) {
  LB_ASSIGN_OR_RETURN(const auto first, Side::Create(args.model, args.backend, args.chunk));
  const std::string& other = args.beside_model.empty() ? args.model : args.beside_model;
  LB_ASSIGN_OR_RETURN(const auto second, Side::Create(other, args.beside, args.chunk));
  if (first->vocab() != second->vocab()) {
    return Fail(ErrorCode::kInvalidArgument, "{} has a vocabulary of {} and {} one of {}", args.model, first->vocab(), other, second->vocab());
  }
  int32_t bos = -1;
  LB_ASSIGN_OR_RETURN(std::vector<int32_t> tokens, Tokens(args, first->file(), &bos));
  fmt::print("{} on {} beside {} on {}, {} tokens in chunks of {}\n", args.model, first->backend(), other, second->backend(), tokens.size(), args.chunk);
  const auto vocab = static_cast<size_t>(first->vocab()), length = static_cast<size_t>(args.chunk);
  std::vector<Divergence> found(args.widths.size());
  for (size_t from = 0; from < tokens.size(); from += length) {
    const auto chunk = std::span(tokens).subspan(from, length);
    if (bos >= 0) chunk[0] = bos;
    LB_ASSIGN_OR_RETURN(const std::vector<float> expected, second->Logits(chunk, args.chunk));
    for (size_t w = 0; w < found.size(); ++w) {
      LB_ASSIGN_OR_RETURN(const std::vector<float> got, first->Logits(chunk, args.widths[w]));
      for (size_t i = 0; i < length; ++i) {
        found[w].Add(std::span(got).subspan(i * vocab, vocab), std::span(expected).subspan(i * vocab, vocab),
                     i + 1 < length ? chunk[i + 1] : -1);
      }
    }
  }
  bool below = true;
  for (size_t w = 0; w < found.size(); ++w) {
    found[w].Print(args.widths[w]);
    below = below && found[w].Mean() <= args.limit;  // no NaN passes
  }
  if (!below) fmt::print("a mean is above {:.0e}\n", args.limit);
  return below;
}

}  // namespace
}  // namespace lb

int main(int argc, char** argv) {
  lb::Args args;
  CLI::App app("How far one backend's next-token distributions are from another's");
  app.add_option("-m,--model", args.model, "GGUF file")->required();
  app.add_option("--text", args.texts, "files of text")->required();
  const CLI::IsMember backends({"cuda", "cuda-deterministic", "cpu", "ref"});
  app.add_option("--backend", args.backend, "computes the first distributions")->check(backends)->capture_default_str();
  app.add_option("--beside", args.beside, "computes those it is measured against")->check(backends)->capture_default_str();
  app.add_option("--beside-model", args.beside_model, "another file of the same model for that");
  app.add_option("--widths", args.widths, "tokens in a pass of the first")->delimiter(',')->check(CLI::Range(1, 65536))->capture_default_str();
  app.add_option("--chunk", args.chunk, "tokens of a chunk")->check(CLI::Range(2, 65536))->capture_default_str();
  app.add_option("--tokens", args.tokens, "at most so many of the text")->capture_default_str();
  app.add_option("--limit", args.limit, "greatest mean that passes")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const auto below = lb::Compare(args);
  if (!below.has_value()) {
    fmt::print(stderr, "cuda_divergence: {}\n", below.error().message);
    return 2;
  }
  return *below ? 0 : 1;
}
