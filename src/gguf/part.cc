#include "gguf/part.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>

#include "base/printable.h"
#include "gguf/value_reader.h"

namespace lb::gguf {
namespace {

// The least an entry takes in the file, faulty or not, which bounds a count by the file's length.
constexpr uint64_t kMinKeyBytes = 8 + 4 + 1;         // length of the name, type, one byte of value
constexpr uint64_t kMinTensorBytes = 8 + 4 + 4 + 8;  // length of the name, dimensions, type, offset
// What a key takes in memory beside its text: a node of the map.
constexpr uint64_t kKeyMemory = 64 + sizeof(std::string) + sizeof(Value);

struct Header {
  uint32_t version = 0;
  uint64_t num_tensors = 0;
  uint64_t num_keys = 0;
};

Result<Header> ReadHeader(ParseContext& context) {
  Cursor& cursor = context.cursor;
  if (cursor.size() == 0) return Fail(ErrorCode::kCorrupt, "{}: empty file", context.file);
  const std::string_view magic(reinterpret_cast<const char*>(cursor.here()),
                               std::min<size_t>(cursor.size(), 4));
  if (magic != std::string_view("GGUF").substr(0, magic.size())) {
    return Fail(ErrorCode::kUnsupported, "{}: not a GGUF file: begins with \"{}\", not \"GGUF\"",
                context.file, Printable(magic));
  }
  Header header;
  uint32_t unused = 0;
  if (!cursor.Fits(24) || !cursor.Take(&unused) || !cursor.Take(&header.version)) {
    return context.Truncated("the header");
  }
  if (header.version != 0 && (header.version & 0xffff) == 0) {
    return Fail(ErrorCode::kUnsupported,
                "{}: a big-endian GGUF file (version {}); only little-endian ones are read",
                context.file, __builtin_bswap32(header.version));
  }
  if (header.version != 2 && header.version != 3) {
    return Fail(ErrorCode::kUnsupported, "{}: GGUF version {}; versions 2 and 3 are read",
                context.file, header.version);
  }
  cursor.Take(&header.num_tensors);
  cursor.Take(&header.num_keys);
  if (!cursor.Fits(header.num_keys, kMinKeyBytes)) {
    return context.Truncated(fmt::format("the header counts {} keys", header.num_keys));
  }
  if (!cursor.Fits(header.num_tensors, kMinTensorBytes)) {
    return context.Truncated(fmt::format("the header counts {} tensors", header.num_tensors));
  }
  return header;
}

Result<void> ReadMetadata(ParseContext& context, uint64_t num_keys, Metadata* metadata) {
  for (uint64_t i = 0; i < num_keys; ++i) {
    std::string_view key;
    if (!context.cursor.TakeString(&key)) {
      return context.Truncated(fmt::format("name of key {} of {}", i, num_keys));
    }
    if (key.empty() || key.size() > kMaxKeyBytes) {
      return Fail(ErrorCode::kCorrupt, "{}: key {} \"{}\" is {} bytes long, must be 1 to {}",
                  context.file, i, Printable(key), key.size(), kMaxKeyBytes);
    }
    if (metadata->Find(key) != nullptr) {
      return Fail(ErrorCode::kCorrupt, "{}: key \"{}\" occurs twice (again as key {} of {})",
                  context.file, Printable(key), i, num_keys);
    }
    LB_RETURN_IF_ERROR(context.Spend(1, kKeyMemory + key.size(), "the list of keys"));
    LB_ASSIGN_OR_RETURN(Value value, ReadValue(context, key));
    metadata->Set(std::string(key), std::move(value));
  }
  return {};
}

Result<int64_t> ReadAlignment(const ParseContext& context, const Metadata& metadata) {
  LB_ASSIGN_OR_RETURN(const std::optional<int64_t> alignment, metadata.Int("general.alignment"));
  if (!alignment) return kDefaultAlignment;
  if (*alignment < kMinAlignment || *alignment > kMaxAlignment ||
      !std::has_single_bit(static_cast<uint64_t>(*alignment))) {
    return Fail(ErrorCode::kCorrupt,
                "{}: key \"general.alignment\" is {}, must be a power of two from {} to {}",
                context.file, *alignment, kMinAlignment, kMaxAlignment);
  }
  return *alignment;
}

// A tensor as the directory states it; its place is checked once the directory's end is known.
struct Entry {
  Tensor tensor;
  uint64_t offset = 0;  // from the start of the data
  uint64_t bytes = 0;
};
// An entry while it is read and as it is kept, the two indices over it, and its name twice.
constexpr uint64_t kTensorMemory = sizeof(Entry) + sizeof(Tensor) + 16 + 2 * 64;

Result<void> ReadShape(ParseContext& context, const std::string& what, TensorView* view) {
  Cursor& cursor = context.cursor;
  uint32_t num_dims = 0;
  if (!cursor.Take(&num_dims)) return context.Truncated(what);
  if (num_dims < 1 || num_dims > kMaxDims) {
    return Fail(ErrorCode::kCorrupt, "{}: {}: {} dimensions, must be 1 to {}", context.file, what,
                num_dims, kMaxDims);
  }
  view->rank = static_cast<int>(num_dims);
  int64_t elements = 1;
  for (uint32_t i = 0; i < num_dims; ++i) {
    uint64_t dim = 0;
    if (!cursor.Take(&dim)) return context.Truncated(what);
    if (dim == 0) {
      return Fail(ErrorCode::kCorrupt, "{}: {}: dimension {} is 0, must be at least 1",
                  context.file, what, i);
    }
    if (__builtin_mul_overflow(elements, dim, &elements)) {
      return Fail(ErrorCode::kCorrupt,
                  "{}: {}: dimension {} is {}, the limit for all elements is {}", context.file,
                  what, i, dim, std::numeric_limits<int64_t>::max());
    }
    view->shape[num_dims - 1 - i] = static_cast<int64_t>(dim);
  }
  return {};
}

Result<void> ReadType(ParseContext& context, const std::string& what, Entry* entry) {
  uint32_t id = 0;
  if (!context.cursor.Take(&id)) return context.Truncated(what);
  const std::optional<DType> dtype = DTypeFromGguf(id);
  if (!dtype) {
    std::string known;
    for (const DTypeInfo& info : AllDTypes()) {
      if (DTypeFromGguf(info.gguf_id)) known += fmt::format(" {}", info.name);
    }
    return Fail(ErrorCode::kUnsupported, "{}: {}: type {} ({}{}) is not supported; these are:{}",
                context.file, what, id, GgufTypeName(id),
                IsRemovedGgufType(id) ? ", removed from GGUF" : "", known);
  }
  TensorView& view = entry->tensor.view;
  view.dtype = *dtype;
  const DTypeInfo& info = Info(*dtype);
  if (view.cols() % info.block_size != 0) {
    return Fail(ErrorCode::kCorrupt, "{}: {}: rows of {} values, must be a multiple of {} for {}",
                context.file, what, view.cols(), info.block_size, info.name);
  }
  const auto row_bytes = static_cast<Cursor::Wide>(view.cols() / info.block_size) *
                         static_cast<unsigned>(info.block_bytes);
  const Cursor::Wide bytes = row_bytes * static_cast<uint64_t>(view.rows());
  constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  if (bytes > kMax) {
    return Fail(ErrorCode::kCorrupt, "{}: {}: {} bytes, the limit is {}", context.file, what, bytes,
                kMax);
  }
  entry->bytes = static_cast<uint64_t>(bytes);
  return {};
}

Result<Entry> ReadEntry(ParseContext& context, uint64_t index, uint64_t count, int64_t alignment) {
  std::string_view name;
  if (!context.cursor.TakeString(&name)) {
    return context.Truncated(fmt::format("name of tensor {} of {}", index, count));
  }
  if (name.empty() || name.size() > kMaxTensorNameBytes) {
    return Fail(ErrorCode::kCorrupt,
                "{}: tensor {} \"{}\": the name is {} bytes long, must be 1 to {}", context.file,
                index, Printable(name), name.size(), kMaxTensorNameBytes);
  }
  const std::string what = fmt::format("tensor \"{}\"", Printable(name));
  Entry entry;
  entry.tensor.name = std::string(name);
  LB_RETURN_IF_ERROR(ReadShape(context, what, &entry.tensor.view));
  LB_RETURN_IF_ERROR(ReadType(context, what, &entry));
  if (!context.cursor.Take(&entry.offset)) return context.Truncated(what);
  if (entry.offset % static_cast<uint64_t>(alignment) != 0) {
    return Fail(ErrorCode::kCorrupt, "{}: {}: offset {} is not a multiple of the alignment, {}",
                context.file, what, entry.offset, alignment);
  }
  return entry;
}

// Every tensor lies in the file, and no two share a byte.
Result<void> PlaceTensors(const ParseContext& context, std::span<const uint8_t> bytes,
                          int64_t alignment, std::vector<Entry>* entries) {
  if (entries->empty()) return {};
  std::vector<Entry*> by_offset;
  by_offset.reserve(entries->size());
  for (Entry& entry : *entries) by_offset.push_back(&entry);
  std::ranges::sort(by_offset, {}, &Entry::offset);

  const auto mask = static_cast<uint64_t>(alignment) - 1;
  const uint64_t data_start = (context.cursor.position() + mask) & ~mask;
  const Entry* furthest = nullptr;
  Cursor::Wide end = 0;
  for (const Entry* entry : by_offset) {
    if (furthest != nullptr && entry->offset < end) {
      return Fail(ErrorCode::kCorrupt,
                  "{}: tensor \"{}\" at offset {} overlaps tensor \"{}\", which ends at {}",
                  context.file, Printable(entry->tensor.name), entry->offset,
                  Printable(furthest->tensor.name), end);
    }
    end = static_cast<Cursor::Wide>(entry->offset) + entry->bytes;
    furthest = entry;
  }
  if (data_start + end > bytes.size()) {
    return Fail(ErrorCode::kCorrupt, "{}: truncated: needs {} bytes, has {} (tensor \"{}\")",
                context.file, data_start + end, bytes.size(), Printable(furthest->tensor.name));
  }
  for (Entry& entry : *entries) {
    // Views carry no const; the mapping under them is read-only all the same.
    entry.tensor.view.data = const_cast<uint8_t*>(bytes.data() + data_start + entry.offset);
  }
  return {};
}

}  // namespace

Result<Part> ParsePart(std::span<const uint8_t> bytes, const std::string& name) {
  ParseContext context{name, Cursor(bytes), bytes.size() + kParseAllowanceBytes};
  Part part;
  part.metadata.set_source(name);
  LB_ASSIGN_OR_RETURN(const Header header, ReadHeader(context));
  part.version = header.version;
  LB_RETURN_IF_ERROR(ReadMetadata(context, header.num_keys, &part.metadata));
  LB_ASSIGN_OR_RETURN(const int64_t alignment, ReadAlignment(context, part.metadata));
  LB_RETURN_IF_ERROR(context.Spend(header.num_tensors, kTensorMemory, "the list of tensors"));
  std::vector<Entry> entries;
  entries.reserve(header.num_tensors);
  for (uint64_t i = 0; i < header.num_tensors; ++i) {
    LB_ASSIGN_OR_RETURN(Entry entry, ReadEntry(context, i, header.num_tensors, alignment));
    entries.push_back(std::move(entry));
  }
  LB_RETURN_IF_ERROR(PlaceTensors(context, bytes, alignment, &entries));
  part.tensors.reserve(entries.size());
  for (Entry& entry : entries) part.tensors.push_back(std::move(entry.tensor));
  return part;
}

}  // namespace lb::gguf
