#include "gguf/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <set>

#include "gguf/kv_estimate.h"
#include "base/printable.h"

namespace lb::gguf {
namespace {

constexpr size_t kMaxText = 100;        // bytes shown of a string
constexpr size_t kMaxElements = 8;      // shown of an array
constexpr size_t kMaxElementText = 24;  // bytes shown of a string in an array

using Out = std::back_insert_iterator<std::string>;

// Quotes set a string's own spaces apart from ours.
std::string Quoted(std::string_view text, size_t max_bytes) {
  return fmt::format("\"{}\"", Printable(text, max_bytes));
}

// The shortest text that reads back as the same number of its width: 1e-06, not 9.99999997e-07.
std::string ShowFloat(ValueType type, double v) {
  return type == ValueType::kFloat32 ? fmt::format("{}", static_cast<float>(v))
                                     : fmt::format("{}", v);
}

std::string ShowElement(const Value&, int64_t v) { return fmt::format("{}", v); }
std::string ShowElement(const Value& value, double v) { return ShowFloat(value.element_type, v); }
std::string ShowElement(const Value&, const std::string& v) { return Quoted(v, kMaxElementText); }

template <typename T>
std::string ShowArray(const Value& value, const std::vector<T>& elements) {
  std::string text = fmt::format("{} {}:", elements.size(), ValueTypeName(value.element_type));
  for (size_t i = 0; i < std::min(elements.size(), kMaxElements); ++i) {
    text += fmt::format(" {}", ShowElement(value, elements[i]));
  }
  if (elements.size() > kMaxElements) text += " ...";
  return text;
}

struct ShowValue {
  const Value& value;
  std::string operator()(uint64_t v) const { return fmt::format("{}", v); }
  std::string operator()(int64_t v) const { return fmt::format("{}", v); }
  std::string operator()(double v) const { return ShowFloat(value.type, v); }
  std::string operator()(bool v) const { return v ? "true" : "false"; }
  std::string operator()(const std::string& v) const { return Quoted(v, kMaxText); }
  template <typename T>
  std::string operator()(const std::vector<T>& v) const {
    return ShowArray(value, v);
  }
};

std::string ShowShape(const TensorView& view) {
  std::string text = "[";
  for (int i = 0; i < view.rank; ++i) {
    text += fmt::format("{}{}", i == 0 ? "" : ", ", view.shape[i]);
  }
  return text + "]";
}

int64_t Parameters(const GgufFile& file) {
  int64_t count = 0;
  for (const Tensor& tensor : file.tensors()) count += tensor.view.num_elements();
  return count;
}

std::string HumanCount(double count) {
  if (count >= 1e9) return fmt::format("{:.2f} billion", count / 1e9);
  if (count >= 1e6) return fmt::format("{:.1f} million", count / 1e6);
  return fmt::format("{:.0f}", count);
}

int64_t WeightBytes(const GgufFile& file) {
  int64_t bytes = 0;
  for (const Tensor& tensor : file.tensors()) bytes += tensor.view.num_bytes();
  return bytes;
}

void AddMetadata(const GgufFile& file, Out out) {
  const auto& all = file.metadata().all();
  size_t width = 0;
  for (const auto& [key, value] : all) width = std::max(width, Printable(key).size());
  fmt::format_to(out, "\nMetadata: {} keys\n", all.size());
  for (const auto& [key, value] : all) {
    fmt::format_to(out, "  {:<{}}  {:<6}  {}\n", Printable(key), width, ValueTypeName(value.type),
                   std::visit(ShowValue{value}, value.data));
  }
}

void AddTensors(const GgufFile& file, Out out) {
  size_t width = 0;
  size_t shape_width = 0;
  for (const Tensor& tensor : file.tensors()) {
    width = std::max(width, Printable(tensor.name).size());
    shape_width = std::max(shape_width, ShowShape(tensor.view).size());
  }
  fmt::format_to(out, "\nTensors: {} (shapes outermost first; bytes)\n", file.tensors().size());
  for (const Tensor& tensor : file.tensors()) {
    fmt::format_to(out, "  {:<{}}  {:<6}  {:<{}}  {:>12}\n", Printable(tensor.name), width,
                   Info(tensor.view.dtype).name, ShowShape(tensor.view), shape_width,
                   tensor.view.num_bytes());
  }
}

void AddTotals(const GgufFile& file, Out out) {
  struct Total {
    int64_t tensors = 0;
    int64_t elements = 0;
    int64_t bytes = 0;
  };
  std::array<Total, kNumDTypes> totals{};
  for (const Tensor& tensor : file.tensors()) {
    Total& total = totals[static_cast<size_t>(tensor.view.dtype)];
    ++total.tensors;
    total.elements += tensor.view.num_elements();
    total.bytes += tensor.view.num_bytes();
  }
  fmt::format_to(out, "\nBy type: {:>16} {:>16} {:>16}\n", "tensors", "parameters", "bytes");
  for (const DTypeInfo& info : AllDTypes()) {
    const Total& total = totals[static_cast<size_t>(info.dtype)];
    if (total.tensors == 0) continue;
    fmt::format_to(out, "  {:<6} {:>16} {:>16} {:>16}\n", info.name, total.tensors, total.elements,
                   total.bytes);
  }
}

void AddMemory(const GgufFile& file, Out out) {
  const auto weights = static_cast<double>(WeightBytes(file));
  fmt::format_to(out, "\nMemory\n  weights  {} bytes ({})\n", WeightBytes(file),
                 HumanBytes(weights));
  const Result<KvEstimate> estimate = EstimateKv(file.metadata());
  if (!estimate) {
    fmt::format_to(out, "  KV cache  cannot be told: {}\n", estimate.error().message);
    return;
  }
  if (estimate->bytes_per_token == 0) {
    fmt::format_to(out, "  KV cache  none: the model keeps no keys and values between tokens\n");
    return;
  }
  const auto per_token = static_cast<double>(estimate->bytes_per_token);
  fmt::format_to(out, "  KV cache  {} bytes a token (f16, {} layers)\n", estimate->bytes_per_token,
                 estimate->num_layers);
  if (estimate->sliding_window > 0) {
    fmt::format_to(out, "            an upper bound: layers with a window hold {} tokens at most\n",
                   estimate->sliding_window);
  }
  fmt::format_to(out, "  {:>12} {:>12} {:>14}\n", "context", "KV cache", "with weights");
  std::set<int64_t> contexts = {4096, 32768};
  if (estimate->context_length > 0) contexts.insert(estimate->context_length);
  for (int64_t context : contexts) {
    const double kv = per_token * static_cast<double>(context);
    fmt::format_to(out, "  {:>12} {:>12} {:>14}{}\n", context, HumanBytes(kv),
                   HumanBytes(kv + weights),
                   context == estimate->context_length ? "  (the model's own)" : "");
  }
}

}  // namespace

std::string HumanBytes(double bytes) {
  constexpr std::string_view kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f} {}", bytes, kUnits[0])
                   : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

std::string Report(const GgufFile& file) {
  std::string text;
  const Out out(text);
  fmt::format_to(out, "{}\n", file.path());
  fmt::format_to(out, "  GGUF version {}, {} bytes ({})", file.version(), file.file_bytes(),
                 HumanBytes(static_cast<double>(file.file_bytes())));
  if (file.num_files() > 1) fmt::format_to(out, " in {} parts", file.num_files());
  const int64_t parameters = Parameters(file);
  fmt::format_to(out, "\n  {} parameters ({})\n", parameters,
                 HumanCount(static_cast<double>(parameters)));
  AddMetadata(file, out);
  AddTensors(file, out);
  AddTotals(file, out);
  AddMemory(file, out);
  return text;
}

}  // namespace lb::gguf
