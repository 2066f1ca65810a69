#include "app/perplexity.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "model/solo_runner.h"

namespace lb::app {
namespace {

// -log softmax(row)[target], in double: the vocabulary is large and the sum must not matter.
double NegativeLogLikelihood(std::span<const float> row, int32_t target) {
  const float max = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (float value : row) sum += std::exp(static_cast<double>(value) - max);
  return std::log(sum) + max - row[target];
}

// Writes the file that PerplexityOptions::dump_path describes.
class LogitDump {
 public:
  static Result<std::unique_ptr<LogitDump>> Create(const std::string& path, int32_t vocab,
                                                   bool f16) {
    auto dump = std::make_unique<LogitDump>();
    dump->dtype_ = f16 ? DType::kF16 : DType::kF32;
    dump->path_ = path;
    dump->out_.open(path, std::ios::binary);
    const int32_t header[2] = {vocab, f16 ? 2 : 4};
    dump->out_.write("LBLOGIT1", 8).write(reinterpret_cast<const char*>(header), sizeof(header));
    LB_RETURN_IF_ERROR(dump->Check());
    return dump;
  }

  Result<void> Write(std::span<const float> values) {
    if (dtype_ == DType::kF32) {
      out_.write(reinterpret_cast<const char*>(values.data()), values.size_bytes());
    } else {
      encoded_.resize(values.size());
      Info(dtype_).encode(values.data(), encoded_.data(), static_cast<int64_t>(values.size()));
      out_.write(reinterpret_cast<const char*>(encoded_.data()),
                 static_cast<std::streamsize>(encoded_.size() * sizeof(uint16_t)));
    }
    return Check();
  }

  Result<void> Close() {
    out_.close();
    return Check();
  }

 private:
  Result<void> Check() const {
    if (out_.fail()) return Fail(ErrorCode::kIo, "{}: cannot write", path_);
    return {};
  }

  std::string path_;
  std::ofstream out_;
  DType dtype_ = DType::kF32;
  std::vector<uint16_t> encoded_;
};

// Runs one chunk in batches; hands the logits of each batch's scored rows to `use(first position,
// logits)`.
template <typename Use>
Result<void> RunChunk(SoloRunner& runner, std::span<const int32_t> chunk, int first_scored,
                      int batch_tokens, std::span<const AdapterUse> adapters, Use use) {
  const int size = static_cast<int>(chunk.size());
  runner.Reset(0);
  for (int start = 0; start < size; start += batch_tokens) {
    const int end = std::min(size, start + batch_tokens);
    std::vector<int32_t> rows;
    for (int p = std::max(start, first_scored); p < std::min(end, size - 1); ++p) {
      rows.push_back(p - start);
    }
    const SoloPiece piece{0, chunk.subspan(start, end - start), rows, adapters};
    LB_ASSIGN_OR_RETURN(const std::span<const float> logits, runner.Run(std::span(&piece, 1)));
    if (!rows.empty()) LB_RETURN_IF_ERROR(use(start + rows.front(), logits));
  }
  return {};
}

}  // namespace

Result<PerplexityReport> ScoreTokens(const Model& model, Ops& ops, std::span<const int32_t> tokens,
                                     const PerplexityOptions& options,
                                     const PerplexityProgress& progress) {
  const int size = options.chunk_tokens;
  const int first = options.first_scored < 0 ? size / 2 : options.first_scored;
  if (size < 2 || first > size - 2 || options.batch_tokens < 1) {
    return Fail(ErrorCode::kInvalidArgument,
                "chunks of {} tokens scored from {} in batches of {}: nothing to score", size,
                first, options.batch_tokens);
  }
  if (options.max_tokens > 0 && tokens.size() > static_cast<size_t>(options.max_tokens)) {
    tokens = tokens.first(options.max_tokens);
  }
  const int num_chunks = static_cast<int>(tokens.size() / size);
  if (num_chunks == 0) {
    return Fail(ErrorCode::kInvalidArgument, "text of {} tokens; needs a chunk of {} at least",
                tokens.size(), size);
  }
  const int vocab = model.config().vocab_size;
  const int batch = std::min(options.batch_tokens, size);
  SoloOptions solo;
  solo.max_context = size;
  solo.max_batch_tokens = batch;
  solo.max_logit_rows = std::min(batch, size - 1 - first);
  solo.k_dtype = options.k_dtype;
  solo.v_dtype = options.v_dtype;
  LB_ASSIGN_OR_RETURN(const auto runner, SoloRunner::Create(model, ops, solo));
  std::unique_ptr<LogitDump> dump;
  if (!options.dump_path.empty()) {
    LB_ASSIGN_OR_RETURN(dump, LogitDump::Create(options.dump_path, vocab, options.dump_f16));
  }

  PerplexityReport report;
  double sum = 0, sum_of_squares = 0;
  std::vector<int32_t> chunk(size);
  for (int c = 0; c < num_chunks; ++c) {
    const auto source = tokens.subspan(static_cast<size_t>(c) * size, size);
    std::copy(source.begin(), source.end(), chunk.begin());
    if (options.bos >= 0) chunk[0] = options.bos;
    const auto start = std::chrono::steady_clock::now();
    double scoring = 0;  // not the model's time
    LB_RETURN_IF_ERROR(RunChunk(
        *runner, chunk, first, batch, options.adapters,
        [&](int position, std::span<const float> logits) -> Result<void> {
          const auto begin = std::chrono::steady_clock::now();
          for (; !logits.empty(); logits = logits.subspan(vocab), ++position) {
            const double nll = NegativeLogLikelihood(logits.first(vocab), chunk[position + 1]);
            sum += nll;
            sum_of_squares += nll * nll;
            ++report.scored_tokens;
            if (dump != nullptr) LB_RETURN_IF_ERROR(dump->Write(logits.first(vocab)));
          }
          scoring +=
              std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
          return {};
        }));
    report.seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() - scoring;
    report.tokens_run += size;
    report.chunks = c + 1;
    const double n = static_cast<double>(report.scored_tokens);
    report.mean_nll = sum / n;
    report.perplexity = std::exp(report.mean_nll);
    report.stderr_nll =
        std::sqrt(std::max(0.0, sum_of_squares / n - report.mean_nll * report.mean_nll) /
                  std::max(1.0, n - 1));
    if (progress) progress(report);
  }
  if (dump != nullptr) LB_RETURN_IF_ERROR(dump->Close());
  return report;
}

Result<std::string> ReadTextFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Fail(ErrorCode::kNotFound, "{}: cannot open", path);
  std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (in.bad()) return Fail(ErrorCode::kIo, "{}: cannot read", path);
  return text;
}

}  // namespace lb::app
