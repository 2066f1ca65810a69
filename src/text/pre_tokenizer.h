// Cuts text into the words that byte-pair merges may not cross. Which way is part of a model:
// tokenizer.ggml.pre names it.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/pattern.h"

namespace lb::text {

// One pass over the pieces that the pass before has left.
struct SplitStage {
  enum class How {
    kMatches,         // a piece per match of `pattern`, and per stretch between matches
    kTriples,         // runs of `pattern` (one set) in threes, counted from the right
    kTriplesOfWord,   // the same, but only for runs that no letter, mark, digit or "_" follows
  };
  const char* pattern;
  How how = How::kMatches;
};

// What a name of tokenizer.ggml.pre stands for. Facts of the models' own tokenizer.json files, in
// the form llama.cpp knows them by.
struct PreTokenizerSpec {
  std::vector<std::string_view> names;
  std::vector<SplitStage> stages;
  bool ignore_merges = false;  // a word that is a token is that token, whatever the merges say
  bool add_bos = false;        // where tokenizer.ggml.add_bos_token is missing
  // SentencePiece's dress over byte-pair merges: characters instead of bytes, U+2581 for a space,
  // byte tokens <0x00> for what has no token.
  bool sentencepiece_style = false;
};

// Every known one. The first is the default.
std::span<const PreTokenizerSpec> PreTokenizerSpecs();
// Null when unknown.
const PreTokenizerSpec* FindPreTokenizer(std::string_view name);

// Immutable after Create, thread-safe. Time is linear in the text.
class PreTokenizer {
 public:
  using WordSink = std::function<void(std::string_view)>;

  static Result<PreTokenizer> Create(const PreTokenizerSpec& spec);

  // Calls `sink` with each word in order; joined they are `text`. A byte that is not UTF-8 is part
  // of a word of such bytes only.
  void Split(std::string_view text, const WordSink& sink) const;

 private:
  struct Stage {
    SplitStage::How how;
    Pattern pattern;
    CharSet digits;
  };

  void Run(size_t stage, std::string_view piece, const WordSink& sink) const;
  void SplitTriples(size_t stage, std::string_view piece, const WordSink& sink) const;

  std::vector<Stage> stages_;
};

}  // namespace lb::text
