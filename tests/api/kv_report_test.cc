// Proves the JSON of GET /kv: numbers at their places, parents and children that agree, nothing but
// request ids from clients.
#include "api/kv_report.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace lb::api {
namespace {

TEST(KvReportTest, EverythingIsInIt) {
  EngineSnapshot s;
  s.kv.stats.groups = {{0, 10, 1, 2, 7}, {512, 10, 3, 3, 4}};
  s.kv.stats.host = {20, 16, 4, 8, 3, 1};
  s.kv.stats.nodes = 9;
  s.kv.stats.evictions = 5;
  s.block_bytes = {1000, 2000};
  s.maps = {{1, {{0, 1}, {1, 2}, {3, 7}}}, {2, {{2, 5}}}};
  s.kv.runs = {{0, -1, 0, 0, 48, 48, 2, 3, 100},
               {1, 0, 0, 48, 32, 16, 1, 0, 50},
               {2, 0, 0, 48, 64, 64, 0, 1, 70, 32}};
  s.kv.runs_left_out = 4;
  SequenceInfo running;
  running.id = "a\"b";
  running.status = SequenceStatus::kRunning;
  running.prompt_tokens = 40;
  running.cached_tokens = 32;
  running.answer_tokens = 3;
  running.max_answer_tokens = 9;
  running.tokens = 43;
  running.computed = 42;
  running.blocks = {3, 2};
  running.pauses = 1;
  running.age_ms = 77;
  s.sequences = {running, {}};
  s.sequences_left_out = 6;
  EngineLimits limits;
  limits.pool_tokens = 160;
  limits.max_request_tokens = 128;
  const auto expected = boost::json::parse(R"({"block_tokens": 16, "pool_tokens": 160,
    "max_request_tokens": 128,
    "groups": [
      {"window": 0, "blocks": {"total": 10, "free": 1, "cached": 2, "used": 7},
       "bytes_per_block": 1000, "bytes": 10000},
      {"window": 512, "blocks": {"total": 10, "free": 3, "cached": 3, "used": 4},
       "bytes_per_block": 2000, "bytes": 20000}],
    "host": {"total": 20, "free": 16, "kept": 4, "bytes": 60000, "saved_blocks": 8, "loaded_blocks": 3, "evicted_blocks": 1},
    "sequences": [
      {"id": "a\"b", "status": "running", "prompt_tokens": 40, "cached_tokens": 32,
       "answer_tokens": 3, "max_answer_tokens": 9, "tokens": 43, "computed": 42, "blocks": [3, 2], "pauses": 1, "age_ms": 77},
      {"id": "", "status": "waiting", "prompt_tokens": 0, "cached_tokens": 0, "answer_tokens": 0,
       "max_answer_tokens": 0, "tokens": 0, "computed": 0, "blocks": [], "pauses": 0, "age_ms": 0}],
    "sequences_left_out": 6,
    "tree": {"blocks": 9, "tokens": 144, "evicted_blocks": 5, "nodes": [
      {"id": 0, "parent": null, "start": 0, "tokens": 48, "tokens_with_windows": 48, "tokens_on_host": 0, "sequences": 2,
       "hits": 3, "idle_ms": 100, "children": [1, 2]},
      {"id": 1, "parent": 0, "start": 48, "tokens": 32, "tokens_with_windows": 16, "tokens_on_host": 0, "sequences": 1,
       "hits": 0, "idle_ms": 50, "children": []},
      {"id": 2, "parent": 0, "start": 48, "tokens": 64, "tokens_with_windows": 64, "tokens_on_host": 32, "sequences": 0,
       "hits": 1, "idle_ms": 70, "children": []}],
     "nodes_left_out": 4}})");
  EXPECT_EQ(boost::json::parse(KvReport(s, limits)), expected) << KvReport(s, limits);

  auto with_maps = expected;
  auto& groups = with_maps.at("groups").as_array();
  groups[0].as_object()["map"] =
      boost::json::parse(R"({"blocks_per_cell": 1, "runs": [0, 1, 1, 2, 3, 7]})");
  groups[1].as_object()["map"] = boost::json::parse(R"({"blocks_per_cell": 2, "runs": [2, 5]})");
  s.cost_us = 12;
  with_maps.as_object()["picture_us"] = 12;
  EXPECT_EQ(boost::json::parse(KvReport(s, limits, true)), with_maps);
}

}  // namespace
}  // namespace lb::api
