#include "text/pre_tokenizer.h"

#include <utility>

#include "base/utf8.h"

namespace lb::text {
namespace {

// \w of the tokenizers' regular expressions.
bool IsWordCharacter(char32_t c) {
  static const CharSet kWord = [] {
    std::string_view pattern = "[\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}]";
    return CharSet::Parse(&pattern).value();
  }();
  return kWord.Contains(c);
}

}  // namespace

const PreTokenizerSpec* FindPreTokenizer(std::string_view name) {
  for (const PreTokenizerSpec& spec : PreTokenizerSpecs()) {
    for (const std::string_view known : spec.names) {
      if (known == name) return &spec;
    }
  }
  return nullptr;
}

Result<PreTokenizer> PreTokenizer::Create(const PreTokenizerSpec& spec) {
  PreTokenizer splitter;
  for (const SplitStage& stage : spec.stages) {
    Stage made{stage.how, {}, {}};
    std::string_view pattern = stage.pattern;
    if (stage.how == SplitStage::How::kMatches) {
      LB_ASSIGN_OR_RETURN(made.pattern, Pattern::Parse(pattern));
    } else {
      LB_ASSIGN_OR_RETURN(made.digits, CharSet::Parse(&pattern));
    }
    splitter.stages_.push_back(std::move(made));
  }
  return splitter;
}

void PreTokenizer::Split(std::string_view text, const WordSink& sink) const {
  while (!text.empty()) {
    const size_t good = ValidUtf8Prefix(text);
    if (good > 0) Run(0, text.substr(0, good), sink);
    text.remove_prefix(good);
    size_t bad = 0;
    while (bad < text.size()) {
      const Utf8Char c = DecodeUtf8(text, bad);
      if (c.valid) break;
      bad += static_cast<size_t>(c.length);
    }
    if (bad > 0) sink(text.substr(0, bad));
    text.remove_prefix(bad);
  }
}

void PreTokenizer::Run(size_t stage, std::string_view piece, const WordSink& sink) const {
  if (stage == stages_.size()) {
    sink(piece);
  } else if (stages_[stage].how == SplitStage::How::kMatches) {
    stages_[stage].pattern.ForEachPiece(
        piece, [&](std::string_view part) { Run(stage + 1, part, sink); });
  } else {
    SplitTriples(stage, piece, sink);
  }
}

void PreTokenizer::SplitTriples(size_t stage, std::string_view piece,
                                const WordSink& sink) const {
  const bool at_word_end = stages_[stage].how == SplitStage::How::kTriplesOfWord;
  const CharSet& digits = stages_[stage].digits;
  const auto next = [&](size_t pos) {
    return pos + static_cast<size_t>(DecodeUtf8(piece, pos).length);
  };
  size_t gap = 0;
  size_t pos = 0;
  while (pos < piece.size()) {
    size_t end = pos;
    size_t count = 0;
    while (end < piece.size() && digits.Contains(DecodeUtf8(piece, end).code)) {
      end = next(end);
      ++count;
    }
    const bool whole = !at_word_end || end == piece.size() ||
                       !IsWordCharacter(DecodeUtf8(piece, end).code);
    if (count == 0) {
      pos = next(pos);
    } else if (!whole) {
      pos = end;
    } else {
      if (gap < pos) Run(stage + 1, piece.substr(gap, pos - gap), sink);
      while (pos < end) {
        size_t group_end = pos;
        for (size_t n = count % 3 != 0 ? count % 3 : 3; n > 0; --n, --count) {
          group_end = next(group_end);
        }
        Run(stage + 1, piece.substr(pos, group_end - pos), sink);
        pos = group_end;
      }
      gap = pos;
    }
  }
  if (gap < piece.size()) Run(stage + 1, piece.substr(gap), sink);
}

}  // namespace lb::text
