#include "text/spm_tokenizer.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/utf8.h"

namespace lb::text {
namespace {

// Longer ones are cut, as places in a stretch are 32 bits wide.
constexpr size_t kMaxStretchBytes = size_t{1} << 30;

}  // namespace

SpmTokenizer::SpmTokenizer(std::unique_ptr<const Vocab> vocab, std::string pre,
                           bool add_space_prefix)
    : VocabTokenizer(std::move(vocab), "llama", std::move(pre), add_space_prefix),
      add_space_prefix_(add_space_prefix) {}

Result<std::unique_ptr<Tokenizer>> SpmTokenizer::Create(const gguf::Metadata& metadata) {
  VocabDefaults defaults;
  defaults.bos = 1;
  defaults.eos = 2;
  defaults.unk = 0;
  defaults.add_bos = true;
  LB_ASSIGN_OR_RETURN(Vocab vocab, Vocab::Load(metadata, defaults));
  LB_ASSIGN_OR_RETURN(const auto prefix, metadata.Bool("tokenizer.ggml.add_space_prefix"));
  LB_ASSIGN_OR_RETURN(const auto pre, metadata.String("tokenizer.ggml.pre"));
  if (metadata.Find("tokenizer.ggml.scores") == nullptr) {
    return Fail(ErrorCode::kCorrupt, "tokenizer.ggml.scores is missing");
  }
  std::unique_ptr<SpmTokenizer> tokenizer(
      new SpmTokenizer(std::make_unique<const Vocab>(std::move(vocab)), pre.value_or("default"),
                       prefix.value_or(true)));
  tokenizer->LoadSymbols();
  tokenizer->LoadByteTokens();
  LB_RETURN_IF_ERROR(tokenizer->CheckByteTokens());
  return std::unique_ptr<Tokenizer>(std::move(tokenizer));
}

// Control, unknown and byte tokens have no symbol: text that spells one is no such token.
void SpmTokenizer::LoadSymbols() {
  const Vocab& tokens = vocab();
  symbols_.Reserve(static_cast<size_t>(tokens.size()), tokens.text_bytes());
  for (TokenId id = 0; id < tokens.size(); ++id) {
    const TokenType type = tokens.Type(id);
    if (tokens.Text(id).empty() || type == TokenType::kControl || type == TokenType::kUnknown ||
        type == TokenType::kByte) {
      continue;
    }
    if (symbols_.Add(tokens.Text(id)) == token_of_.size()) {
      token_of_.push_back(id);
      longest_ = std::max(longest_, tokens.Text(id).size());
      joins_.AddToken(tokens.Text(id));
    }
  }
  std::vector<uint32_t> order(token_of_.size());
  std::iota(order.begin(), order.end(), 0u);
  const auto score = [&](uint32_t symbol) { return tokens.Score(token_of_[symbol]); };
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return score(a) > score(b); });
  rank_of_.resize(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    const bool tie = i > 0 && score(order[i]) == score(order[i - 1]);
    rank_of_[order[i]] = tie ? rank_of_[order[i - 1]] : static_cast<uint32_t>(i);
  }
}

void SpmTokenizer::LoadByteTokens() {
  byte_token_.fill(-1);
  for (TokenId id = 0; id < vocab().size(); ++id) {
    const int value = ByteTokenValue(vocab().Text(id));
    if (value >= 0 && vocab().Type(id) == TokenType::kByte) {
      byte_token_[static_cast<size_t>(value)] = id;
    }
  }
  for (size_t byte = 0; byte < 256; ++byte) {  // or the byte itself is a token
    const char text = static_cast<char>(byte);
    const uint32_t symbol = symbols_.Find(std::string_view(&text, 1));
    if (byte_token_[byte] < 0 && symbol != StringTable::kNone) {
      byte_token_[byte] = token_of_[symbol];
    }
  }
}

Result<void> SpmTokenizer::CheckByteTokens() const {
  const auto missing = std::count(byte_token_.begin(), byte_token_.end(), -1);
  if (missing > 0 && special().unk < 0) {
    return Fail(ErrorCode::kCorrupt,
                "tokenizer.ggml.tokens: no token for {} of 256 byte values, and no unknown token",
                missing);
  }
  return {};
}

void SpmTokenizer::EncodeText(std::string_view text, std::vector<TokenId>* ids) const {
  std::string marked;
  marked.reserve(text.size() + text.size() / 2);
  if (add_space_prefix_) marked += kSpaceMark;
  for (const char c : text) {
    if (c == ' ') {
      marked += kSpaceMark;
    } else {
      marked += c;
    }
  }
  SymbolMerger merger;
  for (size_t begin = 0; begin < marked.size();) {
    const size_t end = std::min(joins_.StretchEnd(marked, begin), begin + kMaxStretchBytes);
    EncodeStretch(std::string_view(marked).substr(begin, end - begin), &merger, ids);
    begin = end;
  }
}

void SpmTokenizer::EncodeStretch(std::string_view text, SymbolMerger* merger,
                                 std::vector<TokenId>* ids) const {
  std::vector<Symbol>& symbols = merger->symbols();
  symbols.clear();
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = DecodeUtf8(text, pos);
    const size_t length = c.valid ? static_cast<size_t>(c.length) : 1;
    symbols.push_back({symbols_.Find(text.substr(pos, length)), static_cast<uint32_t>(pos)});
    pos += length;
  }
  const auto text_end = static_cast<uint32_t>(text.size());
  merger->Run(text_end, [&](const Symbol& left, const Symbol&, uint32_t end) {
    if (end - left.begin > longest_) return Merge{};
    const uint32_t symbol = symbols_.Find(text.substr(left.begin, end - left.begin));
    return symbol == StringTable::kNone ? Merge{} : Merge{rank_of_[symbol], symbol};
  });
  for (size_t i = 0; i < symbols.size(); ++i) {
    if (symbols[i].id != StringTable::kNone) {
      ids->push_back(token_of_[symbols[i].id]);
      continue;
    }
    const uint32_t end = i + 1 < symbols.size() ? symbols[i + 1].begin : text_end;
    const std::string_view bytes = text.substr(symbols[i].begin, end - symbols[i].begin);
    const bool spelled = std::all_of(bytes.begin(), bytes.end(), [&](char c) {
      return byte_token_[static_cast<unsigned char>(c)] >= 0;
    });
    if (!spelled) {
      AppendUnknown(ids);  // CheckByteTokens saw to it
      continue;
    }
    for (const char c : bytes) ids->push_back(byte_token_[static_cast<unsigned char>(c)]);
  }
}

std::string SpmTokenizer::NormalBytes(TokenId id) const {
  const std::string_view text = vocab().Text(id);
  if (vocab().Type(id) != TokenType::kByte) return UnmarkSpaces(text);
  const int value = ByteTokenValue(text);
  return value >= 0 ? std::string(1, static_cast<char>(value)) : std::string();
}

}  // namespace lb::text
