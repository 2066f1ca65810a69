// What a person wants to know of a GGUF file, as text.
#pragma once

#include <cstdint>
#include <string>

#include "gguf/gguf_file.h"

namespace lb::gguf {

// Metadata (long values cut), tensors, totals by type, parameters, and a memory estimate for
// several context lengths. Many lines; ends in a newline; nothing in it can move a terminal's
// cursor, whatever the file holds.
std::string Report(const GgufFile& file);

// "93.8 MiB"; bytes below 1024 as they are.
std::string HumanBytes(double bytes);

}  // namespace lb::gguf
