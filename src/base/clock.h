// Clock: where time comes from, so that a test can hold it still.
#pragma once

#include <chrono>
#include <cstdint>

namespace lb {

class Clock {
 public:
  virtual ~Clock() = default;
  // Microseconds since some fixed moment; never falls. Thread-safe.
  virtual int64_t NowMicros() const = 0;
};

class SteadyClock final : public Clock {
 public:
  int64_t NowMicros() const override {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
};

}  // namespace lb
