// Text from outside (a file, a request), made fit for one line of an error message or a listing.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace lb {

// The beginning of `text` with control bytes and bytes that are not valid UTF-8 as \xNN, newline and
// tab as \n and \t: at most `max_bytes` as shown, and an ellipsis when that is not all of it.
std::string Printable(std::string_view text, size_t max_bytes = 64);

}  // namespace lb
