// Large, aligned, zeroed memory straight from the system, on huge pages where it gives them.
#pragma once

#include <cstddef>

namespace lb {

// Zeroed memory, 64-byte aligned; pages are taken from the system when first touched. From 2 MB on
// the mapping asks for huge pages (madvise), which spares the TLB on weights and KV pools.
// Null when the system refuses. Freed by FreeMemory. Thread-safe.
void* AllocateMemory(size_t bytes);
// `memory` comes from AllocateMemory, or is null.
void FreeMemory(void* memory);

// Tells the system that the pages wholly inside [data, data + bytes) will not be read soon: those of
// a file mapping leave the process's resident set and are read again from the file when touched.
// Only for mappings of files that nobody writes. Thread-safe.
void DropPages(const void* data, size_t bytes);

}  // namespace lb
