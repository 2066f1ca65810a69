// The LoRA adapters as clients know them: a number each, and the scale of requests that say nothing.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "api/json_reader.h"
#include "base/result.h"
#include "engine/request.h"

namespace lb::api {

// A scale beyond it is a mistake, and not far from values that are no numbers.
inline constexpr double kMaxAdapterScale = 1e4;

// Thread-safe.
class Adapters {
 public:
  struct Known {
    std::string path;
    float scale = 1.0f;
  };
  explicit Adapters(std::vector<Known> known) : known_(std::move(known)) {}

  // What a request without a `lora` field has.
  std::vector<AdapterUse> Current() const;
  // [{id, path, scale}], as llama.cpp lists them.
  std::string List() const;
  // POST /lora-adapters: [{id, scale}]; those not named are switched off. Requests that came before
  // keep what they had. {"success":true}
  Result<std::string> Set(std::string_view body);
  // The same list as the field `lora` of a request.
  Result<std::vector<AdapterUse>> Parse(const boost::json::array& list,
                                        const std::string& field) const;

 private:
  mutable std::mutex mutex_;
  std::vector<Known> known_;  // paths never change
};

}  // namespace lb::api
