#include "text/special_matcher.h"

#include <utility>

namespace lb::text {
namespace {

bool IsAsciiSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

SpecialMatcher::SpecialMatcher(const Vocab& vocab) : vocab_(vocab) {
  std::vector<std::pair<std::string_view, int32_t>> entries;
  for (TokenId id = 0; id < vocab.size(); ++id) {
    const TokenType type = vocab.Type(id);
    if (type == TokenType::kControl || type == TokenType::kUserDefined ||
        type == TokenType::kUnknown) {
      entries.emplace_back(vocab.Text(id), id);
    }
  }
  trie_ = Trie(std::move(entries));
}

std::vector<Fragment> SpecialMatcher::Partition(std::string_view text,
                                                const std::vector<SpecialRange>& ranges) const {
  std::vector<Fragment> fragments;
  size_t range = 0;  // the first that ends behind `pos`
  size_t begin = 0;  // of the text fragment that is open
  size_t pos = 0;
  while (pos < text.size()) {
    if (!trie_.HasFirst(static_cast<unsigned char>(text[pos]))) {
      ++pos;
      continue;
    }
    while (range < ranges.size() && ranges[range].end <= pos) ++range;
    const bool special = range < ranges.size() && ranges[range].begin <= pos;
    const size_t special_end = special ? ranges[range].end : pos;
    TokenId token = -1;
    size_t length = 0;
    trie_.ForEachPrefix(text.substr(pos), [&](size_t prefix, int32_t id) {
      if (vocab_.Type(id) != TokenType::kUserDefined && pos + prefix > special_end) return;
      token = id;
      length = prefix;
    });
    if (token < 0) {
      ++pos;
      continue;
    }
    size_t left_end = pos;
    if (vocab_.StripsLeft(token)) {
      while (left_end > begin && IsAsciiSpace(text[left_end - 1])) --left_end;
    }
    if (begin < left_end) fragments.push_back({text.substr(begin, left_end - begin), -1});
    fragments.push_back({text.substr(pos, length), token});
    pos += length;
    if (vocab_.StripsRight(token)) {
      while (pos < text.size() && IsAsciiSpace(text[pos])) ++pos;
    }
    begin = pos;
  }
  if (begin < text.size()) fragments.push_back({text.substr(begin), -1});
  return fragments;
}

}  // namespace lb::text
