#include "server/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <fmt/format.h>

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
  // Another value of the last family, told apart by a label.
  void Gauge(std::string name, std::string help, const char* label, const char* text, double value) {
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

void AddEngine(const EngineStats& s, const EngineLimits& limits, Families* f) {
  f->Gauge("vllm:num_requests_running", "Requests being computed", s.running);
  f->Gauge("vllm:num_requests_waiting", "Requests in the queue", s.waiting + s.paused);
  f->Gauge("llamabox:requests_paused", "Requests paused for lack of cache, to be resumed", s.paused);
  const double total = s.pool_blocks > 0 ? static_cast<double>(s.pool_blocks) : 1.0;
  f->Gauge("vllm:kv_cache_usage_perc", "Part of the cache held by requests, 0 to 1",
           static_cast<double>(s.used_blocks) / total);
  const std::string blocks = "llamabox:kv_blocks";
  f->Gauge(blocks, "Cache blocks by state", "state", "free", static_cast<double>(s.free_blocks));
  f->Gauge(blocks, "", "state", "cached", static_cast<double>(s.cached_blocks));
  f->Gauge(blocks, "", "state", "used", static_cast<double>(s.used_blocks));
  f->Gauge("llamabox:kv_pool_tokens", "Tokens the cache can hold",
           static_cast<double>(limits.pool_tokens));
  f->Gauge("llamabox:max_request_tokens", "Longest prompt plus answer",
           static_cast<double>(limits.max_request_tokens));
  f->Counter("vllm:prompt_tokens_total", "Prompt tokens of admitted requests", s.prompt_tokens);
  f->Counter("llamabox:prompt_tokens_cached_total", "Prompt tokens found in the cache",
             s.cached_prompt_tokens);
  f->Counter("llamabox:prompt_tokens_computed_total", "Prompt tokens computed",
             s.computed_prompt_tokens);
  f->Counter("vllm:generation_tokens_total", "Tokens generated", s.generated_tokens);
  f->Counter("llamabox:steps_total", "Forward passes", s.steps);
  f->Counter("vllm:num_preemptions_total", "Pauses of running requests", s.pauses);
  f->Counter("llamabox:kv_evictions_total", "Cached blocks given up for new ones", s.evictions);
  const std::string finished = "vllm:request_success_total";
  f->Counter(finished, "Requests finished, by reason", "finished_reason", "stop", s.finished_stop);
  f->Counter(finished, "", "finished_reason", "length", s.finished_length);
  f->Counter("llamabox:requests_cancelled_total", "Requests whose client left", s.cancelled);
  f->Counter("llamabox:requests_failed_total", "Requests that failed", s.failed);
  f->Counter("llamabox:requests_rejected_total", "Requests refused at submission", s.rejected);
}

}  // namespace

struct Metrics::Impl {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& replies =
      prometheus::BuildCounter().Name("llamabox_http_replies_total").Help("Replies by status")
          .Register(registry);
  prometheus::Histogram& first_token =
      prometheus::BuildHistogram().Name("llamabox_time_to_first_token_seconds")
          .Help("Submission to first token").Register(registry)
          .Add({}, prometheus::Histogram::BucketBoundaries{
                       0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120});
  prometheus::Histogram& per_token =
      prometheus::BuildHistogram().Name("llamabox_time_per_output_token_seconds")
          .Help("Mean time between the tokens of an answer").Register(registry)
          .Add({}, prometheus::Histogram::BucketBoundaries{
                       0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5});
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::OnRequest(const RequestLog& log) {
  impl_->replies.Add({{"status", log.client_gone ? "gone" : fmt::format("{}", log.status)}})
      .Increment();
  if (log.generation == nullptr || log.generation->error() || log.client_gone) return;
  impl_->first_token.Observe(log.generation->first_token_seconds());
  if (log.generation->token_seconds() > 0) {
    impl_->per_token.Observe(log.generation->token_seconds());
  }
}

std::string Metrics::Text(const EngineStats* stats, const EngineLimits* limits) const {
  Families families;
  if (stats != nullptr && limits != nullptr) AddEngine(*stats, *limits, &families);
  std::vector<MetricFamily> all = families.Take();
  for (MetricFamily& family : impl_->registry.Collect()) all.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(all);
}

}  // namespace lb::server
