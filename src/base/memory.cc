#include "base/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <limits>

namespace lb {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
// In front of each allocation: where its mapping begins and how long it is.
struct Header {
  void* base;
  size_t bytes;
};
constexpr size_t kHeaderBytes = 64;
static_assert(sizeof(Header) <= kHeaderBytes);

}  // namespace

void* AllocateMemory(size_t bytes) {
  if (bytes > std::numeric_limits<size_t>::max() / 2) return nullptr;
  size_t total = bytes + kHeaderBytes;
  // Room to begin at a huge page's border: the kernel only uses them for whole aligned 2 MB.
  if (total >= kHugePage) total += kHugePage;
  void* base = mmap(nullptr, total, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return nullptr;
  char* start = static_cast<char*>(base);
  if (total >= kHugePage) {
    const uintptr_t address = reinterpret_cast<uintptr_t>(base);
    start += (kHugePage - address % kHugePage) % kHugePage;
    // Refusal costs speed only.
    madvise(start, total - static_cast<size_t>(start - static_cast<char*>(base)), MADV_HUGEPAGE);
  }
  const Header header{base, total};
  std::memcpy(start, &header, sizeof(header));
  return start + kHeaderBytes;
}

void FreeMemory(void* memory) {
  if (memory == nullptr) return;
  Header header;
  std::memcpy(&header, static_cast<char*>(memory) - kHeaderBytes, sizeof(header));
  munmap(header.base, header.bytes);
}

void DropPages(const void* data, size_t bytes) {
  const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + page - 1) / page * page;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + bytes) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace lb
