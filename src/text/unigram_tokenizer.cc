#include "text/unigram_tokenizer.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/utf8.h"

namespace lb::text {
namespace {

constexpr double kUnknownPenalty = 10.0;  // below the lowest score: SentencePiece's constant
// From this length on a text is cut where it can be, to bound memory (24 bytes per byte of text).
// Shorter ones are scored as one sum.
constexpr size_t kCutBytes = 64 << 10;
constexpr double kUnreached = -std::numeric_limits<double>::infinity();

}  // namespace

UnigramTokenizer::UnigramTokenizer(std::unique_ptr<const Vocab> vocab, std::string pre,
                                   Options options, Charsmap charsmap)
    : VocabTokenizer(std::move(vocab), "t5", std::move(pre), options.add_space_prefix),
      options_(options),
      charsmap_(std::move(charsmap)) {}

Result<std::unique_ptr<Tokenizer>> UnigramTokenizer::Create(const gguf::Metadata& metadata) {
  VocabDefaults defaults;
  defaults.eos = 1;
  defaults.unk = 2;
  defaults.pad = 0;
  defaults.add_eos = true;
  LB_ASSIGN_OR_RETURN(Vocab vocab, Vocab::Load(metadata, defaults));
  if (vocab.special().unk < 0) {
    return Fail(ErrorCode::kCorrupt, "tokenizer.ggml.unknown_token_id is missing");
  }
  if (metadata.Find("tokenizer.ggml.scores") == nullptr) {
    return Fail(ErrorCode::kCorrupt, "tokenizer.ggml.scores is missing");
  }
  Options options;
  LB_ASSIGN_OR_RETURN(const auto prefix, metadata.Bool("tokenizer.ggml.add_space_prefix"));
  LB_ASSIGN_OR_RETURN(const auto remove,
                      metadata.Bool("tokenizer.ggml.remove_extra_whitespaces"));
  LB_ASSIGN_OR_RETURN(const auto pre, metadata.String("tokenizer.ggml.pre"));
  options.add_space_prefix = prefix.value_or(true);
  options.remove_extra_spaces = remove.value_or(false);
  Charsmap charsmap;
  LB_ASSIGN_OR_RETURN(const auto* const bytes,
                      metadata.IntArray("tokenizer.ggml.precompiled_charsmap"));
  if (bytes != nullptr) {
    LB_ASSIGN_OR_RETURN(charsmap, Charsmap::Parse(*bytes));
  }
  std::unique_ptr<UnigramTokenizer> tokenizer(
      new UnigramTokenizer(std::make_unique<const Vocab>(std::move(vocab)),
                           pre.value_or("default"), options, std::move(charsmap)));
  tokenizer->LoadTokens();
  return std::unique_ptr<Tokenizer>(std::move(tokenizer));
}

void UnigramTokenizer::LoadTokens() {
  std::vector<std::pair<std::string_view, int32_t>> entries;
  double lowest = 0;
  byte_token_.fill(-1);
  for (TokenId id = 0; id < vocab().size(); ++id) {
    const TokenType type = vocab().Type(id);
    // User-defined tokens are always worth taking.
    const bool user_defined = type == TokenType::kUserDefined;
    score_.push_back(user_defined ? 0.0 : static_cast<double>(vocab().Score(id)));
    if (type == TokenType::kNormal) lowest = std::min(lowest, score_.back());
    if (type == TokenType::kNormal || user_defined || type == TokenType::kUnused) {
      entries.emplace_back(vocab().Text(id), id);
    }
    const int value = type == TokenType::kByte ? ByteTokenValue(vocab().Text(id)) : -1;
    if (value >= 0) byte_token_[static_cast<size_t>(value)] = id;
  }
  unknown_score_ = lowest - kUnknownPenalty;
  has_bytes_ = std::count(byte_token_.begin(), byte_token_.end(), -1) == 0;
  tokens_ = Trie(std::move(entries));
}

std::string UnigramTokenizer::Normalize(std::string_view text) const {
  std::string out;
  out.reserve(text.size() + text.size() / 2 + kSpaceMark.size());
  bool in_word = false;
  bool started = false;
  const auto put = [&](std::string_view bytes) {
    for (const char c : bytes) {
      if (c == ' ') {
        in_word = false;
        if (!options_.remove_extra_spaces) out += kSpaceMark;
        continue;
      }
      if (!in_word && (started ? options_.remove_extra_spaces : options_.add_space_prefix)) {
        out += kSpaceMark;
      }
      in_word = started = true;
      out += c;
    }
  };
  while (!text.empty()) {
    const Charsmap::Match match = charsmap_.Longest(text);
    if (match.length > 0) {
      put(match.replacement);
      text.remove_prefix(match.length);
      continue;
    }
    const Utf8Char c = DecodeUtf8(text, 0);
    const size_t length = c.valid ? static_cast<size_t>(c.length) : 1;
    // Bytes that are no character can only be kept where there are tokens for bytes.
    put(c.valid || has_bytes_ ? text.substr(0, length) : std::string_view("\xEF\xBF\xBD"));
    text.remove_prefix(length);
  }
  return out;
}

void UnigramTokenizer::EncodeText(std::string_view text, std::vector<TokenId>* ids) const {
  const std::string normalized = Normalize(text);
  std::string_view rest = normalized;
  std::vector<Step> steps{{0.0, 0, -1}};
  size_t pos = 0;
  const auto reach = [&](size_t end, double score, TokenId token) {
    if (end >= steps.size()) steps.resize(end + 1, {kUnreached, 0, -1});
    if (score > steps[end].score) steps[end] = {score, static_cast<uint32_t>(pos), token};
  };
  while (pos < rest.size()) {
    const Utf8Char c = DecodeUtf8(rest, pos);
    const size_t length = c.valid ? static_cast<size_t>(c.length) : 1;
    const double score = steps[pos].score;
    bool single = false;
    tokens_.ForEachPrefix(rest.substr(pos), [&](size_t bytes, int32_t token) {
      single = single || bytes == length;
      reach(pos + bytes, score + score_[static_cast<size_t>(token)], token);
    });
    if (!single) reach(pos + length, score + unknown_score_, special().unk);
    pos += length;
    const bool nothing_reaches_over = steps.size() == pos + 1;
    if (pos >= kCutBytes && nothing_reaches_over) {
      AppendBest(rest.substr(0, pos), steps, ids);
      rest.remove_prefix(pos);
      steps.assign(1, {0.0, 0, -1});
      pos = 0;
    }
  }
  if (!rest.empty()) AppendBest(rest, steps, ids);
}

void UnigramTokenizer::AppendBest(std::string_view text, const std::vector<Step>& steps,
                                  std::vector<TokenId>* ids) const {
  std::vector<uint32_t> ends;  // of the best cut's tokens, from the last to the first
  for (size_t end = text.size(); end > 0; end = steps[end].from) {
    ends.push_back(static_cast<uint32_t>(end));
  }
  bool after_unknown = false;
  for (auto end = ends.rbegin(); end != ends.rend(); ++end) {
    const Step& step = steps[*end];
    const bool unknown = step.token == special().unk;
    if (unknown) {
      AppendUnknownText(text.substr(step.from, *end - step.from), after_unknown, ids);
    } else {
      ids->push_back(step.token);
    }
    after_unknown = unknown;
  }
}

// A run of unknown characters is one unknown token.
void UnigramTokenizer::AppendUnknownText(std::string_view text, bool after_unknown,
                                         std::vector<TokenId>* ids) const {
  if (has_bytes_) {
    for (const char c : text) ids->push_back(byte_token_[static_cast<unsigned char>(c)]);
  } else if (!after_unknown) {
    AppendUnknown(ids);
  }
}

std::string UnigramTokenizer::NormalBytes(TokenId id) const {
  const std::string_view text = vocab().Text(id);
  if (vocab().Type(id) != TokenType::kByte) return UnmarkSpaces(text);
  const int value = ByteTokenValue(text);
  return value >= 0 ? std::string(1, static_cast<char>(value)) : std::string();
}

}  // namespace lb::text
