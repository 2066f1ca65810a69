// What the server knows of the model while it comes up: nothing, a progress, or the service.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "api/service.h"

namespace lb::server {

// Thread-safe. Written by the thread that loads, read by every request.
class Readiness {
 public:
  void SetProgress(float fraction) { progress_.store(fraction, std::memory_order_relaxed); }
  float progress() const { return progress_.load(std::memory_order_relaxed); }
  void SetReady(std::shared_ptr<const api::Service> service) {
    std::lock_guard lock(mutex_);
    service_ = std::move(service);
  }
  // Null while loading.
  std::shared_ptr<const api::Service> service() const {
    std::lock_guard lock(mutex_);
    return service_;
  }

 private:
  std::atomic<float> progress_{0};
  mutable std::mutex mutex_;
  std::shared_ptr<const api::Service> service_;
};

}  // namespace lb::server
