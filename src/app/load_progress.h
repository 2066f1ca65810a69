// A bar on a terminal that shows how far loading is.
#pragma once

#include <unistd.h>

#include <cstdio>
#include <string>

namespace lb::app {

// One thread. Silent when standard error is not a terminal: logs are not for counting up. The bar is
// gone when loading is done.
class LoadProgressLine {
 public:
  void Show(float fraction) {
    const int percent = static_cast<int>(fraction * 100.0f);
    if (!terminal_ || percent <= shown_) return;
    shown_ = percent;
    std::string bar;
    for (int i = 0; i < kColumns; ++i) bar += i * 100 < percent * kColumns ? "\u2588" : "\u2591";
    std::fprintf(stderr, "\rloading %s %3d %%%s", bar.c_str(), percent, percent >= 100 ? "\r\x1b[K" : "");
    std::fflush(stderr);
  }

 private:
  static constexpr int kColumns = 40;
  const bool terminal_ = ::isatty(2) == 1;
  int shown_ = -1;
};

}  // namespace lb::app
