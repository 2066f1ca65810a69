#include "text/vocab_tokenizer.h"

#include <algorithm>
#include <utility>

namespace lb::text {
namespace {

constexpr size_t kCacheBytes = size_t{8} << 20;
constexpr size_t kLeastCached = 256;  // bytes: shorter ones are tokenized in a few microseconds

}  // namespace

VocabTokenizer::VocabTokenizer(std::unique_ptr<const Vocab> vocab, std::string model,
                               std::string pre, bool prefixes_space)
    : vocab_(std::move(vocab)),
      matcher_(*vocab_),
      model_(std::move(model)),
      pre_(std::move(pre)),
      prefixes_space_(prefixes_space),
      cache_(kCacheBytes) {}

std::vector<TokenId> VocabTokenizer::Encode(std::span<const TextSpan> spans,
                                            bool add_special) const {
  // The spans as one text, so that a word may begin in one and end in the next; what is kept of
  // their bounds is where control tokens may be.
  std::string joined;
  std::string_view text;
  std::vector<SpecialRange> ranges;
  size_t pos = 0;
  for (const TextSpan& span : spans) {
    const size_t end = pos + span.text.size();
    if (span.special && end > pos) {
      if (!ranges.empty() && ranges.back().end == pos) {
        ranges.back().end = end;
      } else {
        ranges.push_back({pos, end});
      }
    }
    pos = end;
  }
  if (spans.size() == 1) {
    text = spans[0].text;
  } else {
    joined.reserve(pos);
    for (const TextSpan& span : spans) joined += span.text;
    text = joined;
  }

  const SpecialTokens& special = vocab_->special();
  const std::vector<Fragment> fragments = matcher_.Partition(text, ranges);
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 3 + 4);
  const bool has_bos = !fragments.empty() && fragments.front().token >= 0 &&
                       fragments.front().token == special.bos;
  if (add_special && special.add_bos && !has_bos) ids.push_back(special.bos);
  const auto is_control = [&](const Fragment& f) { return f.token >= 0 && vocab_->Type(f.token) != TokenType::kUserDefined; };
  for (auto at = fragments.begin(); at != fragments.end();) {
    if (is_control(*at)) {
      ids.push_back((at++)->token);
      continue;
    }
    const auto end = std::find_if(at, fragments.end(), is_control);
    EncodeStretch(std::span(at, end), &ids);
    at = end;
  }
  // BERT ends in a separator; in other models that token only stands between two texts.
  const TokenId last = special.add_eos                             ? special.eos
                       : special.add_sep && model_ == "bert" ? special.sep
                                                                   : -1;
  const bool has_last = !fragments.empty() && fragments.back().token == last;
  if (add_special && last >= 0 && !has_last) ids.push_back(last);
  return ids;
}

// Where no control token is, what is matched and what comes of it follows from the text alone, wherever it stands.
void VocabTokenizer::EncodeStretch(std::span<const Fragment> fragments, std::vector<TokenId>* ids) const {
  const char* begin = fragments.front().text.data();
  const std::string_view stretch(begin, static_cast<size_t>(fragments.back().text.data() + fragments.back().text.size() - begin));
  const bool cached = stretch.size() >= kLeastCached;
  if (cached && cache_.Find(stretch, ids)) return;
  const size_t before = ids->size();
  for (const Fragment& fragment : fragments) {
    if (fragment.token >= 0) {
      ids->push_back(fragment.token);
    } else {
      EncodeText(fragment.text, ids);
    }
  }
  if (cached) cache_.Add(stretch, std::span(*ids).subspan(before));
}

std::string VocabTokenizer::TokenBytes(TokenId id, bool special) const {
  switch (Type(id)) {
    case TokenType::kControl:
    case TokenType::kUnknown:
      return special ? std::string(TokenText(id)) : std::string();
    case TokenType::kUserDefined:
      // SentencePiece files list runs of spaces as user-defined, in their own spelling.
      return model_ == "gpt2" ? std::string(TokenText(id)) : UnmarkSpaces(TokenText(id));
    case TokenType::kNormal:
    case TokenType::kUnused:
    case TokenType::kByte: break;
  }
  return vocab_->Has(id) ? NormalBytes(id) : std::string();
}

std::string VocabTokenizer::Decode(std::span<const TokenId> ids, bool special) const {
  std::string text;
  bool drop_space = prefixes_space_;
  for (const TokenId id : ids) {
    const TokenType type = Type(id);
    if (type == TokenType::kControl || type == TokenType::kUserDefined ||
        type == TokenType::kUnknown) {
      text += TokenBytes(id, special);
      drop_space = prefixes_space_;
      continue;
    }
    const std::string bytes = TokenBytes(id, special);
    text += drop_space && bytes.starts_with(' ') ? std::string_view(bytes).substr(1) : bytes;
    drop_space = drop_space && bytes.empty();
  }
  return text;
}

void VocabTokenizer::AppendUnknown(std::vector<TokenId>* ids) const {
  if (special().unk >= 0) ids->push_back(special().unk);
}

int ByteTokenValue(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  int value = 0;
  for (const char c : text.substr(3, 2)) {
    const auto digit = std::string_view("0123456789ABCDEF").find(c);
    if (digit == std::string_view::npos) return -1;
    value = value * 16 + static_cast<int>(digit);
  }
  return value;
}

std::string UnmarkSpaces(std::string_view text) {
  std::string out;
  while (true) {
    const size_t at = text.find(kSpaceMark);
    out += text.substr(0, at);
    if (at == text.npos) return out;
    out += ' ';
    text.remove_prefix(at + kSpaceMark.size());
  }
}

}  // namespace lb::text
