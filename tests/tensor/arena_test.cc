// Proves that the arena hands out aligned, disjoint memory, takes it back at a mark, remembers its
// peak, and that running out ends the process.
#include "tensor/arena.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <utility>

namespace lb {
namespace {

DeviceMemory Host(size_t bytes) { return {std::aligned_alloc(64, bytes), &std::free}; }

bool Aligned(const TensorView& t) { return reinterpret_cast<uintptr_t>(t.data) % 64 == 0; }

TEST(Arena, HandsOutAlignedDisjointMemory) {
  Arena arena(Host(4096), 4096);
  const TensorView a = arena.Alloc({3, 5});
  const TensorView b = arena.Alloc({7}, DType::kF16);
  const TensorView c = arena.Alloc({2, 32}, DType::kQ8_0);
  EXPECT_TRUE(Aligned(a) && Aligned(b) && Aligned(c));
  EXPECT_EQ(a.dtype, DType::kF32);
  EXPECT_GE(b.as<char>(), a.as<char>() + a.num_bytes());
  EXPECT_GE(c.as<char>(), b.as<char>() + b.num_bytes());
  EXPECT_EQ(c.num_bytes(), 68);
}

TEST(Arena, MarkGivesBackAndPeakStays) {
  Arena arena(Host(1024), 1024);
  const TensorView kept = arena.Alloc({16});
  void* inside = nullptr;
  {
    const Arena::Mark mark(arena);
    inside = arena.Alloc({16}).data;
    arena.Alloc({128});
  }
  EXPECT_EQ(arena.Alloc({16}).data, inside);
  EXPECT_NE(kept.data, inside);
  EXPECT_EQ(arena.peak(), 64u + 64u + 512u);
  arena.Reset();
  EXPECT_EQ(arena.Alloc({1}).data, kept.data);
  EXPECT_EQ(arena.peak(), 640u);
  EXPECT_EQ(arena.bytes(), 1024u);
}

TEST(Arena, FillsToTheLastByte) {
  Arena arena(Host(256), 256);
  EXPECT_FALSE(arena.Alloc({64}).empty());
}

TEST(ArenaDeathTest, RunningOutEndsTheProcess) {
  EXPECT_DEATH(
      {
        Arena arena(Host(256), 256);
        arena.Alloc({64});
        arena.Alloc({1});
      },
      "CHECK failed.*320 vs 256");
}

}  // namespace
}  // namespace lb
