#include "kernels/cuda/staging.h"

#include <algorithm>

namespace lb::cuda {
namespace {

enum Use { kValues = 0, kTable = 1, kSequences = 2 };
constexpr size_t kAlign = 32;  // integers

}  // namespace

Staging::Staging(size_t bytes) : capacity_(bytes / sizeof(int32_t)) {
  LB_CUDA_CHECK(cudaMallocHost(reinterpret_cast<void**>(&host_), bytes));
  LB_CUDA_CHECK(cudaMalloc(reinterpret_cast<void**>(&device_), bytes));
}

Staging::~Staging() {
  cudaFreeHost(host_);
  cudaFree(device_);
}

const int32_t* Staging::Take(const void* key, int use, size_t n, int32_t** host) {
  const auto [it, added] = places_.try_emplace({key, {use, n}}, nullptr);
  *host = nullptr;
  if (!added) return it->second;
  const size_t rounded = (n + kAlign - 1) / kAlign * kAlign;
  if (used_ + rounded > capacity_) {
    full_ = true;
    return nullptr;
  }
  *host = host_ + used_;
  it->second = device_ + used_;
  used_ += rounded;
  return it->second;
}

const int32_t* Staging::Put(std::span<const int32_t> values) {
  int32_t* host;
  const int32_t* place = Take(values.data(), kValues, values.size(), &host);
  if (host != nullptr) std::ranges::copy(values, host);
  return place;
}

const int32_t* Staging::PutTable(std::span<const int32_t> values, int width, int stride) {
  const size_t rows = width > 0 ? values.size() / static_cast<size_t>(width) : 0;
  int32_t* host;
  const int32_t* place = Take(values.data(), kTable, rows * static_cast<size_t>(stride), &host);
  if (host == nullptr) return place;
  for (size_t r = 0; r < rows; ++r) {
    int32_t* row = host + r * static_cast<size_t>(stride);
    std::copy_n(values.data() + r * static_cast<size_t>(width), width, row);
    std::fill(row + width, row + stride, -1);
  }
  return place;
}

const int32_t* Staging::PutSequences(std::span<const int32_t> query_start) {
  const size_t tokens = static_cast<size_t>(query_start.back());
  int32_t* host;
  const int32_t* place = Take(query_start.data(), kSequences, tokens, &host);
  if (host == nullptr) return place;
  for (size_t s = 0; s + 1 < query_start.size(); ++s) {
    std::fill(host + query_start[s], host + query_start[s + 1], static_cast<int32_t>(s));
  }
  return place;
}

void Staging::Send(cudaStream_t stream) const {
  if (used_ == 0) return;
  LB_CUDA_CHECK(cudaMemcpyAsync(device_, host_, used_ * sizeof(int32_t), cudaMemcpyHostToDevice, stream));
}

void Staging::Reset() {
  used_ = 0;
  full_ = false;
  places_.clear();
}

}  // namespace lb::cuda
