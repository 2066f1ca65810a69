// A line on a terminal that shows how far loading is.
#pragma once

#include <unistd.h>

#include <cstdio>

namespace lb::app {

// One thread. Silent when standard error is not a terminal: logs are not for counting up.
class LoadProgressLine {
 public:
  void Show(float fraction) {
    const int percent = static_cast<int>(fraction * 100.0f);
    if (!terminal_ || percent <= shown_) return;
    shown_ = percent;
    std::fprintf(stderr, "\rloading %3d %%%s", percent, percent >= 100 ? "\n" : "");
    std::fflush(stderr);
  }

 private:
  const bool terminal_ = ::isatty(2) == 1;
  int shown_ = -1;
};

}  // namespace lb::app
