#include "text/jinja/parser.h"

namespace lb::text::jinja {
namespace {

// What to call a token in a message: the token itself, cut, never more of the source.
std::string Describe(const Token& token) {
  constexpr size_t kMaxShown = 40;
  switch (token.type) {
    case Tok::kEof:
      return "end of template";
    case Tok::kData:
      return "text";
    case Tok::kString:
      return "a string";
    case Tok::kInt:
    case Tok::kFloat:
      return "a number";
    default:
      return "'" + token.text.substr(0, kMaxShown) + "'";
  }
}

}  // namespace

Result<std::unique_ptr<Program>> ParseTemplate(std::string_view source) {
  LB_ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(source));
  auto program = std::make_unique<Program>();
  LB_RETURN_IF_ERROR(Parser(std::move(tokens), program.get()).Run());
  return program;
}

Result<void> Parser::Run() {
  if (!Body({}, &program_.body)) return error_;
  return {};
}

Parser::Nesting::Nesting(Parser& parser) : parser_(parser) {
  if (++parser_.nesting_ > kMaxNesting) parser_.Bad(parser_.Peek(), "nested too deep");
}

const Token& Parser::Next() {
  const Token& token = Peek();
  if (pos_ + 1 < tokens_.size()) ++pos_;
  return token;
}

bool Parser::Skip(Tok type) {
  if (!Is(type)) return false;
  Next();
  return true;
}

bool Parser::SkipName(std::string_view name) {
  if (!IsName(name)) return false;
  Next();
  return true;
}

bool Parser::Expect(Tok type, const char* what) {
  if (Skip(type)) return true;
  Bad(Peek(), fmt::format("expected {}, found {}", what, Describe(Peek())));
  return false;
}

bool Parser::ExpectName(std::string_view name) {
  if (SkipName(name)) return true;
  Bad(Peek(), fmt::format("expected '{}', found {}", name, Describe(Peek())));
  return false;
}

std::nullptr_t Parser::Bad(const Token& token, std::string_view what) {
  if (!failed_) {
    failed_ = true;
    error_ =
        Fail(ErrorCode::kInvalidArgument, "line {}, column {}: {}", token.line, token.column, what);
  }
  return nullptr;
}

std::nullptr_t Parser::Unexpected() {
  return Bad(Peek(), fmt::format("unexpected {}", Describe(Peek())));
}

void Parser::Notice(std::string_view name) {
  if (name == "loop") {
    for (ForStmt* loop : loops_) loop->uses_loop = true;
  }
  for (MacroStmt* macro : macros_) {
    if (name == "caller") macro->uses_caller = true;
    if (name == "varargs") macro->uses_varargs = true;
    if (name == "kwargs") macro->uses_kwargs = true;
  }
}

}  // namespace lb::text::jinja
