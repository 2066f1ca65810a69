// Reads one metadata value from a GGUF file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "gguf/cursor.h"
#include "gguf/metadata.h"

namespace lb::gguf {

// Where in which file we are, for messages; and what the parse may still allocate.
struct ParseContext {
  const std::string& file;
  Cursor cursor;
  uint64_t budget_bytes;

  // "FILE: truncated: needs N bytes, has M (key "x")", after a cursor's refusal.
  Error Truncated(std::string_view what) const;
  // Takes `count` things of `bytes_each` from the budget, or says which limit they break.
  Result<void> Spend(uint64_t count, uint64_t bytes_each, std::string_view what);
};

// The type number and the value that follow a key.
Result<Value> ReadValue(ParseContext& context, std::string_view key);

}  // namespace lb::gguf
