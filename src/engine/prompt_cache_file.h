// The prefix cache in a file, so that a restart finds its prompts again (--prompt-cache-file).
#pragma once

#include <cstdint>
#include <string>

#include "engine/model_runner.h"
#include "kv/kv_cache_manager.h"

namespace lb {

// `key` names what the keys and values depend on: model file, KV types, adapters. A file is taken
// only when its key, the layout of its groups and its checksum over every byte are right, and is
// otherwise left alone. Little-endian; the pool may have another size than when the file was made.
// Both return the number of tokens. Nothing runs meanwhile. Errors: kIo; for Load also kNotFound
// (no such file), kInvalidArgument (no prompt cache but something else), kUnsupported (another key
// or layout), kCorrupt. A failed Load leaves the cache
// empty; a failed Save leaves an older file as it was. Only the owner may read the file.
Result<int64_t> SavePromptCache(const kv::KvCacheManager& kv, ModelRunner& runner,
                                const std::string& path, const std::string& key);
Result<int64_t> LoadPromptCache(kv::KvCacheManager& kv, ModelRunner& runner,
                                const std::string& path, const std::string& key);

}  // namespace lb
