#include "text/pattern.h"

#include <bit>
#include <charconv>
#include <utility>

namespace lb::text {
namespace {

constexpr int kMaxDepth = 4;

Error Bad(std::string_view what, std::string_view at) {
  return Fail(ErrorCode::kInvalidArgument, "pattern: {} at \"{}\"", what, at);
}

bool TakePrefix(std::string_view* text, std::string_view prefix) {
  if (!text->starts_with(prefix)) return false;
  text->remove_prefix(prefix.size());
  return true;
}

}  // namespace

Result<void> Pattern::ParseQuantifier(std::string_view* text, Atom* atom) {
  if (TakePrefix(text, "?")) {
    atom->min = 0;
  } else if (TakePrefix(text, "*")) {
    atom->min = 0;
    atom->max = kUnbounded;
  } else if (TakePrefix(text, "+")) {
    atom->max = kUnbounded;
  } else if (text->starts_with('{')) {
    const std::string_view at = *text;
    const size_t close = text->find('}');
    if (close == text->npos) return Bad("a missing brace", at);
    const std::string_view body = text->substr(1, close - 1);
    const size_t comma = body.find(',');
    const auto number = [](std::string_view digits, uint32_t* value) {
      const auto [end, error] =
          std::from_chars(digits.data(), digits.data() + digits.size(), *value);
      return error == std::errc() && end == digits.data() + digits.size();
    };
    bool good = number(body.substr(0, comma), &atom->min);
    atom->max = atom->min;
    if (comma != body.npos) good = good && number(body.substr(comma + 1), &atom->max);
    if (!good || atom->max < atom->min || atom->max == 0) return Bad("a bad repeat count", at);
    text->remove_prefix(close + 1);
  }
  return {};
}

Result<Pattern::Sequence> Pattern::ParseSequence(std::string_view* text, int depth) {
  Sequence sequence;
  while (!text->empty() && text->front() != '|' && text->front() != ')') {
    if (!sequence.empty() && sequence.back().kind == Atom::Kind::kGroup) {
      return Bad("something after a group", *text);
    }
    Atom atom;
    if (TakePrefix(text, "(?:")) {
      if (depth >= kMaxDepth) return Bad("groups nested too deep", *text);
      atom.kind = Atom::Kind::kGroup;
      LB_ASSIGN_OR_RETURN(atom.group, ParseAlternatives(text, depth + 1));
      if (!TakePrefix(text, ")")) return Bad("a missing parenthesis", *text);
      LB_RETURN_IF_ERROR(ParseQuantifier(text, &atom));
    } else if (TakePrefix(text, "(?!")) {
      atom.kind = Atom::Kind::kNotAhead;
      LB_ASSIGN_OR_RETURN(atom.set, CharSet::Parse(text));
      if (!TakePrefix(text, ")")) return Bad("a missing parenthesis", *text);
    } else if (TakePrefix(text, "$")) {
      atom.kind = Atom::Kind::kEnd;
    } else if (std::string_view("(?*+{.^").find(text->front()) != std::string_view::npos) {
      return Bad("what this engine does not know", *text);
    } else {
      LB_ASSIGN_OR_RETURN(atom.set, CharSet::Parse(text));
      LB_RETURN_IF_ERROR(ParseQuantifier(text, &atom));
    }
    sequence.push_back(std::move(atom));
  }
  if (sequence.empty()) return Bad("an empty alternative", *text);
  return sequence;
}

Result<std::vector<Pattern::Sequence>> Pattern::ParseAlternatives(std::string_view* text,
                                                                  int depth) {
  std::vector<Sequence> alternatives;
  do {
    LB_ASSIGN_OR_RETURN(Sequence sequence, ParseSequence(text, depth));
    alternatives.push_back(std::move(sequence));
  } while (TakePrefix(text, "|"));
  return alternatives;
}

bool Pattern::CanStart(const Sequence& sequence, char32_t c) {
  for (const Atom& atom : sequence) {
    switch (atom.kind) {
      case Atom::Kind::kSet:
        if (atom.set.Contains(c)) return true;
        break;
      case Atom::Kind::kGroup:
        for (const Sequence& inner : atom.group) {
          if (CanStart(inner, c)) return true;
        }
        break;
      case Atom::Kind::kNotAhead:
      case Atom::Kind::kEnd:
        continue;
    }
    if (atom.min > 0) return false;
  }
  return true;
}

Result<Pattern> Pattern::Parse(std::string_view text) {
  Pattern pattern;
  LB_ASSIGN_OR_RETURN(pattern.alternatives_, ParseAlternatives(&text, 0));
  if (!text.empty()) return Bad("a parenthesis too many", text);
  if (pattern.alternatives_.size() > kMaxAlternatives) {
    return Fail(ErrorCode::kInvalidArgument, "pattern: {} alternatives, at most {} are allowed",
                pattern.alternatives_.size(), kMaxAlternatives);
  }
  for (size_t i = 0; i < pattern.alternatives_.size(); ++i) {
    const auto bit = static_cast<uint16_t>(1u << i);
    for (char32_t c = 0; c < 128; ++c) {
      if (CanStart(pattern.alternatives_[i], c)) pattern.may_start_[c] |= bit;
    }
    pattern.may_start_[128] |= bit;
  }
  return pattern;
}

size_t Pattern::MatchGroup(const Atom& atom, std::string_view text, size_t pos) {
  for (uint32_t count = 0; count < atom.max; ++count) {
    size_t end = kNone;
    for (const Sequence& inner : atom.group) {
      end = Match(inner.data(), inner.data() + inner.size(), text, pos, nullptr);
      if (end != kNone) break;
    }
    if (end == kNone || end == pos) return count >= atom.min ? pos : kNone;
    pos = end;
  }
  return pos;
}

size_t Pattern::Match(const Atom* atom, const Atom* end, std::string_view text, size_t pos,
                      size_t* run_end) {
  if (atom == end) return pos;
  switch (atom->kind) {
    case Atom::Kind::kEnd:
      return pos == text.size() ? Match(atom + 1, end, text, pos, nullptr) : kNone;
    case Atom::Kind::kNotAhead:
      if (pos < text.size() && atom->set.Contains(DecodeUtf8(text, pos).code)) return kNone;
      return Match(atom + 1, end, text, pos, nullptr);
    case Atom::Kind::kGroup:
      return MatchGroup(*atom, text, pos);  // always the last of its sequence
    case Atom::Kind::kSet: break;
  }
  uint32_t count = 0;
  size_t at = pos;
  while (count < atom->max && at < text.size()) {
    const Utf8Char c = DecodeUtf8(text, at);
    if (!atom->set.Contains(c.code)) break;
    at += static_cast<size_t>(c.length);
    ++count;
  }
  if (run_end != nullptr && atom->max == kUnbounded) *run_end = at;
  if (count < atom->min) return kNone;
  while (true) {  // longest first, giving back one character at a time
    const size_t match = Match(atom + 1, end, text, at, nullptr);
    if (match != kNone || count == atom->min) return match;
    at = PreviousUtf8(text, at);
    --count;
  }
}

size_t Pattern::MatchAt(std::string_view text, size_t pos, FailedRuns* failed) const {
  const auto first = static_cast<unsigned char>(text[pos]);
  for (uint32_t left = may_start_[first < 128 ? first : 128]; left != 0; left &= left - 1) {
    const auto i = static_cast<size_t>(std::countr_zero(left));
    if (pos < (*failed)[i]) continue;
    const Sequence& sequence = alternatives_[i];
    size_t run_end = 0;
    const size_t end =
        Match(sequence.data(), sequence.data() + sequence.size(), text, pos, &run_end);
    if (end != kNone) return end;
    (*failed)[i] = run_end;
  }
  return kNone;
}

}  // namespace lb::text
