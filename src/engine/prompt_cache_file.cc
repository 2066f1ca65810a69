#include "engine/prompt_cache_file.h"

#include <bit>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "engine/adapter_namespaces.h"

namespace lb {
namespace {

static_assert(std::endian::native == std::endian::little, "the file is written as memory has it");

constexpr char kMagic[8] = {'L', 'B', 'P', 'C', 'A', 'C', 'H', '1'};

// A running 64-bit checksum over all bytes; each word passes a multiplication, so order counts.
class Checksum {
 public:
  void Add(const void* data, size_t bytes) {
    const char* p = static_cast<const char*>(data);
    for (; bytes >= 8; p += 8, bytes -= 8) {
      uint64_t word;
      std::memcpy(&word, p, 8);
      Word(word);
    }
    uint64_t rest = bytes;
    std::memcpy(&rest, p, bytes);
    Word(rest ^ (uint64_t{bytes} << 56));
  }
  uint64_t value() const { return state_; }

 private:
  void Word(uint64_t word) {
    state_ = (state_ ^ word) * 0x9e3779b97f4a7c15ull;
    state_ ^= state_ >> 29;
  }
  uint64_t state_ = 0x6c6c616d61626f78ull;
};

class Writer {
 public:
  explicit Writer(const std::string& path) : out_(path, std::ios::binary | std::ios::trunc) {
    // What users said is in it.
    std::error_code ignored;
    using std::filesystem::perms;
    std::filesystem::permissions(path, perms::owner_read | perms::owner_write, ignored);
  }
  void Bytes(const void* data, size_t bytes) {
    sum_.Add(data, bytes);
    out_.write(static_cast<const char*>(data), static_cast<std::streamsize>(bytes));
  }
  template <typename T>
  void Value(const T& value) {
    Bytes(&value, sizeof(T));
  }
  bool Finish() {
    const uint64_t sum = sum_.value();
    out_.write(reinterpret_cast<const char*>(&sum), sizeof(sum));
    out_.close();
    return !out_.fail();
  }

 private:
  std::ofstream out_;
  Checksum sum_;
};

// Reads front to back, never past the checksum; ok() turns false for good at the first shortage.
class Reader {
 public:
  Reader(const std::string& path, uint64_t payload) : in_(path, std::ios::binary), left_(payload) {}
  void Bytes(void* data, size_t bytes) {
    ok_ = ok_ && bytes <= left_ &&
          in_.read(static_cast<char*>(data), static_cast<std::streamsize>(bytes));
    if (!ok_) return;
    left_ -= bytes;
    sum_.Add(data, bytes);
  }
  template <typename T>
  T Value() {
    T value{};
    Bytes(&value, sizeof(T));
    return value;
  }
  // Whether everything was read and the checksum behind it is right.
  bool Finish() {
    uint64_t sum = 0;
    return ok_ && left_ == 0 && in_.read(reinterpret_cast<char*>(&sum), sizeof(sum)) &&
           sum == sum_.value();
  }
  bool ok() const { return ok_; }
  uint64_t left() const { return left_; }

 private:
  std::ifstream in_;
  uint64_t left_;
  bool ok_ = true;
  Checksum sum_;
};

struct FileNode {
  int32_t parent;
  uint32_t groups;  // bit g: the block of group g follows
  uint64_t ns;
  kv::BlockTokens tokens;
};

// Everything but the blocks. The file starts with it.
Result<uint64_t> ReadHeader(Reader& in, const kv::KvCacheManager& kv, const ModelRunner& runner,
                            const std::string& path, const std::string& key) {
  char magic[8] = {};
  in.Bytes(magic, sizeof(magic));
  const auto key_bytes = in.Value<uint64_t>();
  if (std::memcmp(magic, kMagic, sizeof(magic)) != 0) {
    return Fail(ErrorCode::kInvalidArgument, "{} is not a prompt cache file", path);
  }
  if (!in.ok() || key_bytes > in.left()) {
    return Fail(ErrorCode::kCorrupt, "{}: truncated, or the checksum is wrong", path);
  }
  std::string its_key(key_bytes, 0);
  in.Bytes(its_key.data(), key_bytes);
  if (its_key != key) {
    // What it says of itself is not shown: nothing is known yet of its bytes.
    return Fail(ErrorCode::kUnsupported,
                "{} was made for another model, KV type or version than {}", path, key);
  }
  const auto groups = in.Value<uint64_t>();
  bool same = in.ok() && groups == static_cast<uint64_t>(kv.num_groups());
  for (int g = 0; same && g < kv.num_groups(); ++g) {
    const auto window = in.Value<int64_t>();
    const auto bytes = in.Value<uint64_t>();
    same = window == kv.config().groups[static_cast<size_t>(g)].window &&
           bytes == runner.BlockBytes(g);
  }
  if (!same) {
    return Fail(ErrorCode::kUnsupported, "{} was made with other KV groups or types", path);
  }
  return in.Value<uint64_t>();
}

// One pass over all nodes: `visit(node, blocks)`, blocks[g] being the bytes of group g or empty.
template <typename Visit>
Result<void> ReadNodes(const kv::KvCacheManager& kv, const ModelRunner& runner,
                       const std::string& path, const std::string& key, Visit&& visit) {
  std::error_code ec;
  const uint64_t size = std::filesystem::file_size(path, ec);
  if (ec) return Fail(ErrorCode::kNotFound, "{}: {}", path, ec.message());
  if (size == 0) return Fail(ErrorCode::kCorrupt, "{} is empty", path);
  if (size < sizeof(uint64_t)) {
    return Fail(ErrorCode::kInvalidArgument, "{} is not a prompt cache file", path);
  }
  Reader in(path, size - sizeof(uint64_t));
  LB_ASSIGN_OR_RETURN(const uint64_t count, ReadHeader(in, kv, runner, path, key));
  std::vector<std::vector<std::byte>> blocks(static_cast<size_t>(kv.num_groups()));
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    const FileNode node = in.Value<FileNode>();
    const uint32_t known = (1u << kv.num_groups()) - 1;
    if (!in.ok() || node.parent >= static_cast<int64_t>(i) || (node.groups & ~known) != 0) {
      return Fail(ErrorCode::kCorrupt, "{}: node {} of {} is damaged", path, i, count);
    }
    for (int g = 0; g < kv.num_groups(); ++g) {
      auto& data = blocks[static_cast<size_t>(g)];
      data.resize((node.groups >> g & 1) != 0 ? runner.BlockBytes(g) : 0);
      in.Bytes(data.data(), data.size());
    }
    if (in.ok()) visit(node, blocks);
  }
  if (!in.Finish()) {
    return Fail(ErrorCode::kCorrupt, "{}: truncated, or the checksum is wrong", path);
  }
  return {};
}

}  // namespace

