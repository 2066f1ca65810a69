// A model that says what it is told, behind a template that knows tools in Hermes' form.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "tests/api/fakes.h"

namespace lb::api {

inline constexpr char kHermes[] =
    "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function.arguments | tojson }}</tool_call>"
    "{% endfor %}<|im_end|>\n{% endfor %}<|im_start|>assistant\n";

class ToolTest : public testing::Test {
 protected:
  using Call = Service::Reply (Service::*)(std::string_view, const Caller&) const;

  void Says(std::string text, FinishReason reason = FinishReason::kStop) {
    engine_ = std::make_unique<FakeEngine>(
        [=](const Request& request) { return FakeEngine::Saying(request, text, reason); });
    service_ = MakeFakeService(engine_.get(), {}, kHermes);
  }

  // The plain reply, or all that was streamed.
  std::string Ask(Call call, const std::string& fields, bool stream) {
    auto reply = (service_.get()->*call)(
        "{" + fields + (stream ? ",\"stream\":true}" : ",\"stream\":false}"), {"id", ""});
    EXPECT_TRUE(reply.has_value()) << (reply.has_value() ? "" : reply.error().message);
    if (!reply.has_value()) return "";
    std::string out;
    for (int i = 0; i < 1000 && !(*reply)->Advance(&out); ++i) {
    }
    return stream ? out : (*reply)->Body();
  }

  std::unique_ptr<FakeEngine> engine_;
  std::shared_ptr<Service> service_;
};

}  // namespace lb::api
