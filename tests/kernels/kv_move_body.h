// What Ops::MoveKvBlocks promises, on any backend.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/ops.h"

namespace lb::test {

// A pool of `num_parts` parts (some of 16 bytes, some of thousands) and a tier, both of random bytes, and what they should hold.
class MovedBlocks {
 public:
  using Bytes = std::vector<uint8_t>;

  MovedBlocks(Ops& ops, int num_parts, int num_blocks, int num_slots, uint32_t seed) : ops_(ops), rng_(seed) {
    for (int p = 0; p < num_parts; ++p) {
      const int64_t bytes = 16 * (p % 7 == 0 ? 1 : 1 + static_cast<int64_t>(rng_() % 700));
      pools_.push_back(RandomBytes(static_cast<size_t>(bytes * num_blocks)));
      memory_.push_back(std::move(ops.Allocate(pools_.back().size())).value());
      ops_.CopyFromHost(pools_.back().data(), Words(p));
      parts_.push_back({memory_.back().get(), bytes, tier_.slot_bytes});
      tier_.slot_bytes += bytes;
    }
    host_ = RandomBytes(static_cast<size_t>(num_slots * tier_.slot_bytes));
    host_memory_ = std::move(ops.AllocateHost(host_.size())).value();
    tier_.memory = host_memory_.get();
    std::memcpy(tier_.memory, host_.data(), host_.size());
  }

  // `count` blocks and slots drawn at random, each once.
  std::vector<KvBlockMove> Draw(int count) {
    const auto draw = [&](size_t n) {
      std::vector<int32_t> all(n);
      std::iota(all.begin(), all.end(), 0);
      std::ranges::shuffle(all, rng_);
      return all;
    };
    const auto blocks = draw(pools_[0].size() / static_cast<size_t>(parts_[0].bytes));
    const auto slots = draw(host_.size() / static_cast<size_t>(tier_.slot_bytes));
    std::vector<KvBlockMove> moves;
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) moves.push_back({blocks[i], slots[i]});
    return moves;
  }

  // On the device and in the copies here.
  void Move(const std::vector<KvBlockMove>& moves, bool to_host) {
    const auto moved = ops_.MoveKvBlocks(parts_, tier_, moves, to_host);
    ASSERT_TRUE(moved.has_value()) << moved.error().message;
    for (const KvBlockMove& move : moves) {
      for (size_t p = 0; p < parts_.size(); ++p) {
        uint8_t* block = pools_[p].data() + move.block * parts_[p].bytes;
        uint8_t* slot = host_.data() + move.slot * tier_.slot_bytes + parts_[p].offset;
        std::memcpy(to_host ? slot : block, to_host ? block : slot, static_cast<size_t>(parts_[p].bytes));
      }
    }
  }

  // All of the pool and all of the host, so that nothing beside the blocks was touched.
  void ExpectEqual() {
    for (int p = 0; p < static_cast<int>(pools_.size()); ++p) {
      Bytes read(pools_[static_cast<size_t>(p)].size());
      ops_.CopyToHost(Words(p), read.data());
      EXPECT_TRUE(read == pools_[static_cast<size_t>(p)]) << "part " << p;
    }
    // The copies above waited for the device.
    EXPECT_EQ(std::memcmp(tier_.memory, host_.data(), host_.size()), 0);
  }

 private:
  Bytes RandomBytes(size_t n) {
    Bytes bytes(n);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(rng_());
    return bytes;
  }
  TensorView Words(int p) const {
    return TensorView(memory_[static_cast<size_t>(p)].get(), DType::kI32,
                      {static_cast<int64_t>(pools_[static_cast<size_t>(p)].size() / sizeof(int32_t))});
  }

  Ops& ops_;
  std::mt19937 rng_;
  std::vector<DeviceMemory> memory_;
  DeviceMemory host_memory_{nullptr, nullptr};
  std::vector<KvBlockPart> parts_;
  KvHostTier tier_;
  std::vector<Bytes> pools_;
  Bytes host_;
};

// Out and back, without a wait between; more parts and moves than anybody's launch takes.
inline void ExpectBlocksMove(Ops& ops) {
  for (const auto [parts, blocks, slots, moves] : {std::array{2, 5, 3, 1}, {56, 40, 30, 30}, {150, 12, 20, 12}, {3, 700, 800, 700}}) {
    SCOPED_TRACE(testing::Message() << parts << " parts, " << moves << " moves");
    MovedBlocks moved(ops, parts, blocks, slots, static_cast<uint32_t>(parts));
    moved.ExpectEqual();
    moved.Move(moved.Draw(moves), true);
    moved.ExpectEqual();
    moved.Move(moved.Draw(moves), false);
    moved.ExpectEqual();
    for (int i = 0; i < 10; ++i) moved.Move(moved.Draw(1 + moves / (i + 1) % moves), i % 2 == 0);
    moved.ExpectEqual();
  }
}

}  // namespace lb::test
