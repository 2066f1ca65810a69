// Chat templates, and what they are given, are outside bytes: no template may crash, leak, hang or
// let data pass for its own text. Input: template source, a NUL byte, then the variables as JSON.
#include <boost/json.hpp>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/check.h"
#include "text/jinja/from_json.h"
#include "text/jinja/template.h"

namespace {

namespace json = boost::json;
using lb::text::jinja::Origin;
using lb::text::jinja::Value;

// A character that no data of ours spells otherwise: seen in a template's own text, it was
// laundered.
constexpr std::string_view kMark = "\xE2\x98\x83";

std::vector<std::pair<std::string, Value>> Variables(std::string_view text) {
  json::error_code error;
  const json::value parsed = json::parse({text.data(), text.size()}, error);
  std::vector<std::pair<std::string, Value>> context;
  if (!error && parsed.is_object()) {
    for (const auto& [name, value] : parsed.get_object()) {
      auto made = lb::text::jinja::FromJson(value);
      if (made.has_value()) context.emplace_back(std::string(name), std::move(made).value());
    }
  }
  context.emplace_back("mark", Value::String(std::string(kMark)));
  return context;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view source = input.substr(0, input.find('\0'));
  const std::string_view variables =
      source.size() < input.size() ? input.substr(source.size() + 1) : "{}";
  const auto program = lb::text::jinja::Template::Parse(source);
  if (!program.has_value()) return 0;
  lb::text::jinja::Limits limits;
  limits.steps = 50'000;
  limits.output_bytes = 1 << 18;
  limits.memory_bytes = 8 << 20;
  const auto text = (*program)->Render(Variables(variables), 1'700'000'000, limits);
  // A source that spells the mark, or an escape that could, says nothing about laundering.
  const bool spells = source.find(kMark[0]) != std::string_view::npos ||
                      source.find('\\') != std::string_view::npos;
  if (!text.has_value() || spells) return 0;
  text->ForEachRun([](std::string_view run, Origin origin) {
    if (origin == Origin::kTemplate) CHECK(run.find(kMark) == std::string_view::npos);
  });
  return 0;
}
