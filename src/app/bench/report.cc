#include "app/bench/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "api/json_writer.h"

namespace lb::app {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;

double MiB(int64_t bytes) { return static_cast<double>(bytes) / kMiB; }

bool IsPrefill(const BenchRow& row) { return row.test.kind == BenchTest::Kind::kPrefill; }

}  // namespace

double Median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

std::string TableOf(const BenchReport& report) {
  std::string text;
  const auto out = std::back_inserter(text);
  fmt::format_to(out, "{} on {} ({})\n", report.model, report.backend, report.processor);
  fmt::format_to(out, "walls: read {:.1f} GB/s, products {:.0f} GOP/s ({}), attention {:.0f} GFLOP/s\n",
                 report.walls.read_gbs, report.walls.int8_gops, report.walls.int8_how,
                 report.walls.f32_gflops);
  fmt::format_to(out, "loaded {:.0f} MiB in {:.2f} s ({:.0f} MiB/s)\n", MiB(report.file_bytes),
                 report.load_seconds, MiB(report.file_bytes) / report.load_seconds);
  fmt::format_to(out, "peak memory {:.0f} MiB: file {:.0f}, KV pool {:.0f}, beyond these {:.0f}\n",
                 MiB(report.peak_bytes), MiB(report.file_bytes), MiB(report.kv_bytes),
                 MiB(report.peak_bytes - report.file_bytes - report.kv_bytes));
  fmt::format_to(out, "\n{:14} {:>7} {:>6} {:>9}  {:16} {:>8} {:8} {:>9}\n", "test", "streams",
                 "depth", "tokens/s", "(min - max)", "limit", "by", "reached");
  for (const BenchRow& row : report.rows) {
    const double median = Median(row.rates);
    const auto [low, high] = std::ranges::minmax(row.rates);
    fmt::format_to(out, "{:14} {:7} {:6} {:9.1f}  {:16} {:8.1f} {:8} {:7.0f} %\n",
                   IsPrefill(row) ? fmt::format("prefill {}", report.prompt) : "decode",
                   row.test.streams, row.test.depth, median,
                   fmt::format("({:.1f} - {:.1f})", low, high), row.limit.tokens_per_second,
                   row.limit.wall, 100 * median / row.limit.tokens_per_second);
  }
  return text;
}

std::string JsonOf(const BenchReport& report) {
  std::string text;
  const auto line = [&](api::JsonWriter& w) { text += w.EndObject().Take() + "\n"; };
  {
    api::JsonWriter w;
    w.BeginObject().Key("test").String("machine").Key("model").String(report.model);
    w.Key("backend").String(report.backend).Key("processor").String(report.processor);
    w.Key("read_gbs").Double(report.walls.read_gbs).Key("int8_gops").Double(report.walls.int8_gops);
    w.Key("f32_gflops").Double(report.walls.f32_gflops);
    line(w);
  }
  {
    api::JsonWriter w;
    w.BeginObject().Key("test").String("load").Key("seconds").Double(report.load_seconds);
    w.Key("file_bytes").Int(report.file_bytes).Key("kv_bytes").Int(report.kv_bytes);
    w.Key("peak_bytes").Int(report.peak_bytes);
    line(w);
  }
  for (const BenchRow& row : report.rows) {
    const double median = Median(row.rates);
    const auto [low, high] = std::ranges::minmax(row.rates);
    api::JsonWriter w;
    w.BeginObject().Key("test").String(IsPrefill(row) ? "prefill" : "decode");
    w.Key("streams").Int(row.test.streams).Key("depth").Int(row.test.depth);
    w.Key("tokens_per_second").Double(median).Key("min").Double(low).Key("max").Double(high);
    w.Key("limit").Double(row.limit.tokens_per_second).Key("wall").String(row.limit.wall);
    w.Key("fraction").Double(median / row.limit.tokens_per_second);
    line(w);
  }
  return text;
}

}  // namespace lb::app
