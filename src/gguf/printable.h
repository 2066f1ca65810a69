// Text out of a file, made fit for one line of an error message or a listing.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lb::gguf {

// At most `max_bytes` of `text` (an ellipsis tells of the rest), with control bytes and bytes that
// are not valid UTF-8 as \xNN, newline and tab as \n and \t.
std::string Printable(std::string_view text, size_t max_bytes = 64);

}  // namespace lb::gguf
