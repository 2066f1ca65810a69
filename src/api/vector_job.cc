#include "api/vector_job.h"

#include <algorithm>

namespace lb::api {
namespace {

constexpr int kShareOfQueue = 16;

}  // namespace

Result<std::unique_ptr<VectorJob>> VectorJob::Start(EngineClient* engine,
                                                    std::vector<Request> requests,
                                                    std::unique_ptr<VectorWriter> writer) {
  std::unique_ptr<VectorJob> job(new VectorJob(engine, std::move(requests), std::move(writer)));
  job->Submit();
  if (job->error_) return *job->error_;
  return job;
}

void VectorJob::Submit() {
  // One step's worth is computed while another waits for it; and no more than a share of the queue,
  // which is there for all.
  const EngineLimits& limits = engine_->limits();
  const auto most = static_cast<size_t>(
      std::max(1, std::min(2 * limits.max_sequences, limits.max_queue / kShareOfQueue)));
  while (!error_ && next_ < requests_.size() && running_.size() < most) {
    // A copy is kept for as long as the queue may be full.
    auto stream = engine_->Submit(requests_[next_]);
    if (!stream.has_value()) {
      // When a text of ours ends there is room for the next.
      if (stream.error().code == ErrorCode::kOverloaded && !running_.empty()) return;
      error_ = stream.error();
      return;
    }
    requests_[next_] = {};
    running_.push_back({next_++, std::move(*stream)});
    if (wake_) running_.back().stream->OnReady(wake_);
  }
}

void VectorJob::OnReady(const std::function<void()>& wake) {
  wake_ = wake;
  for (Running& r : running_) r.stream->OnReady(wake_);
}

bool VectorJob::Advance(std::string*) {
  for (Running& r : running_) {
    for (TokenEvent& event : r.stream->Take()) {
      if (event.kind == TokenEvent::Kind::kFailed && !error_) error_ = std::move(event.error);
      if (event.kind != TokenEvent::Kind::kFinished) continue;
      writer_->Add(r.index, std::move(event.vector));
      r.stream.reset();
      break;
    }
    if (error_) break;
  }
  std::erase_if(running_, [](const Running& r) { return r.stream == nullptr; });
  if (!error_) Submit();
  if (error_) running_.clear();
  return running_.empty();
}

void VectorJob::Fail(Error error) {
  if (!error_) error_ = std::move(error);
}

}  // namespace lb::api
