#include "app/cpu_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <string>

namespace lb::app {
namespace {

constexpr int kMaxCpus = 1024;

// CPUs of a mask in hexadecimal ("0xff", "3"): bit i is CPU i. Empty: it is none.
std::vector<int> CpusOfMask(std::string mask) {
  if (mask.starts_with("0x") || mask.starts_with("0X")) mask.erase(0, 2);
  std::vector<int> cpus;
  if (mask.size() > kMaxCpus / 4) return {};
  for (size_t i = 0; i < mask.size(); ++i) {
    const char* digit = mask.data() + mask.size() - 1 - i;
    int bits = 0;
    if (std::from_chars(digit, digit + 1, bits, 16).ec != std::errc()) return {};
    for (int b = 0; b < 4; ++b) {
      if ((bits >> b & 1) != 0) cpus.push_back(static_cast<int>(4 * i) + b);
    }
  }
  return cpus;
}

// "2-5", "-5" (from 0), "3-" (to the last that a mask can name). Empty: it is none.
std::vector<int> CpusOfRange(const std::string& range) {
  const size_t dash = range.find('-');
  if (dash == std::string::npos) return {};
  int low = 0, high = static_cast<int>(std::thread::hardware_concurrency()) - 1;
  const auto read = [](const char* begin, const char* end, int* out) {
    if (begin == end) return true;
    const auto [rest, ec] = std::from_chars(begin, end, *out);
    return ec == std::errc() && rest == end;
  };
  const char* text = range.data();
  if (!read(text, text + dash, &low) || !read(text + dash + 1, text + range.size(), &high)) return {};
  std::vector<int> cpus;
  for (int cpu = low; cpu <= high && low >= 0 && high < kMaxCpus; ++cpu) cpus.push_back(cpu);
  return cpus;
}

void AddCpus(std::vector<int>* to, const std::vector<int>& cpus) {
  to->insert(to->end(), cpus.begin(), cpus.end());
  std::ranges::sort(*to);
  to->erase(std::unique(to->begin(), to->end()), to->end());
}

}  // namespace

void AddCpuFlags(CLI::App& app, CpuOptions* cpu) {
  const char* group = "Compute";
  ThreadOptions& threads = cpu->threads;
  app.add_option_function<int>("-t,--threads", [&threads](int n) { threads.count = std::max(0, n); }, "Compute threads; -1: one for each CPU they may use")->check(CLI::Range(-1, 1024))->group(group);
  app.add_option_function<std::string>("-C,--cpu-mask", [&threads](const std::string& text) { AddCpus(&threads.cpus, CpusOfMask(text)); }, "CPUs they may use, as a mask in hexadecimal: 0xf is the first four")
      ->check([](const std::string& text) { return CpusOfMask(text).empty() ? text + " is no mask of CPUs such as 0xff" : ""; })->group(group);
  app.add_option_function<std::string>("--cpu-range", [&threads](const std::string& text) { AddCpus(&threads.cpus, CpusOfRange(text)); }, "The same as a range: 0-3 (-Cr); adds to --cpu-mask")
      ->check([](const std::string& text) { return CpusOfRange(text).empty() ? text + " is no range of CPUs such as 0-3" : ""; })->group(group);
  app.add_option("--cpu-strict", threads.strict, "1: each thread keeps to one of these CPUs; 0: they may wander")->group(group);
  app.add_option("--prio", threads.priority, "Priority of the threads: -1 low, 0 normal, 1 medium, 2 high, 3 highest")->check(CLI::Range(-1, 3))->group(group);
  app.add_option("--poll", threads.poll, "How long an idle thread looks for work before it sleeps: 0 not at all, 50 for 0.1 ms, 100 for 0.2 ms")->check(CLI::Range(0, 100))->capture_default_str()->group(group);
  app.add_option("--cpu-isa", cpu->isa, "Force an instruction set: amx, avx512, avx2vnni, avx2, neon, portable, ref")->group(group);
}

}  // namespace lb::app
