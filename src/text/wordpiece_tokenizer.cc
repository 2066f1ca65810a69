#include "text/wordpiece_tokenizer.h"

#include <utf8proc.h>

#include <utility>

#include "base/utf8.h"

namespace lb::text {
namespace {

constexpr int kMaxWordCharacters = 100;  // longer words are unknown, as BERT's own code has it

CharSet MakeSet(std::string_view pattern) { return CharSet::Parse(&pattern).value(); }

// The ideographs that BERT makes words of. (2B920: the number in the code that trained models.)
bool IsIdeograph(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

}  // namespace

WordPieceTokenizer::WordPieceTokenizer(std::unique_ptr<const Vocab> vocab, std::string pre,
                                       bool lowercase, bool strip_accents)
    : VocabTokenizer(std::move(vocab), "bert", std::move(pre), true),
      lowercase_(lowercase),
      strip_accents_(strip_accents),
      punctuation_(MakeSet("[!-/:-@\\[-`{-~\\p{P}]")),
      ignored_(MakeSet("[\\x{0}\\x{FFFD}\\p{Cc}\\p{Cf}\\p{Co}]")),
      accents_(MakeSet("\\p{Mn}")) {}

Result<std::unique_ptr<Tokenizer>> WordPieceTokenizer::Create(const gguf::Metadata& metadata) {
  VocabDefaults defaults;
  LB_ASSIGN_OR_RETURN(const auto cls, metadata.Int("tokenizer.ggml.cls_token_id"));
  defaults.bos = static_cast<TokenId>(cls.value_or(101));
  defaults.unk = 100;
  defaults.sep = 102;
  defaults.pad = 0;
  defaults.mask = 103;
  defaults.add_bos = defaults.add_sep = true;
  LB_ASSIGN_OR_RETURN(Vocab vocab, Vocab::Load(metadata, defaults));
  if (vocab.special().unk < 0) {
    return Fail(ErrorCode::kCorrupt, "tokenizer.ggml.unknown_token_id is missing");
  }
  LB_ASSIGN_OR_RETURN(const auto lowercase, metadata.Bool("tokenizer.ggml.normalizer.lowercase"));
  LB_ASSIGN_OR_RETURN(const auto strip,
                      metadata.Bool("tokenizer.ggml.normalizer.strip_accents"));
  LB_ASSIGN_OR_RETURN(const auto pre, metadata.String("tokenizer.ggml.pre"));
  std::unique_ptr<WordPieceTokenizer> tokenizer(new WordPieceTokenizer(
      std::make_unique<const Vocab>(std::move(vocab)), pre.value_or("default"),
      lowercase.value_or(true), strip.value_or(lowercase.value_or(true))));
  const Vocab& tokens = tokenizer->vocab();
  std::vector<std::pair<std::string_view, int32_t>> entries;
  for (TokenId id = 0; id < tokens.size(); ++id) {
    if (tokens.Type(id) != TokenType::kControl && tokens.Type(id) != TokenType::kUnknown) {
      entries.emplace_back(tokens.Text(id), id);
    }
  }
  tokenizer->pieces_ = Trie(std::move(entries));
  return std::unique_ptr<Tokenizer>(std::move(tokenizer));
}

void WordPieceTokenizer::EncodeText(std::string_view text, std::vector<TokenId>* ids) const {
  Word word;
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = DecodeUtf8(text, pos);
    pos += static_cast<size_t>(c.length);
    if (IsUnicodeSpace(c.code)) {
      FinishWord(&word, ids);
    } else if (ignored_.Contains(c.code)) {
      continue;
    } else if (IsIdeograph(c.code)) {
      FinishWord(&word, ids);
      AppendCharacter(c.code, &word, ids);
      FinishWord(&word, ids);
    } else {
      AppendCharacter(c.code, &word, ids);
    }
  }
  FinishWord(&word, ids);
}

void WordPieceTokenizer::AppendCharacter(char32_t c, Word* word,
                                         std::vector<TokenId>* ids) const {
  utf8proc_int32_t parts[32] = {static_cast<utf8proc_int32_t>(c)};
  utf8proc_ssize_t count = 1;
  if (strip_accents_ && c >= 0x80) {
    count = utf8proc_decompose_char(parts[0], parts, 32,
                                    static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE), nullptr);
    if (count < 1 || count > 32) {
      parts[0] = static_cast<utf8proc_int32_t>(c);
      count = 1;
    }
  }
  for (utf8proc_ssize_t i = 0; i < count; ++i) {
    auto part = static_cast<char32_t>(parts[i]);
    if (strip_accents_ && accents_.Contains(part)) continue;
    if (lowercase_) part = static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(part)));
    const bool alone = punctuation_.Contains(part);
    if (alone) FinishWord(word, ids);
    AppendUtf8(part, &word->bytes);
    ++word->characters;
    if (alone) FinishWord(word, ids);
  }
}

void WordPieceTokenizer::FinishWord(Word* word, std::vector<TokenId>* ids) const {
  if (word->characters == 0) return;
  const size_t before = ids->size();
  const std::string_view bytes = word->bytes;
  bool known = word->characters <= kMaxWordCharacters;
  for (size_t pos = 0; known && pos < bytes.size();) {
    TokenId piece = -1;
    size_t length = 0;
    pieces_.ForEachPrefix(bytes.substr(pos), [&](size_t prefix, int32_t id) {
      piece = id;
      length = prefix;
    });
    known = piece >= 0;
    if (known) ids->push_back(piece);
    pos += length;
  }
  if (!known) {
    ids->resize(before);
    ids->push_back(special().unk);
  }
  word->bytes.resize(kSpaceMark.size());
  word->characters = 0;
}

std::string WordPieceTokenizer::NormalBytes(TokenId id) const {
  return UnmarkSpaces(vocab().Text(id));
}

}  // namespace lb::text
