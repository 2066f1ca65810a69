// Tiles of fp16 rows in shared memory as operands of tensor-core products: 16-byte pieces, swizzled so that eight rows'
// pieces of one column fall into different banks, filled by asynchronous copies, read by ldmatrix.
#pragma once

#include <cstdint>

namespace lb::cuda {

__device__ __forceinline__ uint32_t SharedAddress(const void* p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

// Where piece `piece` (8 values) of row `row` lies in a tile of rows of kCols values, in bytes. kCols: a multiple of 64.
template <int kCols>
__device__ __forceinline__ uint32_t PieceAt(int row, int piece) {
  return static_cast<uint32_t>(row * kCols * 2 + ((piece ^ (row & 7)) * 16));
}

// 16 bytes from global to shared memory; zeros when not `there`.
__device__ __forceinline__ void CopyAsync16(uint32_t to, const void* from, bool there) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(there ? 16 : 0) : "memory");
}
__device__ __forceinline__ void Store16(uint32_t to, uint4 v) {
  asm volatile("st.shared.v4.u32 [%0], {%1,%2,%3,%4};" ::"r"(to), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
}
__device__ __forceinline__ void AwaitCopies() { asm volatile("cp.async.wait_all;" ::: "memory"); }

// Four 8 x 8 matrices; lane 8 m + i gives the address of row i of matrix m. Transposed: a lane gets a column's neighbours.
__device__ __forceinline__ void LoadMatrices(uint32_t (&v)[4], uint32_t at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3])
               : "r"(at)
               : "memory");
}
__device__ __forceinline__ void LoadMatricesTransposed(uint32_t (&v)[4], uint32_t at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3])
               : "r"(at)
               : "memory");
}

}  // namespace lb::cuda
