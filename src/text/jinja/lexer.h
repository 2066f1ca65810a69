// Template source to tokens, white space control and raw blocks already applied, with Jinja's
// trim_blocks and lstrip_blocks on, as chat templates are written for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lb::text::jinja {

enum class Tok : uint8_t {
  kEof,
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInt,
  kFloat,
  kAdd,
  kSub,
  kMul,
  kPow,
  kDiv,
  kFloorDiv,
  kMod,
  kTilde,
  kEq,
  kNe,
  kLt,
  kLe,
  kGt,
  kGe,
  kAssign,
  kDot,
  kColon,
  kComma,
  kPipe,
  kSemicolon,
  kLeftParen,
  kRightParen,
  kLeftBracket,
  kRightBracket,
  kLeftBrace,
  kRightBrace,
};

struct Token {
  Tok type = Tok::kEof;
  int line = 1, column = 1;  // from 1; columns in bytes
  std::string text;          // of data, names, strings (unescaped), operators
  int64_t integer = 0;
  double number = 0;
};

// The last token is kEof. kInvalidArgument with line and column on a bad character, an unclosed
// string, comment or bracket.
Result<std::vector<Token>> Tokenize(std::string_view source);

}  // namespace lb::text::jinja
