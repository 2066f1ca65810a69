// Tokens to a Program.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace lb::text::jinja {

// kInvalidArgument with line and column on a syntax error.
Result<std::unique_ptr<Program>> ParseTemplate(std::string_view source);

// Recursive descent over Jinja's grammar. Failure is sticky: functions return null and callers
// pass it on.
class Parser {
 public:
  Parser(std::vector<Token> tokens, Program* program)
      : tokens_(std::move(tokens)), program_(*program) {}
  Result<void> Run();

 private:
  static constexpr int kMaxNesting = 150;    // of brackets, blocks and operators in the source
  static constexpr int kMaxExprDepth = 300;  // of the tree

  // Tokens.
  const Token& Peek(size_t ahead = 0) const {
    return tokens_[std::min(pos_ + ahead, tokens_.size() - 1)];
  }
  const Token& Next();
  bool Is(Tok type) const { return Peek().type == type; }
  bool IsName(std::string_view name) const { return Is(Tok::kName) && Peek().text == name; }
  bool Skip(Tok type);
  bool SkipName(std::string_view name);
  bool Expect(Tok type, const char* what);
  bool ExpectName(std::string_view name);
  std::nullptr_t Bad(const Token& token, std::string_view what);
  std::nullptr_t Unexpected();
  bool Refuse(const Token& token, std::string_view what) {  // Bad, for what returns bool
    Bad(token, what);
    return false;
  }
  bool ok() const { return !failed_; }

  // Counts recursion while it lives.
  class Nesting {
   public:
    explicit Nesting(Parser& parser);
    ~Nesting() { --parser_.nesting_; }
    bool ok() const { return parser_.ok(); }

   private:
    Parser& parser_;
  };

  // Expressions (parser_expr.cc).
  ExprPtr Expression();  // with inline if
  ExprPtr Or();
  ExprPtr And();
  ExprPtr Not();
  ExprPtr Comparison();
  ExprPtr Sum();
  ExprPtr Concat();
  ExprPtr Product();
  ExprPtr Power();
  ExprPtr Unary(bool with_filter);
  ExprPtr Primary();
  ExprPtr Postfix(ExprPtr expr);
  ExprPtr FilterChain(ExprPtr expr);
  ExprPtr OneFilter(ExprPtr value);
  ExprPtr Test(ExprPtr value);
  ExprPtr Subscript(ExprPtr object);
  ExprPtr Call(ExprPtr callee);
  ExprPtr ListLiteral();
  ExprPtr DictLiteral();
  ExprPtr NameOrConstant();
  bool Arguments(CallArguments* args);
  // One expression, or several with commas: a tuple. Only in parentheses may it be empty; a
  // condition and what a for runs over take no inline if.
  enum class TupleUse { kPlain, kParenthesized, kCondition, kForIterable };
  ExprPtr TupleOrExpression(TupleUse use);
  bool AtSubscriptEnd() const { return Is(Tok::kRightBracket) || Is(Tok::kComma); }
  bool DottedName(std::string* name);
  // Takes the child's depth into the parent's; null when that goes too deep.
  template <typename T>
  std::unique_ptr<T> Deepen(std::unique_ptr<T> parent, std::initializer_list<const Expr*> children);
  bool DeepenBy(Expr* parent, const Expr* child);
  bool DeepenBy(Expr* parent, const CallArguments& args);

  // Statements (parser_stmt.cc).
  // Up to one of the tags `ends`, whose name stays to be read; without `ends`, up to the end of
  // the source.
  bool Body(std::initializer_list<std::string_view> ends, Block* body);
  bool BodyUntil(std::string_view end, Block* body);  // reads the end tag too
  std::unique_ptr<Stmt> Statement();
  std::unique_ptr<Stmt> If();
  std::unique_ptr<Stmt> For();
  std::unique_ptr<Stmt> Set();
  std::unique_ptr<Stmt> Macro();
  std::unique_ptr<Stmt> CallBlock();
  std::unique_ptr<Stmt> FilterBlock();
  std::unique_ptr<Stmt> With();
  std::unique_ptr<Stmt> Scope(std::string_view end);
  std::unique_ptr<Stmt> NamedBlock();
  std::unique_ptr<Stmt> Autoescape();
  std::unique_ptr<Stmt> Generation();
  std::unique_ptr<Stmt> LoopControl(StmtKind kind);
  std::unique_ptr<Stmt> Unavailable(const Token& tag);
  bool Signature(MacroStmt* macro);
  bool MacroBody(std::string_view end, MacroStmt* macro);
  bool AssignTarget(bool with_namespace, bool with_tuple, Target* target);
  bool OneTarget(bool with_namespace, Target* target);
  // A name is read: the enclosing loops and macros hear of `loop`, `caller`, ...
  void Notice(std::string_view name);

  std::vector<Token> tokens_;
  Program& program_;
  size_t pos_ = 0;
  bool failed_ = false;
  Error error_;
  int nesting_ = 0;
  std::vector<ForStmt*> loops_;     // whose bodies are being read
  std::vector<MacroStmt*> macros_;  // likewise
  int loop_depth_ = 0;              // loops that break and continue can leave
};

}  // namespace lb::text::jinja
