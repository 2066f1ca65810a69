#include "server/model_source.h"

#include <utility>

namespace lb::server {

void LoadTicket::OnDone(std::function<void()> wake) {
  {
    std::lock_guard lock(mutex_);
    if (!done_) {
      wakes_.push_back(std::move(wake));
      return;
    }
  }
  wake();
}

void LoadTicket::Finish(Lease lease) { End(std::move(lease), std::nullopt); }
void LoadTicket::Fail(Error error) { End(nullptr, std::move(error)); }

void LoadTicket::End(Lease lease, std::optional<Error> error) {
  std::vector<std::function<void()>> wakes;
  {
    std::lock_guard lock(mutex_);
    if (done_) return;
    done_ = true;
    lease_ = std::move(lease);
    error_ = std::move(error);
    wakes.swap(wakes_);
  }
  for (const auto& wake : wakes) wake();
}

bool LoadTicket::done() const {
  std::lock_guard lock(mutex_);
  return done_;
}

Lease LoadTicket::lease() const {
  std::lock_guard lock(mutex_);
  return lease_;
}

Error LoadTicket::error() const {
  std::lock_guard lock(mutex_);
  return error_.value_or(Error{ErrorCode::kUnavailable, "the model is not there", {}});
}

}  // namespace lb::server
