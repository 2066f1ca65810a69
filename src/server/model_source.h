// Which models there are and in what state: what routes ask before they call a Service.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/service.h"
#include "base/error.h"

namespace lb::server {

// Holds a model in memory as long as it lives.
using Lease = std::shared_ptr<const api::Service>;

// A model that is on its way; all requests that wait for it share one. Thread-safe.
class LoadTicket {
 public:
  // `wake` is called once, when the load has ended; at once if it has. It must not block.
  void OnDone(std::function<void()> wake);
  void Finish(Lease lease);
  void Fail(Error error);

  bool done() const;
  Lease lease() const;  // null: it failed
  Error error() const;

 private:
  void End(Lease lease, std::optional<Error> error);

  mutable std::mutex mutex_;
  bool done_ = false;
  Lease lease_;
  std::optional<Error> error_;
  std::vector<std::function<void()>> wakes_;
};

enum class ModelState { kUnloaded, kLoading, kLoaded, kSleeping };

struct ModelInfo {
  api::ModelCard card;
  ModelState state = ModelState::kUnloaded;
  float progress = 0;     // kLoading
  std::string error;      // why the last attempt failed; "": it did not
  Lease lease;            // kLoaded
};

// What a request wants of a model that is not in memory: nothing, and looking does not keep it awake
// either; an error; or that it is loaded.
enum class Purpose { kLook, kUse, kLoad };

// Thread-safe.
class ModelSource {
 public:
  virtual ~ModelSource() = default;

  // Whether requests must name a model. Else there is one, whatever they say.
  virtual bool many() const = 0;

  // Of a model that is not there, as they were when it went.
  struct Figures {
    EngineStats stats;
    EngineLimits limits;
  };
  // One of these.
  struct Found {
    Lease lease;
    std::shared_ptr<LoadTicket> ticket;  // it will be there
    std::optional<float> starting;       // the only model, on its first way up: nobody waits for it
    std::string props;                   // of one that sleeps, as it was; only when not to load
    std::optional<Figures> figures;      // the same, and only when nothing but a look is wanted
    std::optional<Error> error;
  };
  // kNotFound names what there is.
  virtual Found Find(std::string_view name, Purpose purpose) = 0;

  // For who looks on for as long as the model is there, which does not keep it there: the lease must
  // go soon after `end` (null: never) is done. No lease when it is not there.
  struct Watch {
    Lease lease;
    std::shared_ptr<LoadTicket> end;
  };
  virtual Watch LookOn(std::string_view name) = 0;

  virtual std::vector<ModelInfo> List() const = 0;
  // Whether a request loads what it names (--models-autoload).
  virtual bool autoload() const { return true; }
  virtual int most_models() const { return 1; }  // 0: no limit
  // POST /models/load and /models/unload: begins it. Answers in progress are finished first.
  virtual Result<void> Load(std::string_view name) = 0;
  virtual Result<void> Unload(std::string_view name) = 0;
};

}  // namespace lb::server
