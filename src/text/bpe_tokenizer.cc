#include "text/bpe_tokenizer.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/utf8.h"
#include "text/byte_alphabet.h"

namespace lb::text {
namespace {

constexpr char kMerges[] = "tokenizer.ggml.merges";
// Longer ones are cut, as places in a stretch are 32 bits wide.
constexpr size_t kMaxStretchBytes = size_t{1} << 30;

std::string MarkSpaces(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  for (const char c : text) {
    if (c == ' ') {
      out += kSpaceMark;
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

BpeTokenizer::BpeTokenizer(std::unique_ptr<const Vocab> vocab, std::string model, std::string pre,
                           const PreTokenizerSpec& spec, PreTokenizer splitter)
    : VocabTokenizer(std::move(vocab), std::move(model), std::move(pre), false),
      characters_(spec.sentencepiece_style),
      ignore_merges_(spec.ignore_merges),
      splitter_(std::move(splitter)) {}

Result<std::unique_ptr<Tokenizer>> BpeTokenizer::Create(const gguf::Metadata& metadata,
                                                        const std::string& model) {
  LB_ASSIGN_OR_RETURN(const std::optional<std::string> named,
                      metadata.String("tokenizer.ggml.pre"));
  std::string pre = model == "gemma4" ? model : named.value_or("");
  const PreTokenizerSpec* spec = FindPreTokenizer(pre);
  if (spec == nullptr) {
    spec = &PreTokenizerSpecs().front();
    if (pre.empty()) {
      LogWarning("tokenizer: the file names no pre-tokenizer (tokenizer.ggml.pre), using \"default\"; "
                 "answers may be worse than the model's");
    } else {
      LogWarning("tokenizer: unknown pre-tokenizer \"{}\" (tokenizer.ggml.pre), using \"default\"; "
                 "answers may be worse than the model's", pre);
    }
    pre = "default";
  }
  VocabDefaults defaults;
  defaults.add_bos = spec->add_bos;
  defaults.force_add_bos = pre == "gemma4";
  LB_ASSIGN_OR_RETURN(Vocab vocab, Vocab::Load(metadata, defaults));
  LB_ASSIGN_OR_RETURN(PreTokenizer splitter, PreTokenizer::Create(*spec));
  std::unique_ptr<BpeTokenizer> tokenizer(
      new BpeTokenizer(std::make_unique<const Vocab>(std::move(vocab)), model, std::move(pre),
                       *spec, std::move(splitter)));
  tokenizer->LoadSymbols();
  tokenizer->LoadByteTokens();
  LB_RETURN_IF_ERROR(tokenizer->LoadMerges(metadata));
  LB_RETURN_IF_ERROR(tokenizer->CheckByteTokens());
  return std::unique_ptr<Tokenizer>(std::move(tokenizer));
}

// Control tokens have no symbol: no text may become one by merging. Nor have user-defined tokens
// of byte vocabularies, whose text is plain and not in the byte alphabet.
void BpeTokenizer::LoadSymbols() {
  const Vocab& tokens = vocab();
  symbols_.Reserve(static_cast<size_t>(tokens.size()) + 256, tokens.text_bytes() + 256);
  const auto add = [&](std::string_view text, TokenId id) {
    const uint32_t symbol = symbols_.Add(text);
    if (symbol == token_of_.size()) token_of_.push_back(id);
  };
  std::string bytes;
  for (TokenId id = 0; id < tokens.size(); ++id) {
    const TokenType type = tokens.Type(id);
    if (tokens.Text(id).empty() || type == TokenType::kControl || type == TokenType::kUnknown ||
        type == TokenType::kByte) {
      continue;
    }
    if (characters_) {
      add(tokens.Text(id), id);
    } else if (type != TokenType::kUserDefined) {
      bool spelled = true;
      bytes.clear();
      AppendBytesOfAlphabet(tokens.Text(id), &bytes, &spelled);
      if (spelled) add(bytes, id);
    }
  }
}

void BpeTokenizer::LoadByteTokens() {
  byte_token_.fill(-1);
  if (characters_) {
    for (TokenId id = 0; id < vocab().size(); ++id) {
      const int value = ByteTokenValue(vocab().Text(id));
      if (value >= 0) byte_token_[static_cast<size_t>(value)] = id;
    }
    return;
  }
  for (int byte = 0; byte < 256; ++byte) {
    const char text = static_cast<char>(byte);
    const uint32_t symbol = symbols_.Add(std::string_view(&text, 1));
    if (symbol == token_of_.size()) token_of_.push_back(-1);
    byte_symbol_[static_cast<size_t>(byte)] = symbol;
    byte_token_[static_cast<size_t>(byte)] = token_of_[symbol];
  }
}

Result<void> BpeTokenizer::LoadMerges(const gguf::Metadata& metadata) {
  LB_ASSIGN_OR_RETURN(const std::vector<std::string>* const merges,
                      metadata.StringArray(kMerges));
  if (merges == nullptr) return Fail(ErrorCode::kCorrupt, "{} is missing", kMerges);
  if (merges->size() >= Merge::kNever) {
    return Fail(ErrorCode::kUnsupported, "{}: {} merges", kMerges, merges->size());
  }
  merges_ = MergeTable(merges->size());
  const auto symbol = [&](std::string_view text) {
    const uint32_t found = symbols_.Add(text);
    if (found == token_of_.size()) token_of_.push_back(-1);
    return found;
  };
  std::string bytes[2];
  for (size_t rank = 0; rank < merges->size(); ++rank) {
    const std::string_view line = (*merges)[rank];
    const size_t space = line.find(' ', 1);
    if (space == line.npos) {
      return Fail(ErrorCode::kCorrupt, "{}: entry {} is not two texts with a space between",
                  kMerges, rank);
    }
    const std::string_view parts[2] = {line.substr(0, space), line.substr(space + 1)};
    uint32_t part_symbols[2];
    for (size_t i = 0; i < 2; ++i) {
      bytes[i].clear();
      if (characters_) {
        bytes[i] = parts[i];
      } else {
        AppendBytesOfAlphabet(parts[i], &bytes[i]);
      }
      part_symbols[i] = symbol(bytes[i]);
    }
    if (characters_ && !bytes[0].empty() && !bytes[1].empty()) {
      joins_.Add(DecodeUtf8(bytes[0], PreviousUtf8(bytes[0], bytes[0].size())).code, DecodeUtf8(bytes[1], 0).code);
    }
    merges_.Add(part_symbols[0], part_symbols[1],
                {static_cast<uint32_t>(rank), symbol(bytes[0].append(bytes[1]))});
  }
  return {};
}

// A vocabulary may lack bytes that its training text did not hold; U+FFFD stands for characters
// made of them. Without the bytes of plain ASCII it is no byte-level vocabulary.
Result<void> BpeTokenizer::CheckByteTokens() {
  if (characters_) return {};
  for (size_t byte = 0; byte < 256; ++byte) {
    if (byte_token_[byte] >= 0) continue;
    lacks_bytes_ = true;
    if (byte >= 0x20 && byte < 0x7F) {
      return Fail(ErrorCode::kCorrupt, "tokenizer.ggml.tokens: no token for the byte {:#04x}",
                  byte);
    }
  }
  return {};
}

// Where `text` has bytes without a token: the same with U+FFFD for each such character.
std::string BpeTokenizer::Spellable(std::string_view text) const {
  const auto spelled = [&](std::string_view bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [&](char c) {
      return byte_token_[static_cast<unsigned char>(c)] >= 0;
    });
  };
  std::string out;
  if (spelled(text)) return out;
  const std::string_view mark = spelled("\xEF\xBF\xBD") ? "\xEF\xBF\xBD" : "?";
  for (size_t pos = 0; pos < text.size();) {
    const std::string_view c = text.substr(pos, static_cast<size_t>(DecodeUtf8(text, pos).length));
    out += spelled(c) ? c : mark;
    pos += c.size();
  }
  return out;
}

void BpeTokenizer::EncodeText(std::string_view text, std::vector<TokenId>* ids) const {
  SymbolMerger merger;
  std::string changed;
  if (characters_) {
    changed = MarkSpaces(text);
  } else if (lacks_bytes_) {
    changed = Spellable(text);
  }
  if (!changed.empty()) text = changed;
  splitter_.Split(text, [&](std::string_view word) { EncodeWord(word, &merger, ids); });
}

void BpeTokenizer::EncodeWord(std::string_view word, SymbolMerger* merger,
                              std::vector<TokenId>* ids) const {
  // Gemma 4's merges do not build its tokens of several new lines.
  const bool whole = ignore_merges_ || (characters_ && word.starts_with('\n'));
  if (whole) {
    const uint32_t symbol = symbols_.Find(word);
    if (symbol != StringTable::kNone && token_of_[symbol] >= 0) {
      ids->push_back(token_of_[symbol]);
      return;
    }
  }
  for (size_t begin = 0; begin < word.size();) {
    size_t end = std::min(word.size(), begin + kMaxStretchBytes);
    if (characters_) end = std::min(end, joins_.StretchEnd(word, begin));
    EncodeStretch(word.substr(begin, end - begin), merger, ids);
    begin = end;
  }
}

void BpeTokenizer::EncodeStretch(std::string_view text, SymbolMerger* merger,
                                 std::vector<TokenId>* ids) const {
  std::vector<Symbol>& symbols = merger->symbols();
  symbols.clear();
  if (characters_) {
    for (size_t pos = 0; pos < text.size();) {
      const auto length = static_cast<size_t>(DecodeUtf8(text, pos).length);
      symbols.push_back({symbols_.Find(text.substr(pos, length)), static_cast<uint32_t>(pos)});
      pos += length;
    }
  } else {
    for (size_t pos = 0; pos < text.size(); ++pos) {
      symbols.push_back({byte_symbol_[static_cast<unsigned char>(text[pos])],
                         static_cast<uint32_t>(pos)});
    }
  }
  const auto text_end = static_cast<uint32_t>(text.size());
  merger->Run(text_end, [&](const Symbol& left, const Symbol& right, uint32_t) {
    return merges_.Find(left.id, right.id);
  });
  for (size_t i = 0; i < symbols.size(); ++i) {
    const uint32_t id = symbols[i].id;
    if (id != StringTable::kNone && token_of_[id] >= 0) {
      ids->push_back(token_of_[id]);
    } else {
      const uint32_t end = i + 1 < symbols.size() ? symbols[i + 1].begin : text_end;
      AppendBytes(text.substr(symbols[i].begin, end - symbols[i].begin), ids);
    }
  }
}

void BpeTokenizer::AppendBytes(std::string_view bytes, std::vector<TokenId>* ids) const {
  for (const char c : bytes) {
    const TokenId id = byte_token_[static_cast<unsigned char>(c)];
    if (id >= 0) {
      ids->push_back(id);
    } else {
      AppendUnknown(ids);
    }
  }
}

std::string BpeTokenizer::NormalBytes(TokenId id) const {
  const std::string_view text = vocab().Text(id);
  if (!characters_) {
    std::string bytes;
    AppendBytesOfAlphabet(text, &bytes);
    return bytes;
  }
  if (vocab().Type(id) == TokenType::kByte) {
    const int value = ByteTokenValue(text);
    return value >= 0 ? std::string(1, static_cast<char>(value)) : std::string();
  }
  return UnmarkSpaces(text);
}

}  // namespace lb::text
