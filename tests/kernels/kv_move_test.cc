// Proves that blocks go to the host tier and come back byte for byte, each to its place, on the backends that compute in host memory.
#include "tests/kernels/kv_move_body.h"

#include "kernels/backends.h"

namespace lb {
namespace {

TEST(KvMoveTest, BlocksGoOutAndComeBack) { test::ExpectBlocksMove(*MakeRefOps()); }

}  // namespace
}  // namespace lb
