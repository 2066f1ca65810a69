// Tags.
#include <algorithm>

#include "text/jinja/parser.h"

namespace lb::text::jinja {

bool Parser::Body(std::initializer_list<std::string_view> ends, Block* body) {
  Nesting nesting(*this);
  while (nesting.ok() && ok()) {
    const Token& token = Next();
    switch (token.type) {
      case Tok::kEof:
        return ends.size() == 0 ||
               Refuse(token, fmt::format("the template ends before '{}'", *(ends.end() - 1)));
      case Tok::kData:
        body->push_back(std::make_unique<TextStmt>(token.line, token.text));
        break;
      case Tok::kVariableBegin: {
        ExprPtr expr = TupleOrExpression(TupleUse::kPlain);
        if (!expr || !Expect(Tok::kVariableEnd, "'}}'")) return false;
        body->push_back(std::make_unique<OutputStmt>(token.line, std::move(expr)));
        break;
      }
      case Tok::kBlockBegin: {
        for (const std::string_view end : ends) {
          if (IsName(end)) return true;
        }
        std::unique_ptr<Stmt> statement = Statement();
        if (!statement || !Expect(Tok::kBlockEnd, "'%}'")) return false;
        body->push_back(std::move(statement));
        break;
      }
      default:
        return Refuse(token, "unexpected token");
    }
  }
  return false;
}

bool Parser::BodyUntil(std::string_view end, Block* body) {
  return Expect(Tok::kBlockEnd, "'%}'") && Body({end}, body) && ExpectName(end);
}

std::unique_ptr<Stmt> Parser::Statement() {
  if (!Is(Tok::kName)) return Refuse(Peek(), "expected the name of a tag"), nullptr;
  const Token& tag = Peek();
  const std::string& name = tag.text;
  if (name == "if") return If();
  if (name == "for") return For();
  if (name == "set") return Set();
  if (name == "macro") return Macro();
  if (name == "call") return CallBlock();
  if (name == "filter") return FilterBlock();
  if (name == "with") return With();
  if (name == "block") return NamedBlock();
  if (name == "autoescape") return Autoescape();
  if (name == "generation") return Generation();
  if (name == "break") return LoopControl(StmtKind::kBreak);
  if (name == "continue") return LoopControl(StmtKind::kContinue);
  if (name == "include" || name == "import" || name == "from" || name == "extends") {
    return Unavailable(tag);
  }
  if (name == "print") {
    const int line = Next().line;
    ExprPtr expr = TupleOrExpression(TupleUse::kPlain);
    return expr ? std::make_unique<OutputStmt>(line, std::move(expr)) : nullptr;
  }
  Bad(tag, fmt::format("unknown tag '{}'", name.substr(0, 40)));
  return nullptr;
}

std::unique_ptr<Stmt> Parser::If() {
  auto statement = std::make_unique<IfStmt>(Next().line);
  while (true) {
    ExprPtr condition = TupleOrExpression(TupleUse::kCondition);
    if (!condition || !Expect(Tok::kBlockEnd, "'%}'")) return nullptr;
    auto& branch = statement->branches.emplace_back(std::move(condition), Block());
    if (!Body({"elif", "else", "endif"}, &branch.second)) return nullptr;
    const std::string& tag = Next().text;
    if (tag == "elif") continue;
    if (tag == "else" && !BodyUntil("endif", &statement->otherwise)) return nullptr;
    return statement;
  }
}

std::unique_ptr<Stmt> Parser::For() {
  auto statement = std::make_unique<ForStmt>(Next().line);
  if (!AssignTarget(false, true, &statement->target) || !ExpectName("in")) return nullptr;
  statement->iterable = TupleOrExpression(TupleUse::kForIterable);
  if (!statement->iterable) return nullptr;
  if (SkipName("if") && !(statement->filter = Expression())) return nullptr;
  statement->recursive = SkipName("recursive");
  if (!Expect(Tok::kBlockEnd, "'%}'")) return nullptr;
  loops_.push_back(statement.get());
  ++loop_depth_;
  const bool read = Body({"else", "endfor"}, &statement->body);
  --loop_depth_;
  loops_.pop_back();
  if (!read) return nullptr;
  if (Next().text == "else" && !BodyUntil("endfor", &statement->otherwise)) return nullptr;
  return statement;
}

std::unique_ptr<Stmt> Parser::Set() {
  const int line = Next().line;
  Target target;
  if (!AssignTarget(true, true, &target)) return nullptr;
  if (Skip(Tok::kAssign)) {
    auto statement = std::make_unique<SetStmt>(line);
    statement->target = std::move(target);
    statement->value = TupleOrExpression(TupleUse::kPlain);
    return statement->value ? std::move(statement) : nullptr;
  }
  auto statement = std::make_unique<SetBlockStmt>(line);
  statement->target = std::move(target);
  while (Skip(Tok::kPipe)) {
    statement->filter = OneFilter(std::move(statement->filter));
    if (!statement->filter) return nullptr;
  }
  return BodyUntil("endset", &statement->body) ? std::move(statement) : nullptr;
}

bool Parser::AssignTarget(bool with_namespace, bool with_tuple, Target* target) {
  if (!with_tuple) return OneTarget(with_namespace, target);
  const int line = Peek().line;
  std::vector<Target> parts;
  bool is_tuple = false;
  do {
    // A comma may end the list: "for a, in x".
    if (is_tuple && (IsName("in") || Is(Tok::kAssign) || Is(Tok::kRightParen))) break;
    if (!OneTarget(with_namespace, &parts.emplace_back())) return false;
    if (!Is(Tok::kComma)) break;
    is_tuple = true;
  } while (Skip(Tok::kComma));
  if (!is_tuple) {
    *target = std::move(parts[0]);
    return true;
  }
  target->kind = Target::Kind::kTuple;
  target->line = line;
  target->parts = std::move(parts);
  return true;
}

bool Parser::OneTarget(bool with_namespace, Target* target) {
  Nesting nesting(*this);
  if (!nesting.ok()) return false;
  const Token& token = Next();
  target->line = token.line;
  if (token.type == Tok::kLeftParen) {
    return AssignTarget(with_namespace, true, target) && Expect(Tok::kRightParen, "')'");
  }
  if (token.type != Tok::kName) return Refuse(token, "expected a name to assign to");
  constexpr std::string_view kReserved[] = {"true", "false", "none", "True", "False", "None"};
  if (std::find(std::begin(kReserved), std::end(kReserved), token.text) != std::end(kReserved)) {
    return Refuse(token, "cannot assign to a constant");
  }
  target->symbol = program_.symbols.Intern(token.text);
  if (!with_namespace || !Skip(Tok::kDot)) return true;
  if (!Is(Tok::kName)) return Refuse(Peek(), "expected a name after '.'");
  target->kind = Target::Kind::kNamespace;
  target->attribute = Value::String(Next().text, Origin::kTemplate);
  return true;
}

bool Parser::Signature(MacroStmt* macro) {
  if (!Expect(Tok::kLeftParen, "'('")) return false;
  while (!Is(Tok::kRightParen)) {
    const Token& token = Peek();
    Target target;
    if (!OneTarget(false, &target)) return false;
    if (target.kind != Target::Kind::kName) return Refuse(token, "expected a name");
    MacroStmt::Parameter parameter{target.symbol, Value::String(token.text, Origin::kTemplate), {}};
    if (Skip(Tok::kAssign)) {
      parameter.missing = Expression();
      if (!parameter.missing) return false;
    } else if (token.text == "caller") {
      return Refuse(token, "the parameter 'caller' needs a default");
    } else if (!macro->parameters.empty() && macro->parameters.back().missing) {
      return Refuse(token, "a parameter without default follows one with a default");
    }
    macro->parameters.push_back(std::move(parameter));
    if (!Skip(Tok::kComma)) break;
  }
  return Expect(Tok::kRightParen, "')'");
}

bool Parser::MacroBody(std::string_view end, MacroStmt* macro) {
  macros_.push_back(macro);
  const int outer_loops = std::exchange(loop_depth_, 0);
  const bool read = BodyUntil(end, &macro->body);
  loop_depth_ = outer_loops;
  macros_.pop_back();
  return read;
}

std::unique_ptr<Stmt> Parser::Macro() {
  auto macro = std::make_unique<MacroStmt>(StmtKind::kMacro, Next().line);
  if (!Is(Tok::kName)) return Refuse(Peek(), "expected the name of the macro"), nullptr;
  macro->name = Next().text;
  macro->symbol = program_.symbols.Intern(macro->name);
  if (!Signature(macro.get()) || !MacroBody("endmacro", macro.get())) return nullptr;
  return macro;
}

std::unique_ptr<Stmt> Parser::CallBlock() {
  auto block = std::make_unique<CallBlockStmt>(Next().line);
  block->name = "caller";
  if (Is(Tok::kLeftParen) && !Signature(block.get())) return nullptr;
  const Token& token = Peek();
  ExprPtr call = Expression();
  if (!call) return nullptr;
  if (call->kind != ExprKind::kCall) return Refuse(token, "expected a call"), nullptr;
  block->call.reset(static_cast<CallExpr*>(call.release()));
  if (!MacroBody("endcall", block.get())) return nullptr;
  return block;
}

std::unique_ptr<Stmt> Parser::FilterBlock() {
  auto block = std::make_unique<FilterBlockStmt>(Next().line);
  do {
    block->filter = OneFilter(std::move(block->filter));
    if (!block->filter) return nullptr;
  } while (Skip(Tok::kPipe));
  return BodyUntil("endfilter", &block->body) ? std::move(block) : nullptr;
}

std::unique_ptr<Stmt> Parser::With() {
  auto block = std::make_unique<WithStmt>(Next().line);
  while (!Is(Tok::kBlockEnd)) {
    Target target;
    if (!AssignTarget(false, false, &target) || !Expect(Tok::kAssign, "'='")) return nullptr;
    ExprPtr value = Expression();
    if (!value) return nullptr;
    block->values.emplace_back(std::move(target), std::move(value));
    if (!Is(Tok::kBlockEnd) && !Expect(Tok::kComma, "','")) return nullptr;
  }
  return BodyUntil("endwith", &block->body) ? std::move(block) : nullptr;
}

std::unique_ptr<Stmt> Parser::Scope(std::string_view end) {
  auto scope = std::make_unique<ScopeStmt>(Peek().line);
  return BodyUntil(end, &scope->body) ? std::move(scope) : nullptr;
}

std::unique_ptr<Stmt> Parser::NamedBlock() {
  Next();
  if (!Is(Tok::kName)) return Refuse(Peek(), "expected the name of the block"), nullptr;
  const std::string& name = Next().text;
  SkipName("scoped");
  if (IsName("required")) return Refuse(Peek(), "required blocks need inheritance"), nullptr;
  std::unique_ptr<Stmt> scope = Scope("endblock");
  if (scope) SkipName(name);
  return scope;
}

std::unique_ptr<Stmt> Parser::Autoescape() {
  Next();
  if (!SkipName("false") && !SkipName("False")) {
    return Refuse(Peek(), "only 'autoescape false' is supported"), nullptr;
  }
  return Scope("endautoescape");
}

// Marks what a model has written in training data; here it is only a scope.
std::unique_ptr<Stmt> Parser::Generation() {
  Next();
  const int outer_loops = std::exchange(loop_depth_, 0);
  std::unique_ptr<Stmt> scope = Scope("endgeneration");
  loop_depth_ = outer_loops;
  return scope;
}

std::unique_ptr<Stmt> Parser::LoopControl(StmtKind kind) {
  const Token& token = Next();
  if (loop_depth_ == 0) return Refuse(token, "break or continue outside of a loop"), nullptr;
  return std::make_unique<Stmt>(kind, token.line);
}

std::unique_ptr<Stmt> Parser::Unavailable(const Token& tag) {
  while (!Is(Tok::kBlockEnd) && !Is(Tok::kEof)) Next();
  return std::make_unique<UnavailableStmt>(tag.line, tag.text);
}

}  // namespace lb::text::jinja
