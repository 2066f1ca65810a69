#include "server/metrics.h"

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <chrono>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

namespace lb::server {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

class Families {
 public:
  void Gauge(std::string name, std::string help, double value) {
    ClientMetric metric;
    metric.gauge.value = value;
    Add(std::move(name), std::move(help), MetricType::Gauge, std::move(metric));
  }
  void Counter(std::string name, std::string help, int64_t value) {
    ClientMetric metric;
    metric.counter.value = static_cast<double>(value);
    Add(std::move(name), std::move(help), MetricType::Counter, std::move(metric));
  }
  void Seconds(std::string name, std::string help, double value) {
    ClientMetric metric;
    metric.counter.value = value;
    Add(std::move(name), std::move(help), MetricType::Counter, std::move(metric));
  }
  void Times(std::string name, std::string help, const Histogram& times) {
    ClientMetric metric;
    metric.histogram.sample_count = static_cast<uint64_t>(times.count());
    metric.histogram.sample_sum = times.sum;
    uint64_t below = 0;
    for (size_t i = 0; i < times.counts.size(); ++i) {
      below += static_cast<uint64_t>(times.counts[i]);
      const bool last = i == std::size(kLatencyBounds);
      metric.histogram.bucket.push_back(
          {below, last ? std::numeric_limits<double>::infinity() : kLatencyBounds[i]});
    }
    Add(std::move(name), std::move(help), MetricType::Histogram, std::move(metric));
  }
  // Another value of the last family, told apart by a label.
  void Gauge(std::string name, std::string help, const char* label, const char* text,
             double value) {
    ClientMetric metric;
    metric.gauge.value = value;
    metric.label.push_back({label, text});
    if (!families_.empty() && families_.back().name == name) {
      families_.back().metric.push_back(std::move(metric));
    } else {
      Add(std::move(name), std::move(help), MetricType::Gauge, std::move(metric));
    }
  }
  void Counter(std::string name, std::string help, const char* label, const char* text,
               int64_t value) {
    ClientMetric metric;
    metric.counter.value = static_cast<double>(value);
    metric.label.push_back({label, text});
    if (!families_.empty() && families_.back().name == name) {
      families_.back().metric.push_back(std::move(metric));
    } else {
      Add(std::move(name), std::move(help), MetricType::Counter, std::move(metric));
    }
  }
  std::vector<MetricFamily> Take() { return std::move(families_); }

