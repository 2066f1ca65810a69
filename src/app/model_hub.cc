#include "app/model_hub.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "app/prompt_cache.h"
#include "base/log.h"

namespace lb::app {

using server::ModelState;

namespace {

double MiB(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

// What the file says is wrong with a model is no fault of the request that asks for it.
Error LoadError(const std::string& name, const Error& error) {
  const bool memory = error.code == ErrorCode::kOutOfMemory;
  return {memory ? ErrorCode::kOutOfMemory : ErrorCode::kCorrupt,
          fmt::format("the model {} cannot be loaded: {}", name, error.message),
          {}};
}

}  // namespace

ModelHub::ModelHub(HubConfig config, Flags flags, std::vector<ListedModel> models)
    : config_(config), flags_(std::move(flags)), coming_up_(!config.many) {
  for (ListedModel& model : models) {
    entries_.push_back(std::make_unique<Entry>());
    entries_.back()->model = std::move(model);
    if (entries_.back()->model.error) entries_.back()->error = entries_.back()->model.error->message;
  }
}

ModelHub::~ModelHub() { Stop(); }

void ModelHub::Start(LoadProgress progress, std::function<void(Result<void>)> first) {
  progress_ = std::move(progress);
  if (!config_.many) {
    std::lock_guard lock(mutex_);
    first_ = std::move(first);
    Want(entries_.front().get());
  }
  thread_ = std::thread([this] { Work(); });
}

void ModelHub::StopAccepting() {
  std::lock_guard lock(mutex_);
  accepting_ = false;
  for (const auto& entry : entries_) {
    if (entry->loaded != nullptr) entry->loaded->engine->StopAccepting();
  }
}

void ModelHub::Stop(const std::function<void()>& before_save) {
  {
    std::lock_guard lock(mutex_);
    accepting_ = false;
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
  for (const auto& entry : entries_) {
    if (entry->ticket != nullptr) {
      entry->ticket->Fail(Error{ErrorCode::kUnavailable, "the server is shutting down", {}});
    }
    if (entry->loaded != nullptr) entry->loaded->engine_thread->Stop(0);
  }
  if (before_save) before_save();
  for (const auto& entry : entries_) {
    if (entry->loaded != nullptr) SavePromptCache(flags_, *entry->loaded);
    entry->loaded.reset();
  }
}

// ---- any thread

ModelHub::Entry* ModelHub::FindEntry(std::string_view name) {
  if (!config_.many || (name.empty() && entries_.size() == 1)) return entries_.front().get();
  if (name.ends_with(".gguf")) name.remove_suffix(5);
  for (const auto& entry : entries_) {
    if (entry->model.name == name) return entry.get();
  }
  return nullptr;
}

Error ModelHub::Unknown(std::string_view name) const {
  std::string known;
  constexpr size_t kNamed = 20;
  for (size_t i = 0; i < std::min(entries_.size(), kNamed); ++i) {
    known += (i == 0 ? "" : ", ") + entries_[i]->model.name;
  }
  if (entries_.size() > kNamed) known += fmt::format(" and {} more", entries_.size() - kNamed);
  if (name.empty()) {
    return {ErrorCode::kInvalidArgument, "name a model; there are: " + known, "model"};
  }
  return {ErrorCode::kNotFound,
          fmt::format("there is no model {}; there are: {}", name.substr(0, 200), known), "model"};
}

// The model cannot go before the lease does, however long that is.
server::Lease ModelHub::Take(Entry* entry, bool uses) const {
  ++entry->leases;
  if (uses) entry->last_use = Clock::now();
  return server::Lease(entry->loaded->service.get(), [this, entry, uses](const api::Service*) {
    std::lock_guard lock(mutex_);
    if (uses) entry->last_use = Clock::now();
    --entry->leases;
    changed_.notify_all();
  });
}

server::ModelSource::Watch ModelHub::LookOn(std::string_view name) {
  std::lock_guard lock(mutex_);
  Entry* entry = FindEntry(name);
  if (entry == nullptr || entry->state != ModelState::kLoaded || entry->leaves) return {};
  if (entry->end == nullptr) entry->end = std::make_shared<server::LoadTicket>();
  ++entry->leases;
  ++entry->watchers;
  return {server::Lease(entry->loaded->service.get(),
                        [this, entry](const api::Service*) {
                          std::lock_guard inner(mutex_);
                          --entry->leases;
                          --entry->watchers;
                          changed_.notify_all();
                        }),
          entry->end};
}

std::shared_ptr<server::LoadTicket> ModelHub::Want(Entry* entry) {
  if (entry->ticket == nullptr) {
    entry->ticket = std::make_shared<server::LoadTicket>();
    wanted_.push_back(entry);
    changed_.notify_all();
  }
  return entry->ticket;
}

server::ModelSource::Found ModelHub::Find(std::string_view name, server::Purpose purpose) {
  const bool load = purpose == server::Purpose::kLoad;
  std::lock_guard lock(mutex_);
  Found found;
  Entry* entry = FindEntry(name);
  if (entry == nullptr) {
    found.error = Unknown(name);
  } else if (entry->state == ModelState::kLoaded && !entry->leaves) {
    found.lease = Take(entry, purpose != server::Purpose::kLook);
  } else if (coming_up_) {
    found.starting = entry->progress;
  } else if (!accepting_) {
    found.error = Error{ErrorCode::kUnavailable, "the server is shutting down", {}};
  } else if (load && entry->model.error) {
    found.error = LoadError(entry->model.name, *entry->model.error);
  } else if (load) {
    found.ticket = Want(entry);
  } else {
    found.props = entry->props;
    if (purpose == server::Purpose::kLook) found.figures = entry->figures;
    found.error = Error{ErrorCode::kUnavailable,
                        fmt::format("the model {} is not loaded", entry->model.name), {}};
  }
  return found;
}

std::vector<server::ModelInfo> ModelHub::List() const {
  std::lock_guard lock(mutex_);
  std::vector<server::ModelInfo> list;
  for (const auto& entry : entries_) {
    server::ModelInfo info;
    info.card = entry->model.card;
    info.state = entry->state;
    info.progress = entry->progress;
    info.error = entry->error;
    if (entry->state == ModelState::kLoaded && !entry->leaves) {
      info.lease = Take(entry.get(), false);
    }
    list.push_back(std::move(info));
  }
  return list;
}

Result<void> ModelHub::Load(std::string_view name) {
  std::lock_guard lock(mutex_);
  Entry* entry = FindEntry(name);
  if (entry == nullptr) return Unknown(name);
  if (entry->model.error) return LoadError(entry->model.name, *entry->model.error);
  if (!accepting_) return Error{ErrorCode::kUnavailable, "the server is shutting down", {}};
  if (entry->state != ModelState::kLoaded || entry->leaves) Want(entry);
  return {};
}

Result<void> ModelHub::Unload(std::string_view name) {
  std::lock_guard lock(mutex_);
  Entry* entry = FindEntry(name);
  if (entry == nullptr) return Unknown(name);
  if (entry->state == ModelState::kLoaded) {
    entry->leaves = true;
    changed_.notify_all();
  }
  return {};
}

// ---- the thread that loads

void ModelHub::Work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (WorkOnce(lock)) continue;
    const auto sleep = NextSleep();
    if (sleep) {
      changed_.wait_until(lock, *sleep);
    } else {
      changed_.wait(lock);
    }
  }
}

bool ModelHub::WorkOnce(std::unique_lock<std::mutex>& lock) {
  const auto now = Clock::now();
  for (const auto& entry : entries_) {
    if (entry->loaded == nullptr || entry->leases > entry->watchers) continue;
    const auto idle = std::chrono::duration<double>(now - entry->last_use).count();
    const bool tired = config_.sleep_seconds >= 0 && idle >= config_.sleep_seconds;
    if (!entry->leaves && !tired) continue;
    entry->by_itself |= !entry->leaves;
    entry->leaves = true;
    if (entry->leases == 0) {
      UnloadNow(entry.get(), lock);
      return true;
    }
    if (entry->end == nullptr) continue;  // they know
    const auto end = std::exchange(entry->end, nullptr);
    lock.unlock();
    end->Fail(Error{ErrorCode::kUnavailable, "the model is unloaded", {}});
    lock.lock();
    return true;
  }
  // In turn; one whose room is still in use holds up those behind it, so that it has its turn.
  if (wanted_.empty()) return false;
  Entry* entry = wanted_.front();
  if (entry->loaded != nullptr) return false;  // it leaves, and comes back
  Room room;
  const auto making = MakeRoom(entry, &room);
  if (making.has_value() && *making == Making::kLater) {
    return std::ranges::any_of(entries_, [](const auto& e) {
      return e->loaded != nullptr && e->leaves &&
             (e->leases == 0 || (e->leases == e->watchers && e->end != nullptr));
    });
  }
  wanted_.pop_front();
  if (making.has_value()) {
    LoadNow(entry, room, lock);
  } else {
    entry->error = making.error().message;
    auto ticket = std::exchange(entry->ticket, nullptr);
    const Error error = LoadError(entry->model.name, making.error());
    LogWarning("{}", error.message);
    lock.unlock();
    ticket->Fail(error);
    ticket.reset();
    lock.lock();
  }
  return true;
}

void ModelHub::LoadNow(Entry* entry, const Room& room, std::unique_lock<std::mutex>& lock) {
  entry->state = ModelState::kLoading;
  entry->progress = 0;
  entry->bytes = room.bytes;
  Flags flags = flags_;
  flags.model = entry->model.path;
  if (config_.many) flags.alias = entry->model.name;
  if (room.kv_bytes > 0) flags.kv_memory = std::to_string(room.kv_bytes);
  const std::optional<Figures> figures = entry->figures;
  lock.unlock();
  if (config_.many) LogInfo("loading {} ({:.0f} MiB)", entry->model.name, MiB(room.bytes));
  auto loaded = Compose(flags, [&](float fraction) {
    if (progress_) progress_(fraction);
    std::lock_guard inner(mutex_);
    entry->progress = fraction;
  }, figures ? &figures->stats : nullptr);
  if (loaded.has_value() && flags.mlock && mlockall(MCL_CURRENT) != 0) {
    LogWarning("--mlock: {} (ulimit -l says how much may be locked)", std::strerror(errno));
  }
  lock.lock();
  auto ticket = std::exchange(entry->ticket, nullptr);
  const auto first = std::exchange(first_, nullptr);
  coming_up_ = false;
  server::Lease lease;
  Result<void> how;
  if (loaded.has_value()) {
    entry->loaded = std::move(*loaded);
    entry->model.card = entry->loaded->service->card();
    entry->state = ModelState::kLoaded;
    entry->error.clear();
    if (!accepting_) entry->loaded->engine->StopAccepting();
    lease = Take(entry, true);
  } else {
    entry->state = ModelState::kUnloaded;
    entry->bytes = 0;
    entry->error = loaded.error().message;
    how = loaded.error();
  }
  lock.unlock();
  if (first) first(how);
  if (how.has_value()) {
    if (config_.many) LogInfo("{} is ready", entry->model.name);
    ticket->Finish(std::move(lease));
  } else {
    const Error error = LoadError(entry->model.name, how.error());
    if (!first) LogWarning("{}", error.message);
    ticket->Fail(error);
  }
  ticket.reset();  // and with it the lease, if nobody waited: that needs the lock
  lock.lock();
}

void ModelHub::UnloadNow(Entry* entry, std::unique_lock<std::mutex>& lock) {
  entry->props = entry->loaded->service->Props(true);
  std::unique_ptr<Composition> going = std::move(entry->loaded);
  entry->leaves = true;  // until it is gone it counts as there
  lock.unlock();
  going->engine_thread->Stop(0);
  SavePromptCache(flags_, *going);
  const Figures figures{going->engine->Stats(), going->engine->limits()};
  going.reset();
  malloc_trim(0);
  LogInfo("{} is {}", entry->model.name, entry->by_itself ? "asleep" : "unloaded");
  lock.lock();
  entry->figures = figures;
  entry->state = entry->by_itself ? ModelState::kSleeping : ModelState::kUnloaded;
  entry->leaves = entry->by_itself = false;
  entry->bytes = 0;
}

std::optional<ModelHub::Clock::time_point> ModelHub::NextSleep() const {
  if (config_.sleep_seconds < 0) return std::nullopt;
  std::optional<Clock::time_point> next;
  for (const auto& entry : entries_) {
    if (entry->loaded == nullptr || entry->leaves || entry->leases > entry->watchers) continue;
    const auto at = entry->last_use + std::chrono::duration_cast<Clock::duration>(
                                          std::chrono::duration<double>(config_.sleep_seconds));
    if (!next || at < *next) next = at;
  }
  return next;
}

}  // namespace lb::app
