// GPT-2's spelling of bytes: each of the 256 is one printable character, so that a vocabulary of
// byte strings can be written as text ("Ġ" is a space, "Ċ" a new line).
#pragma once

#include <string>
#include <string_view>

namespace lb::text {

// Appends the bytes that `text` spells. A character outside the alphabet stands for itself, and
// `*all` (may be null) becomes false.
void AppendBytesOfAlphabet(std::string_view text, std::string* bytes, bool* all = nullptr);

}  // namespace lb::text
