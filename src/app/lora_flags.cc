#include "app/lora_flags.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>
#include <utility>

#include "api/adapters.h"

namespace lb::app {
namespace {

constexpr char kPlain[] = "--lora", kScaled[] = "--lora-scaled";

std::optional<float> AsScale(std::string_view text) {
  float scale = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), scale);
  const bool whole = ec == std::errc() && end == text.data() + text.size();
  if (!whole || !(std::fabs(scale) <= api::kMaxAdapterScale)) return std::nullopt;
  return scale;
}

// The parts between commas; a file whose own name has commas is one.
std::vector<std::string> Parts(const std::string& list) {
  std::error_code ec;
  if (std::filesystem::exists(list, ec)) return {list};
  std::vector<std::string> parts(1);
  for (const char c : list) {
    if (c == ',') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  std::erase(parts, "");
  return parts;
}

Result<void> TakeScaled(const std::string& part, Flags* flags) {
  const size_t colon = part.rfind(':');
  const auto scale = colon == std::string::npos ? std::nullopt : AsScale(part.substr(colon + 1));
  if (!scale || colon == 0) {
    return Fail(ErrorCode::kInvalidArgument,
                "--lora-scaled needs FILE SCALE or FILE:SCALE, a scale from -{} to {}, not {}",
                api::kMaxAdapterScale, api::kMaxAdapterScale, part);
  }
  flags->loras.push_back({part.substr(0, colon), *scale});
  return {};
}

}  // namespace

void AddLoraFlags(CLI::App& app, Flags* flags) {
  // Read by TakeLoraFlag, since their order matters: these are for --help.
  const auto ignore = [](const std::string&) {};
  app.add_option_function<std::string>(kPlain, ignore, "LoRA adapter (GGUF); may be given more than once, or be a list with commas. Requests choose by {\"lora\": [{\"id\": 0, \"scale\": 1}]}")->group("Model");
  app.add_option_function<std::string>(kScaled, ignore, "The same with its scale: FILE SCALE, or FILE:SCALE")->group("Model");
  app.add_flag("--lora-init-without-apply", flags->lora_init_without_apply, "Adapters are off until a request or POST /lora-adapters asks for them")->group("Model");
}

bool IsLoraFlag(const std::string& name) { return name == kPlain || name == kScaled; }

Result<void> TakeLoraFlag(const std::string& name, const std::vector<std::string>& arguments,
                          size_t* at, Flags* flags) {
  const std::string& argument = arguments[*at];
  const size_t equals = argument.find('=');
  if (equals == std::string::npos && *at + 1 >= arguments.size()) {
    return Fail(ErrorCode::kInvalidArgument, "{} needs a file", name);
  }
  const std::string value =
      equals != std::string::npos ? argument.substr(equals + 1) : arguments[++*at];
  if (name == kPlain) {
    for (std::string& part : Parts(value)) flags->loras.push_back({std::move(part), 1.0f});
    return {};
  }
  if (*at + 1 < arguments.size()) {
    if (const auto scale = AsScale(arguments[*at + 1])) {
      flags->loras.push_back({value, *scale});
      ++*at;
      return {};
    }
  }
  for (const std::string& part : Parts(value)) LB_RETURN_IF_ERROR(TakeScaled(part, flags));
  return {};
}

}  // namespace lb::app