 private:
  void Add(std::string name, std::string help, MetricType type, ClientMetric metric) {
    MetricFamily family;
    family.name = std::move(name);
    family.help = std::move(help);
    family.type = type;
    family.metric.push_back(std::move(metric));
    families_.push_back(std::move(family));
  }
  std::vector<MetricFamily> families_;
};

// vLLM's names where the meaning is the same, the old llama-box's where theirs is, and names of our
// own.
void AddCounts(const EngineStats& s, Families* f) {
  f->Counter("vllm:prompt_tokens_total", "Prompt tokens of admitted requests", s.prompt_tokens);
  f->Counter("vllm:prefix_cache_queries_total", "Prompt tokens looked up in the cache",
             s.prompt_tokens);
  f->Counter("vllm:prefix_cache_hits_total", "Prompt tokens found in the cache",
             s.cached_prompt_tokens);
  f->Counter("vllm:generation_tokens_total", "Tokens generated", s.generated_tokens);
  f->Counter("vllm:num_preemptions_total", "Pauses of running requests", s.pauses);
  const std::string finished = "vllm:request_success_total";
  f->Counter(finished, "Requests finished, by reason", "finished_reason", "stop", s.finished_stop);
  f->Counter(finished, "", "finished_reason", "length", s.finished_length);
  f->Counter("llamabox:prompt_tokens_cached_total", "Prompt tokens found in the cache",
             s.cached_prompt_tokens);
  f->Counter("llamabox:prompt_tokens_computed_total", "Prompt tokens computed, each once",
             s.computed_prompt_tokens);
  f->Counter("llamabox:tokens_recomputed_total",
             "Tokens computed once more, after a pause or a context shift", s.recomputed_tokens);
  f->Counter("llamabox:context_shifts_total", "Full contexts that were cut", s.context_shifts);
  f->Counter("llamabox:context_shift_dropped_tokens_total", "Tokens cut from them",
             s.dropped_tokens);
  f->Counter("llamabox:steps_total", "Forward passes", s.steps);
  f->Counter("llamabox:steps_ahead_total", "Forward passes that a device had before the one before was over", s.steps_ahead);
  f->Counter("llamabox:kv_evictions_total", "Cached blocks given up for new ones", s.evictions);
  if (s.host.slots > 0) {
    f->Counter("llamabox:kv_host_saved_blocks_total", "Evicted blocks that went to the host tier", s.host.saved);
    f->Counter("llamabox:kv_host_loaded_blocks_total", "Blocks that came back from it", s.host.loaded);
    f->Counter("llamabox:kv_host_evictions_total", "Blocks given up there for newer ones", s.host.evictions);
  }
  f->Counter("llamabox:requests_cancelled_total", "Requests whose client left", s.cancelled);
  f->Counter("llamabox:requests_failed_total", "Requests that failed", s.failed);
  f->Counter("llamabox:requests_rejected_total", "Requests refused at submission", s.rejected);
}

void AddPool(const EngineStats& s, const EngineLimits& limits, Families* f) {
  f->Gauge("vllm:num_requests_running", "Requests being computed", s.running);
  f->Gauge("vllm:num_requests_waiting", "Requests in the queue, paused ones too",
           s.waiting + s.paused);
  f->Gauge("llamabox:requests_paused", "Requests paused for lack of cache, to be resumed",
           s.paused);
  const double total = s.pool_blocks > 0 ? static_cast<double>(s.pool_blocks) : 1.0;
  const double used = static_cast<double>(s.used_blocks) / total;
  f->Gauge("vllm:kv_cache_usage_perc", "Part of the cache held by requests, 0 to 1", used);
  f->Gauge("llamabox:kv_cache_usage_ratio", "Part of the cache held by requests, 0 to 1", used);
  f->Gauge("llamabox:kv_cache_tokens", "Tokens that the blocks held by requests have room for",
           used * static_cast<double>(limits.pool_tokens));
  const std::string blocks = "llamabox:kv_blocks";
  f->Gauge(blocks, "Cache blocks by state", "state", "free", static_cast<double>(s.free_blocks));
  f->Gauge(blocks, "", "state", "cached", static_cast<double>(s.cached_blocks));
  f->Gauge(blocks, "", "state", "used", static_cast<double>(s.used_blocks));
  if (s.host.slots > 0) {
    const std::string host = "llamabox:kv_host_blocks";
    f->Gauge(host, "Blocks of the cache's tier on the host, by state", "state", "free", static_cast<double>(s.host.free));
    f->Gauge(host, "", "state", "kept", static_cast<double>(s.host.kept));
  }
  f->Gauge("llamabox:kv_pool_tokens", "Tokens the cache can hold",
           static_cast<double>(limits.pool_tokens));
  f->Gauge("llamabox:max_request_tokens", "Longest prompt plus answer",
           static_cast<double>(limits.max_request_tokens));
}

void AddTimes(const EngineStats& s, Families* f) {
  f->Times("vllm:request_queue_time_seconds", "Submission to admission", s.queue);
  f->Times("vllm:time_to_first_token_seconds", "Submission to first token", s.first_token);
  f->Times("vllm:inter_token_latency_seconds", "From a token to the next", s.token_gap);
  // The older name of the same, which dashboards still ask for.
  f->Times("vllm:time_per_output_token_seconds", "From a token to the next", s.token_gap);
  f->Times("vllm:request_time_per_output_token_seconds", "Mean of an answer from token to token",
           s.per_token);
  f->Times("vllm:request_prefill_time_seconds", "Admission to first token", s.prefill);
  f->Times("vllm:request_decode_time_seconds", "First token to last", s.decode);
  f->Times("vllm:e2e_request_latency_seconds", "Submission to end", s.total);
  const auto rate = [](int64_t tokens, double seconds) {
    return seconds > 0 ? static_cast<double>(tokens) / seconds : 0.0;
  };
  f->Counter("llamabox:tokens_prefill_total", "Prompt tokens computed", s.computed_prompt_tokens);
  f->Seconds("llamabox:tokens_prefill_seconds_total",
             "Time of finished requests from admission to first token", s.prefill.sum);
  f->Gauge("llamabox:tokens_prefill_per_second", "The one by the other",
           rate(s.computed_prompt_tokens, s.prefill.sum));
  f->Counter("llamabox:tokens_decode_total", "Tokens generated", s.generated_tokens);
  f->Seconds("llamabox:tokens_decode_seconds_total",
             "Time of finished requests from first token to last", s.decode.sum);
  f->Gauge("llamabox:tokens_decode_per_second", "The one by the other",
           rate(s.generated_tokens, s.decode.sum));
}

// What dashboards made for llama.cpp's server ask for.
void AddLlamaCpp(const EngineStats& s, Families* f) {
  const auto per = [](int64_t count, double by) {
    return by > 0 ? static_cast<double>(count) / by : 0.0;
  };
  f->Counter("llamacpp:prompt_tokens_total", "Prompt tokens computed", s.computed_prompt_tokens);
  f->Counter("llamacpp:prompt_tokens_cached_total", "Prompt tokens found in the cache",
             s.cached_prompt_tokens);
  f->Seconds("llamacpp:prompt_seconds_total", "Time from admission to first token", s.prefill.sum);
  f->Counter("llamacpp:tokens_predicted_total", "Tokens generated", s.generated_tokens);
  f->Seconds("llamacpp:tokens_predicted_seconds_total", "Time from first token to last",
             s.decode.sum);
  f->Counter("llamacpp:n_decode_total", "Forward passes", s.steps);
  f->Counter("llamacpp:n_tokens_max", "Tokens of the longest context so far", s.longest);
  f->Gauge("llamacpp:n_busy_slots_per_decode", "Mean number of requests in a forward pass",
           per(s.step_sequences, static_cast<double>(s.steps)));
  f->Gauge("llamacpp:prompt_tokens_seconds", "Prompt tokens by their time",
           per(s.computed_prompt_tokens, s.prefill.sum));
  f->Gauge("llamacpp:predicted_tokens_seconds", "Tokens generated by their time",
           per(s.generated_tokens, s.decode.sum));
  f->Gauge("llamacpp:requests_processing", "Requests being computed", s.running);
  f->Gauge("llamacpp:requests_deferred", "Requests in the queue, paused ones too",
           s.waiting + s.paused);
  f->Counter("llamacpp:spec_decode_num_draft_tokens_total", "Tokens guessed", s.drafted_tokens);
  f->Counter("llamacpp:spec_decode_num_accepted_tokens_total", "Guessed tokens that were right",
             s.accepted_tokens);
  f->Counter("llamacpp:spec_decode_num_drafts_total", "Guesses of one or more tokens", s.drafts);
}

}  // namespace

struct Metrics::Impl {
  const int64_t start_unix = std::chrono::duration_cast<std::chrono::seconds>(
                                 std::chrono::system_clock::now().time_since_epoch())
                                 .count();
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& replies = prometheus::BuildCounter()
                                                         .Name("llamabox:http_replies_total")
                                                         .Help("Replies by status")
                                                         .Register(registry);
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

int64_t Metrics::start_unix() const { return impl_->start_unix; }

void Metrics::OnRequest(const RequestLog& log) {
  impl_->replies.Add({{"status", log.client_gone ? "gone" : fmt::format("{}", log.status)}})
      .Increment();
}

std::string Metrics::Text(const EngineStats* stats, const EngineLimits* limits) const {
  Families families;
  if (stats != nullptr && limits != nullptr) {
    AddPool(*stats, *limits, &families);
    AddCounts(*stats, &families);
    AddTimes(*stats, &families);
    AddLlamaCpp(*stats, &families);
  }
  std::vector<MetricFamily> all = families.Take();
  for (MetricFamily& family : impl_->registry.Collect()) all.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(all);
}

}  // namespace lb::server
