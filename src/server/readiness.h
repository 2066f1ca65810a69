// The simplest source of models: one, which somebody else loads.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <utility>

#include "server/model_source.h"

namespace lb::server {

// Thread-safe. Written by the thread that loads, read by every request.
class Readiness final : public ModelSource {
 public:
  void SetProgress(float fraction) { progress_.store(fraction, std::memory_order_relaxed); }
  void SetReady(Lease service) {
    std::lock_guard lock(mutex_);
    service_ = std::move(service);
  }

  bool many() const override { return false; }
  Found Find(std::string_view, Purpose) override {
    Found found;
    found.lease = service();
    if (found.lease == nullptr) found.starting = progress_.load(std::memory_order_relaxed);
    return found;
  }
  Watch LookOn(std::string_view) override { return {service(), nullptr}; }
  std::vector<ModelInfo> List() const override {
    ModelInfo info;
    info.lease = service();
    if (info.lease == nullptr) return {};
    info.card = info.lease->card();
    info.state = ModelState::kLoaded;
    return {info};
  }
  Result<void> Load(std::string_view) override { return {}; }
  Result<void> Unload(std::string_view) override {
    return Error{ErrorCode::kUnsupported, "the only model stays", {}};
  }

 private:
  Lease service() const {
    std::lock_guard lock(mutex_);
    return service_;
  }

  std::atomic<float> progress_{0};
  mutable std::mutex mutex_;
  Lease service_;
};

}  // namespace lb::server
