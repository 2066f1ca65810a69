// llama-box: reads the command line and hands over.
#include <cstdio>
#include <cstdlib>

#include "app/bench_command.h"
#include "app/compose.h"
#include "app/flags.h"
#include "app/inspect.h"
#include "app/perplexity.h"
#include "app/run.h"
#include "app/serve.h"
#include "base/log.h"

namespace lb::app {
namespace {

int Inspect(const Flags& flags) {
  const auto report = InspectReport(flags.model);
  if (!report.has_value()) {
    LogError("{}", report.error().message);
    return 1;
  }
  std::fwrite(report->data(), 1, report->size(), stdout);
  return 0;
}

Result<std::unique_ptr<Ops>> OpsFor(const Flags& flags) {
  LB_ASSIGN_OR_RETURN(const auto file, gguf::GgufFile::Open(flags.model));
  LB_ASSIGN_OR_RETURN(const ModelConfig model, ReadModelConfig(*file));
  return ChooseOps(flags.gpu, flags.cpu, *file, model);
}

int Perplexity(const Flags& flags) {
  auto ops = OpsFor(flags);
  if (!ops.has_value()) {
    LogError("{}", ops.error().message);
    return 1;
  }
  const auto report = RunPerplexity(flags, **ops, {},
                                    [](const PerplexityReport& so_far) {
                                      std::fprintf(stderr, "chunk %d: perplexity %.4f\n",
                                                   so_far.chunks, so_far.perplexity);
                                    });
  if (!report.has_value()) {
    LogError("{}", report.error().message);
    return 1;
  }
  std::printf("perplexity %.4f +- %.4f over %ld tokens\n", report->perplexity,
              report->perplexity * report->stderr_nll, static_cast<long>(report->scored_tokens));
  return 0;
}

int Main(int argc, const char* const* argv) {
  SetLogVerbosity(1);
  auto flags = ParseFlags(argc, argv, [](const char* name) { return std::getenv(name); });
  if (!flags.has_value()) {
    LogError("{}", flags.error().message);
    return 1;
  }
  for (const std::string& warning : flags->warnings) LogWarning("{}", warning);
  for (const std::string& note : flags->notes) LogInfo("{}", note);
  // What `run` and `bench` print is their answer: facts about the model only for who asks.
  const bool quiet =
      (flags->command == Command::kRun || flags->command == Command::kBench) && flags->verbosity == 1;
  SetLogVerbosity(quiet ? 0 : flags->verbosity);
  switch (flags->command) {
    case Command::kPrint:
      std::fputs(flags->text_to_print.c_str(), stdout);
      return 0;
    case Command::kInspect: return Inspect(*flags);
    case Command::kPerplexity: return Perplexity(*flags);
    case Command::kBench: return Bench(*flags);
    case Command::kRun:
      BlockSignals();
      return Run(*flags);
    case Command::kServe: break;
  }
  BlockSignals();
  return Serve(*flags);
}

}  // namespace
}  // namespace lb::app

int main(int argc, char** argv) { return lb::app::Main(argc, argv); }
