#include "app/bench_command.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <limits>

#include "app/bench/driver.h"
#include "app/bench/report.h"
#include "app/compose.h"
#include "app/load_progress.h"
#include "app/system_info.h"
#include "base/log.h"

namespace lb::app {
namespace {

// The flags of a server that would have exactly the room that the tests need.
Flags EngineFlags(Flags flags) {
  flags.ctx_size = PoolTokens(flags.bench);
  flags.parallel = *std::ranges::max_element(flags.bench.streams);
  if (flags.batch_size > 0) flags.batch_size = std::max(flags.batch_size, 2 * flags.parallel);
  return flags;
}

Result<BenchReport> Measure(const Flags& given) {
  const Flags flags = EngineFlags(given);
  const BenchOptions& options = flags.bench;
  BenchReport report;
  report.model = std::filesystem::path(flags.model).filename().string();
  report.processor = ProcessorName();
  report.prompt = options.prompt;
  const SteadyClock clock;
  const int64_t start = clock.NowMicros();
  LB_ASSIGN_OR_RETURN(const auto file, gguf::GgufFile::Open(flags.model));
  LB_ASSIGN_OR_RETURN(const ModelConfig facts, ReadModelConfig(*file));
  LB_ASSIGN_OR_RETURN(const auto ops, ChooseOps(flags.gpu, flags.cpu, *file, facts));
  LoadProgressLine line;
  LB_ASSIGN_OR_RETURN(const auto model,
                      LoadModel(*file, *ops, [&](float fraction) { line.Show(fraction); }));
  if (!model->config().generates) {
    return Fail(ErrorCode::kUnsupported,
                "bench measures answers, and {} makes vectors only (bench/scenarios/embeddings.py "
                "measures those)",
                model->config().name);
  }
  report.load_seconds = static_cast<double>(clock.NowMicros() - start) * 1e-6;
  report.backend = ops->name();
  report.file_bytes = file->file_bytes();
  EngineConfig config;
  config.max_gap_ratio = std::numeric_limits<double>::infinity();  // no answer runs that matters
  LB_ASSIGN_OR_RETURN(const auto engine,
                      MakeEngine(flags, std::move(config), *model, *ops, &clock));
  LB_ASSIGN_OR_RETURN(const KvDTypes kv, KvTypesOf(flags));
  report.kv_bytes = engine->limits().pool_tokens * BytesPerToken(model->config(), kv);

  BenchDriver driver(*engine, clock, model->config().vocab_size);
  LB_RETURN_IF_ERROR(driver.WarmUp());
  for (const BenchTest& test : PlanTests(options)) {
    LB_ASSIGN_OR_RETURN(auto rates, driver.Run(test, options));
    report.rows.push_back({test, std::move(rates), {}});
  }
  report.peak_bytes = PeakMemory();  // now: measuring the walls takes memory of its own
  const Ops::DeviceWalls device = ops->MeasureWalls();
  if (device.read_gbs > 0) {
    report.walls = {device.read_gbs, device.product_gflops, "fp16 products", device.product_gflops};
  } else {
    ThreadPool pool(flags.cpu.threads);
    report.walls = MeasureWalls(pool);
  }
  const ModelCost cost = CostOf(*file);
  for (BenchRow& row : report.rows) {
    row.limit = LimitOf(row.test, options, cost, model->config(), kv, report.walls);
  }
  return report;
}

}  // namespace

int Bench(const Flags& flags) {
  const auto report = Measure(flags);
  if (!report.has_value()) {
    LogError("{}", report.error().message);
    return 1;
  }
  const std::string text = flags.bench.json ? JsonOf(*report) : TableOf(*report);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

}  // namespace lb::app
