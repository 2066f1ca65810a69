// What a model writes where it may call tools: any text, in any format, cut anywhere, gives the
// same words and calls as whole, each byte of it once, and ids that differ. The first byte chooses
// the format, the second how the text is cut.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/json_reader.h"
#include "api/tools/format.h"
#include "base/check.h"

namespace {

using lb::api::Segment;
using lb::api::SegmentKind;
using lb::api::ToolCall;

const lb::api::ToolSet& Tools() {
  static const lb::api::ToolSet set = [] {
    auto body = lb::api::ParseJsonObject(
        R"({"tools":[{"function":{"name":"f","parameters":{"properties":{"a":{"type":"string"},
           "b":{"type":["string","null"]},"c":{"type":"integer"}}}}},{"function":{"name":"g"}}]})");
    CHECK(body.has_value());
    return lb::api::ParseTools(lb::api::Fields(*body)).value().set;
  }();
  return set;
}

struct Parsed {
  std::string all, content;
  std::vector<ToolCall> calls;
};

Parsed Parse(const lb::api::ToolFormat& format, std::string_view text, size_t step, bool whole,
             int max_calls) {
  static const std::shared_ptr<const lb::api::ToolSet> tools(&Tools(), [](const auto*) {});
  lb::api::ToolParsing parsing;
  parsing.format = &format;
  parsing.tools = tools;
  parsing.max_calls = max_calls;
  const auto parser = lb::api::MakeToolParser(parsing);
  Parsed parsed;
  const auto take = [&](const lb::api::ToolOutput& out) {
    for (const Segment& segment : out.segments) {
      CHECK(segment.kind == SegmentKind::kContent || segment.kind == SegmentKind::kCall);
      CHECK(!segment.text.empty());
      parsed.all += segment.text;
      if (segment.kind == SegmentKind::kContent) parsed.content += segment.text;
    }
    for (const lb::api::ToolCallDelta& delta : out.deltas) {
      CHECK_EQ(static_cast<size_t>(delta.index) + (delta.first() ? 0 : 1), parsed.calls.size());
      CHECK_EQ(delta.first(), !delta.id.empty());
      CHECK(!delta.first() || lb::api::IsCallName(delta.name));
      AddDelta(delta, &parsed.calls);
    }
  };
  while (!text.empty()) {
    lb::api::ToolOutput out;
    parser->Push(text.substr(0, step), &out);
    take(out);
    text.remove_prefix(std::min(step, text.size()));
  }
  lb::api::ToolOutput out;
  parser->Flush(whole, &out);
  take(out);
  return parsed;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  const auto names = lb::api::ToolFormatNames();
  const lb::api::ToolFormat& format = *lb::api::ToolFormatByName(names[data[0] % names.size()]);
  const bool whole = data[1] & 1;
  const int max_calls = data[1] & 2 ? 1 : 0;
  const Parsed once = Parse(format, text, text.size() + 1, whole, max_calls);
  const Parsed cut = Parse(format, text, 1 + (data[1] >> 2), whole, max_calls);
  CHECK(once.all == text);
  CHECK(cut.all == text);
  CHECK(once.content == cut.content);
  CHECK_EQ(once.calls.size(), cut.calls.size());
  CHECK(max_calls == 0 || once.calls.size() <= 1);
  std::set<std::string> ids;
  for (size_t i = 0; i < once.calls.size(); ++i) {
    CHECK(once.calls[i].name == cut.calls[i].name);
    CHECK(once.calls[i].arguments == cut.calls[i].arguments);
    CHECK(ids.insert(once.calls[i].id).second);
  }
  return 0;
}
