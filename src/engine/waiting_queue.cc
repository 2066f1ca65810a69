#include "engine/waiting_queue.h"

#include <algorithm>

#include "base/check.h"

namespace lb {

void WaitingQueue::Push(Sequence* sequence) {
  const std::string& name = sequence->request.client;
  auto it = by_name_.find(name);
  if (it == by_name_.end()) {
    ring_.push_back(Client{name, {}});
    it = by_name_.emplace(name, std::prev(ring_.end())).first;
  }
  it->second->queue.push_back(sequence);
  ++size_;
}

void WaitingQueue::Remove(Sequence* sequence, bool admitted) {
  auto it = by_name_.find(sequence->request.client);
  CHECK(it != by_name_.end());
  const auto client = it->second;
  const auto at = std::ranges::find(client->queue, sequence);
  CHECK(at != client->queue.end());
  const bool was_first = at == client->queue.begin();
  client->queue.erase(at);
  --size_;
  if (client->queue.empty()) {
    ring_.erase(client);
    by_name_.erase(it);
  } else if (admitted && was_first) {
    ring_.splice(ring_.end(), ring_, client);
  }
}

std::vector<Sequence*> WaitingQueue::Next(size_t count) const {
  std::vector<Sequence*> out;
  count = std::min(count, size_);
  for (size_t round = 0; out.size() < count; ++round) {
    for (const Client& client : ring_) {
      if (round < client.queue.size()) out.push_back(client.queue[round]);
      if (out.size() == count) break;
    }
  }
  return out;
}

}  // namespace lb
