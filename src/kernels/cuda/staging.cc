#include "kernels/cuda/staging.h"

#include <algorithm>

namespace lb::cuda {
namespace {

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

void Staging::Begin(Part* part) {
  part->places.clear();
  part->begin = part->end = used_;
  part_ = part;
}

const int32_t* Staging::PlaceOf(Use use, std::span<const int32_t> from, int width, int stride, size_t size) {
  for (const Place& place : part_->places) {
    if (place.from.data() == from.data() && place.use == use && place.size == size) return device_ + place.at;
  }
  const size_t rounded = (size + kAlign - 1) / kAlign * kAlign;
  if (used_ + rounded > capacity_) {
    full_ = true;
    return nullptr;
  }
  const Place& place = part_->places.emplace_back(Place{use, from, width, stride, size, used_});
  part_->end = used_ += rounded;
  Fill(place, host_ + place.at);
  return device_ + place.at;
}

void Staging::Fill(const Place& place, int32_t* to) {
  switch (place.use) {
    case Use::kValues: std::ranges::copy(place.from, to); return;
    case Use::kTable:
      for (size_t at = 0; at < place.size; at += static_cast<size_t>(place.stride)) {
        const auto row = static_cast<std::ptrdiff_t>(at) / place.stride * place.width;
        std::copy_n(place.from.begin() + row, place.width, to + at);
        std::fill(to + at + place.width, to + at + place.stride, -1);
      }
      return;
    case Use::kSequences:
      for (size_t s = 0; s + 1 < place.from.size(); ++s) std::fill(to + place.from[s], to + place.from[s + 1], static_cast<int32_t>(s));
  }
}

const int32_t* Staging::Put(std::span<const int32_t> values) { return PlaceOf(Use::kValues, values, 0, 0, values.size()); }

const int32_t* Staging::PutTable(std::span<const int32_t> values, int width, int stride) {
  const size_t rows = width > 0 ? values.size() / static_cast<size_t>(width) : 0;
  return PlaceOf(Use::kTable, values, width, stride, rows * static_cast<size_t>(stride));
}

const int32_t* Staging::PutSequences(std::span<const int32_t> query_start) {
  return PlaceOf(Use::kSequences, query_start, 0, 0, static_cast<size_t>(query_start.back()));
}

void Staging::Again(const Part& part) {
  for (const Place& place : part.places) Fill(place, host_ + place.at);
  used_ = part.end;
}

void Staging::CopyTo(const Part& part, int32_t* to) const {
  for (const Place& place : part.places) Fill(place, to + (place.at - part.begin));
}

int64_t Staging::OffsetOf(const Part& part, std::span<const int32_t> from) {
  const auto is = [&](const Place& p) { return p.use == Use::kValues && p.from.data() == from.data() && p.size == from.size(); };
  const auto place = std::ranges::find_if(part.places, is);
  return place == part.places.end() ? -1 : static_cast<int64_t>(place->at - part.begin);
}

void Staging::Send(const Part& part, cudaStream_t stream) const {
  if (part.begin == part.end) return;
  const size_t bytes = (part.end - part.begin) * sizeof(int32_t);
  LB_CUDA_CHECK(cudaMemcpyAsync(device_ + part.begin, host_ + part.begin, bytes, cudaMemcpyHostToDevice, stream));
}

void Staging::Reset() {
  used_ = 0;
  full_ = false;
}

}  // namespace lb::cuda
