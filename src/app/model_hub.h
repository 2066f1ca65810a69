// ModelHub: the models of this process. Loads what requests ask for, within one budget of memory,
// and gives memory back: of the model used longest ago when room is needed, or of any that is idle.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "app/compose.h"
#include "app/flags.h"
#include "app/model_list.h"
#include "server/model_source.h"

namespace lb::app {

struct HubConfig {
  bool many = false;
  int most_models = 0;       // in memory at once; 0: no limit
  int64_t memory_bytes = 0;  // of weights and caches together; 0: no limit of ours
  bool autoload = true;
  double sleep_seconds = -1;  // idle for so long a model is unloaded; below 0: never
};

// Every load and unload is done by one thread of its own, in turn. A model in use is not unloaded:
// when its room is needed, requests that come for it from then on wait, those that run are finished.
class ModelHub final : public server::ModelSource {
 public:
  // `flags` are those of every model, but for its path and name.
  ModelHub(HubConfig config, Flags flags, std::vector<ListedModel> models);
  ~ModelHub() override;  // Stop()

  // Begins to work. Without many models it loads the one, tells of `progress`, and calls `first` with
  // how that went.
  void Start(LoadProgress progress, std::function<void(Result<void>)> first);
  // Submissions are refused from now on; what runs goes on.
  void StopAccepting();
  // Ends everything, when no request is left. Prompt caches are saved; `before_save` is called first.
  void Stop(const std::function<void()>& before_save = {});

  bool many() const override { return config_.many; }
  bool autoload() const override { return config_.autoload; }
  int most_models() const override { return config_.most_models; }
  Found Find(std::string_view name, server::Purpose purpose) override;
  Watch LookOn(std::string_view name) override;
  std::vector<server::ModelInfo> List() const override;
  Result<void> Load(std::string_view name) override;
  Result<void> Unload(std::string_view name) override;

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    ListedModel model;
    server::ModelState state = server::ModelState::kUnloaded;
    float progress = 0;
    std::unique_ptr<Composition> loaded;
    int64_t bytes = 0;      // counted while it is loading or loaded
    int leases = 0;
    int watchers = 0;       // of the leases
    std::shared_ptr<server::LoadTicket> end;  // tells them that it leaves
    bool leaves = false;    // no new leases: it is unloaded once there are none
    bool by_itself = false; // for want of use
    Clock::time_point last_use;
    std::shared_ptr<server::LoadTicket> ticket;  // wanted, and not there yet
    std::string props, error;
    std::optional<Figures> figures;  // of when it was here last
  };
  struct Room {
    int64_t bytes = 0;     // that it will take
    int64_t kv_bytes = 0;  // of them for its cache; 0: as the flags say
  };
  enum class Making { kRoom, kLater };

  Entry* FindEntry(std::string_view name);
  Error Unknown(std::string_view name) const;
  // `uses`: it counts as use of the model, as looking at it does not.
  server::Lease Take(Entry* entry, bool uses) const;
  std::shared_ptr<server::LoadTicket> Want(Entry* entry);
  void Work();
  // One thing that is due, if any; false when there is nothing.
  bool WorkOnce(std::unique_lock<std::mutex>& lock);
  void LoadNow(Entry* entry, const Room& room, std::unique_lock<std::mutex>& lock);
  void UnloadNow(Entry* entry, std::unique_lock<std::mutex>& lock);
  // How much `entry` takes when `left` bytes are free, or why it cannot do with them.
  Result<Room> PlanRoom(const Entry& entry, int64_t left, bool last_chance) const;
  // kLater: something has to be unloaded first.
  Result<Making> MakeRoom(Entry* entry, Room* room);
  Entry* LeastRecentlyUsed();
  std::optional<Clock::time_point> NextSleep() const;

  const HubConfig config_;
  const Flags flags_;
  LoadProgress progress_;
  std::function<void(Result<void>)> first_;
  // The only model has not been up yet: from the constructor on, since requests may come before Start.
  bool coming_up_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::deque<Entry*> wanted_;
  bool accepting_ = true, stopping_ = false;
  std::thread thread_;
};

}  // namespace lb::app
