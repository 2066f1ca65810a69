// Inbox: the one way into the engine thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/sequence.h"

namespace lb {

// What other threads want of the engine. Thread-safe; Take and Wait are the engine thread's.
class Inbox {
 public:
  struct Contents {
    std::vector<std::unique_ptr<Sequence>> submitted;
    std::vector<uint64_t> cancelled;           // ids of sequences whose reader is gone
    std::vector<std::function<void()>> calls;  // run on the engine thread between two steps
    bool empty() const { return submitted.empty() && cancelled.empty() && calls.empty(); }
  };

  // False once closed: nothing was taken.
  bool Submit(std::unique_ptr<Sequence>& sequence);
  bool Call(std::function<void()> call);
  void Cancel(uint64_t id);
  // Something outside changed (a reader made room): have another look.
  void Wake();
  // No more submissions and calls.
  void Close();
  bool has_submissions() const;
  bool empty() const;

  Contents Take();
  // Returns when something came in since the last Take, or after `timeout_us`.
  void Wait(int64_t timeout_us);

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Contents contents_;
  bool woken_ = false;
  bool closed_ = false;
};

}  // namespace lb
