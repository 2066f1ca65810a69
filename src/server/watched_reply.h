// A reply without an end about a model that may be unloaded meanwhile: it ends then.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "api/pending_reply.h"
#include "server/model_source.h"

namespace lb::server {

class WatchedReply final : public api::PendingReply {
 public:
  // `end` may be null: the model stays.
  WatchedReply(std::unique_ptr<api::PendingReply> inner, std::shared_ptr<LoadTicket> end)
      : inner_(std::move(inner)), end_(std::move(end)) {}

  bool streamed() const override { return inner_->streamed(); }
  std::string_view content_type() const override { return inner_->content_type(); }
  std::string_view filler() const override { return inner_->filler(); }
  void OnReady(const std::function<void()>& wake) override {
    inner_->OnReady(wake);
    if (end_ != nullptr) end_->OnDone(wake);
  }
  std::chrono::steady_clock::time_point next_look() const override { return inner_->next_look(); }
  bool endless() const override { return true; }
  bool Advance(std::string* out) override {
    if (end_ != nullptr && end_->done() && !inner_->error()) inner_->Fail(end_->error());
    return inner_->Advance(out);
  }
  void Fail(Error error) override { inner_->Fail(std::move(error)); }
  const std::optional<Error>& error() const override { return inner_->error(); }
  bool started() const override { return inner_->started(); }
  std::string Body() const override { return inner_->Body(); }

 private:
  std::unique_ptr<api::PendingReply> inner_;
  std::shared_ptr<LoadTicket> end_;
};

}  // namespace lb::server
