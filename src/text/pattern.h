// The subset of regular expressions that pre-tokenizers are written in, matched in linear time on
// a bounded stack: a backtracking engine needs a stack frame per character for some of them, or
// quadratic time, and a pasted log of a million blank lines then ends the process (case C17).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/utf8.h"
#include "text/char_set.h"

namespace lb::text {

// Alternatives of sequences of atoms. An atom is a CharSet, (?:...), (?!set) or $ (end of the
// text), each set and group with ?, *, +, {n} or {m,n}. First alternative that matches wins and
// repeats are greedy, as in Perl; but a group never gives back what it took, so it may only stand
// last in its sequence (Parse refuses others).
//
// Time: a repeat gives back characters only within its own run, and each alternative that begins
// with an unbounded repeat is asked once per run: if it fails at a place it fails everywhere in the
// rest of the run. Depth of calls: the number of atoms.
class Pattern {
 public:
  static Result<Pattern> Parse(std::string_view text);

  // Calls `piece(std::string_view)` for each match and for each stretch between matches, in
  // order; joined they are `text`, which must be well-formed UTF-8. Empty matches are not seen.
  template <typename F>
  void ForEachPiece(std::string_view text, F&& piece) const {
    FailedRuns failed{};
    size_t gap = 0;  // start of what no match has taken yet
    size_t pos = 0;
    while (pos < text.size()) {
      const size_t end = MatchAt(text, pos, &failed);
      if (end == kNone || end == pos) {
        pos += static_cast<size_t>(DecodeUtf8(text, pos).length);
        continue;
      }
      if (gap < pos) piece(text.substr(gap, pos - gap));
      piece(text.substr(pos, end - pos));
      gap = pos = end;
    }
    if (gap < text.size()) piece(text.substr(gap));
  }

 private:
  static constexpr size_t kNone = static_cast<size_t>(-1);
  static constexpr size_t kMaxAlternatives = 16;
  static constexpr uint32_t kUnbounded = static_cast<uint32_t>(-1);

  struct Atom;
  using Sequence = std::vector<Atom>;
  struct Atom {
    enum class Kind { kSet, kGroup, kNotAhead, kEnd } kind = Kind::kSet;
    CharSet set;
    std::vector<Sequence> group;
    uint32_t min = 1, max = 1;
  };
  // Per alternative: up to where it is known to fail.
  using FailedRuns = std::array<size_t, kMaxAlternatives>;

  static Result<std::vector<Sequence>> ParseAlternatives(std::string_view* text, int depth);
  static Result<Sequence> ParseSequence(std::string_view* text, int depth);
  static Result<void> ParseQuantifier(std::string_view* text, Atom* atom);

  size_t MatchAt(std::string_view text, size_t pos, FailedRuns* failed) const;
  // The end of the match of atoms [atom, end) at `pos`, or kNone. `run_end` (may be null) is told
  // where the first atom's repeat had to stop.
  static size_t Match(const Atom* atom, const Atom* end, std::string_view text, size_t pos,
                      size_t* run_end);
  static size_t MatchGroup(const Atom& atom, std::string_view text, size_t pos);
  static bool CanStart(const Sequence& sequence, char32_t c);

  std::vector<Sequence> alternatives_;
  // For each ASCII character the alternatives that may begin with it, as bits; [128] for others.
  std::array<uint16_t, 129> may_start_{};
};

}  // namespace lb::text
