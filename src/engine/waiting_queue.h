// WaitingQueue: who is served next among those that were never admitted.
#pragma once

#include <deque>
#include <list>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/sequence.h"

namespace lb {

// One FIFO per client, and the clients in a ring: the one served longest ago comes first, a new one
// last. So a client with a thousand requests delays another by one request at a time. Engine thread
// only; sequences are the engine's.
class WaitingQueue {
 public:
  void Push(Sequence* sequence);
  // Takes it out; when it was its client's first and is `admitted`, the client had its turn.
  void Remove(Sequence* sequence, bool admitted);
  // The first `count` in order of service: every client's first, then every client's second, ...
  std::vector<Sequence*> Next(size_t count) const;
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  size_t num_clients() const { return ring_.size(); }

 private:
  struct Client {
    std::string name;
    std::deque<Sequence*> queue;
  };
  std::list<Client> ring_;
  std::unordered_map<std::string, std::list<Client>::iterator> by_name_;
  size_t size_ = 0;
};

}  // namespace lb