Result<int64_t> SavePromptCache(const kv::KvCacheManager& kv, ModelRunner& runner,
                                const std::string& path, const std::string& key) {
  const std::vector<kv::SavedNode> nodes = kv.Save(AdapterNamespaces::kStart);
  const std::string temporary = path + ".part";
  Writer out(temporary);
  out.Bytes(kMagic, sizeof(kMagic));
  out.Value(uint64_t{key.size()});
  out.Bytes(key.data(), key.size());
  out.Value(static_cast<uint64_t>(kv.num_groups()));
  for (int g = 0; g < kv.num_groups(); ++g) {
    out.Value(int64_t{kv.config().groups[static_cast<size_t>(g)].window});
    out.Value(uint64_t{runner.BlockBytes(g)});
  }
  out.Value(uint64_t{nodes.size()});
  std::vector<std::byte> data;
  for (const kv::SavedNode& node : nodes) {
    FileNode record{node.parent, 0, node.ns, node.tokens};
    for (int g = 0; g < kv.num_groups(); ++g) {
      if (node.blocks[static_cast<size_t>(g)] != kv::kNoBlock) record.groups |= 1u << g;
    }
    out.Value(record);
    for (int g = 0; g < kv.num_groups(); ++g) {
      const kv::BlockId block = node.blocks[static_cast<size_t>(g)];
      if (block == kv::kNoBlock) continue;
      data.resize(runner.BlockBytes(g));
      runner.ReadBlock(g, block.value, data.data());
      out.Bytes(data.data(), data.size());
    }
  }
  if (!out.Finish() || std::rename(temporary.c_str(), path.c_str()) != 0) {
    std::remove(temporary.c_str());
    return Fail(ErrorCode::kIo, "{}: the prompt cache could not be written", path);
  }
  return static_cast<int64_t>(nodes.size()) * kv::kBlockTokens;
}

Result<int64_t> LoadPromptCache(kv::KvCacheManager& kv, ModelRunner& runner,
                                const std::string& path, const std::string& key) {
  // Once to see that every byte is right, once to take them: nothing half-read reaches the cache.
  std::vector<kv::SavedNode> nodes;
  LB_RETURN_IF_ERROR(ReadNodes(kv, runner, path, key, [&](const FileNode& node, const auto&) {
    kv::SavedNode saved{node.parent, node.ns, node.tokens, {}};
    for (int g = 0; g < kv::kMaxGroups; ++g) {
      saved.blocks[static_cast<size_t>(g)] =
          (node.groups >> g & 1) != 0 ? kv::BlockId(0) : kv::kNoBlock;
    }
    nodes.push_back(saved);
  }));
  for (const kv::SavedNode& node : nodes) {
    for (int g = 0; g < kv.num_groups(); ++g) {
      if (kv.config().groups[static_cast<size_t>(g)].window == 0 &&
          node.blocks[static_cast<size_t>(g)] == kv::kNoBlock) {
        return Fail(ErrorCode::kCorrupt, "{}: a node lacks its block", path);
      }
    }
  }
  const auto restored = static_cast<size_t>(kv.Restore(nodes));
  size_t i = 0;
  const Result<void> filled =
      ReadNodes(kv, runner, path, key, [&](const FileNode&, const auto& blocks) {
        if (i >= restored) return;
        for (int g = 0; g < kv.num_groups(); ++g) {
          const kv::BlockId block = nodes[i].blocks[static_cast<size_t>(g)];
          if (block != kv::kNoBlock) {
            runner.WriteBlock(g, block.value, blocks[static_cast<size_t>(g)].data());
          }
        }
        ++i;
      });
  if (!filled.has_value() || i < restored) {  // somebody changed the file between the two readings
    kv.DropCached();
    return filled.has_value() ? Fail(ErrorCode::kCorrupt, "{} changed while it was read", path)
                              : filled.error();
  }
  return static_cast<int64_t>(restored) * kv::kBlockTokens;
}

}  // namespace lb
