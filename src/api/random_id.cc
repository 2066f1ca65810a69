#include "api/random_id.h"

#include <random>

namespace lb::api {

std::string RandomId(std::string_view prefix, int length) {
  static constexpr char kDigits[] =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  thread_local std::mt19937_64 random{std::random_device{}()};
  std::string id(prefix);
  for (int i = 0; i < length; ++i) id += kDigits[random() % 62];
  return id;
}

}  // namespace lb::api
