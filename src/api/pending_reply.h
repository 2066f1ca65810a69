// A reply on its way: what a session drives, whatever is being made.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace lb::api {

// Driven by one thread at a time: wait for the wake-up, Advance, send, until Advance says it is
// done. Destroying it cancels what still runs.
class PendingReply {
 public:
  virtual ~PendingReply() = default;

  virtual bool streamed() const { return false; }
  // Of the streamed form: its kind, and what may fill a silence anywhere between two events.
  virtual std::string_view content_type() const { return {}; }
  virtual std::string_view filler() const { return {}; }
  // `wake` is called from any thread when Advance has something to do; see TokenStream::OnReady.
  virtual void OnReady(const std::function<void()>& wake) = 0;
  // Advance has something to do then, too, without a wake-up.
  virtual std::chrono::steady_clock::time_point next_look() const {
    return std::chrono::steady_clock::time_point::max();
  }
  // It goes on until the client leaves: a server that stops does not wait for it.
  virtual bool endless() const { return false; }
  // Takes what has happened. When streamed, appends whole events to `*out`. True when the reply is
  // complete.
  virtual bool Advance(std::string* out) = 0;
  // Ends it from outside (shutdown): the next Advance is the last.
  virtual void Fail(Error error) = 0;

  // What went wrong, if anything. As long as `started()` is false nothing was streamed, and the
  // error can still become a status of its own.
  virtual const std::optional<Error>& error() const = 0;
  virtual bool started() const { return false; }
  // The plain reply; valid when Advance said done and there is no error.
  virtual std::string Body() const = 0;

  // `owner` lives as long as this reply: the model that makes it.
  void KeepAlive(std::shared_ptr<const void> owner) { owner_ = std::move(owner); }

 private:
  std::shared_ptr<const void> owner_;  // goes last, after all that derived classes hold
};

}  // namespace lb::api
