// Tokenizes with the vocabulary of a GGUF file: the C++ half of test_tokenizers.py. Reads lines of
// hexadecimal bytes from stdin and writes, for each, the ids of that text, then those with
// control tokens parsed, then the hexadecimal bytes that the first ids decode to; between them "|".
#include <iostream>
#include <string>

#include "gguf/gguf_file.h"
#include "text/tokenizer.h"

namespace {

int HexDigit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

void Print(const std::vector<lb::TokenId>& ids) {
  for (const lb::TokenId id : ids) std::cout << id << ' ';
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: text_tokenize MODEL.gguf < lines\n";
    return 2;
  }
  auto file = lb::gguf::GgufFile::Open(argv[1]);
  if (!file.has_value()) {
    std::cerr << file.error().message << "\n";
    return 1;
  }
  auto tokenizer = lb::text::Tokenizer::FromMetadata((*file)->metadata());
  if (!tokenizer.has_value()) {
    std::cerr << tokenizer.error().message << "\n";
    return 1;
  }
  std::string line;
  while (std::getline(std::cin, line)) {
    std::string text;
    for (size_t i = 0; i + 1 < line.size(); i += 2) {
      text.push_back(static_cast<char>(HexDigit(line[i]) * 16 + HexDigit(line[i + 1])));
    }
    const auto ids = (*tokenizer)->Encode(text, false, false);
    Print(ids);
    std::cout << '|';
    Print((*tokenizer)->Encode(text, true, true));
    std::cout << '|';
    for (const unsigned char c : (*tokenizer)->Decode(ids, false)) {
      std::cout << "0123456789abcdef"[c >> 4] << "0123456789abcdef"[c & 15];
    }
    std::cout << '\n';
  }
}
