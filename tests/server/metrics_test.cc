// Proves that the host tier's numbers are told where there is one, and no names of it elsewhere.
#include "server/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lb::server {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(MetricsTest, AHostTierHasItsOwnNumbers) {
  const Metrics metrics;
  EngineStats stats;
  const EngineLimits limits;
  EXPECT_THAT(metrics.Text(&stats, &limits), Not(HasSubstr("kv_host")));
  stats.host = {20, 16, 4, 8, 3, 1};
  const std::string text = metrics.Text(&stats, &limits);
  for (const char* line : {"llamabox:kv_host_blocks{state=\"free\"} 16", "llamabox:kv_host_blocks{state=\"kept\"} 4",
                           "llamabox:kv_host_saved_blocks_total 8", "llamabox:kv_host_loaded_blocks_total 3",
                           "llamabox:kv_host_evictions_total 1"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

}  // namespace
}  // namespace lb::server
