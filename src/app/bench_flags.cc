#include "app/bench_flags.h"

#include <CLI/CLI.hpp>

#include <algorithm>

#include "app/cpu_flags.h"
#include "app/gpu_flags.h"
#include "app/spellings.h"

namespace lb::app {

Result<Flags> ParseBenchFlags(int argc, const char* const* argv) {
  Flags flags;
  flags.command = Command::kBench;
  BenchOptions& bench = flags.bench;
  std::string streams, depths;
  CLI::App app("llama-box bench: how fast a model runs here, beside what this machine can do at most.\n"
               "Every number of --streams is measured at the first --depth, every other depth with\n"
               "the first number of streams. No server, no text: the engine on made-up tokens.");
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  const auto range = [](int low, int high) { return CLI::Range(low, high); };
  app.add_option("-m,--model", flags.model, "GGUF file")->required();
  app.add_option("-p,--n-prompt", bench.prompt, "Tokens of the prefill test; 0: none")->check(range(0, 1 << 20))->capture_default_str();
  app.add_option("-n,--n-gen", bench.answer, "Steps of a decode test; 0: none")->check(range(0, 1 << 20))->capture_default_str();
  app.add_option("-r,--repetitions", bench.repetitions, "Repetitions, of which the median counts")->check(range(1, 1000))->capture_default_str();
  app.add_option("--streams", streams, "Sequences that decode together (default 1,8,16)");
  app.add_option("--depth", depths, "Tokens before the measured ones (default 0,8192)");
  app.add_flag("--json", bench.json, "One JSON object a line");
  app.add_option("-b,--batch-size", flags.batch_size, "Most tokens in one step")->check(range(16, 65536))->capture_default_str();
  app.add_option("--cache-type-k", flags.cache_type_k, "Type of cached keys (-ctk): f16, bf16, f32, q8_0, q4_0, fp8")->capture_default_str();
  app.add_option("--cache-type-v", flags.cache_type_v, "Type of cached values (-ctv)")->capture_default_str();
  app.add_option("--verbosity", flags.verbosity, "As of the server")->capture_default_str();
  AddGpuFlags(app, &flags.gpu);
  AddCpuFlags(app, &flags.cpu);

  std::vector<std::string> arguments(argv + 1, argv + argc);
  for (std::string& argument : arguments) argument = Spelled(argument);
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
  try {
    app.parse(arguments);
  } catch (const CLI::CallForHelp&) {
    flags.command = Command::kPrint;
    flags.text_to_print = app.help();
    return flags;
  } catch (const CLI::Error& error) {
    return Fail(ErrorCode::kInvalidArgument, "bench: {}", error.what());
  }
  if (!streams.empty()) {
    LB_ASSIGN_OR_RETURN(bench.streams, ParseNumbers("--streams", streams, 1));
  }
  if (!depths.empty()) {
    LB_ASSIGN_OR_RETURN(bench.depths, ParseNumbers("--depth", depths, 0));
  }
  return flags;
}

}  // namespace lb::app
