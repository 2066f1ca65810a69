#include "grammar/char_set.h"

#include <algorithm>

namespace lb::grammar {
namespace {
constexpr char32_t kLastCode = 0x10FFFF;
}  // namespace

CharSet Tidy(CharSet set) {
  std::sort(set.begin(), set.end(), [](CharRange a, CharRange b) { return a.first < b.first; });
  CharSet out;
  for (const CharRange& r : set) {
    if (!out.empty() && r.first <= out.back().last + 1) {
      out.back().last = std::max(out.back().last, r.last);
    } else {
      out.push_back(r);
    }
  }
  return out;
}

// Of all scalar values: surrogates are none.
CharSet Complement(const CharSet& set) {
  CharSet out;
  char32_t next = 0;
  CharSet with_surrogates = set;
  with_surrogates.push_back({0xD800, 0xDFFF});
  for (const CharRange& r : Tidy(with_surrogates)) {
    if (r.first > next) out.push_back({next, r.first - 1});
    next = r.last + 1;
  }
  if (next <= kLastCode) out.push_back({next, kLastCode});
  return out;
}

CharSet Intersect(const CharSet& a, const CharSet& b) {
  CharSet out;
  for (const CharRange& x : a) {
    for (const CharRange& y : b) {
      const CharRange both{std::max(x.first, y.first), std::min(x.last, y.last)};
      if (both.first <= both.last) out.push_back(both);
    }
  }
  return Tidy(out);
}

}  // namespace lb::grammar
