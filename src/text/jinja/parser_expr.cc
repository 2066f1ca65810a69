// Expressions, by rising precedence as Jinja orders them.
#include <algorithm>

#include "text/jinja/filters.h"
#include "text/jinja/operators.h"
#include "text/jinja/parser.h"
#include "text/jinja/tests.h"

namespace lb::text::jinja {

bool Parser::DeepenBy(Expr* parent, const Expr* child) {
  if (child == nullptr) return ok();
  parent->depth = std::max(parent->depth, child->depth + 1);
  if (parent->depth > kMaxExprDepth) Bad(Peek(), "the expression nests too deep");
  return ok();
}

bool Parser::DeepenBy(Expr* parent, const CallArguments& args) {
  for (const ExprPtr& arg : args.positional) DeepenBy(parent, arg.get());
  for (const auto& [name, arg] : args.named) DeepenBy(parent, arg.get());
  DeepenBy(parent, args.more_positional.get());
  return DeepenBy(parent, args.more_named.get());
}

template <typename T>
std::unique_ptr<T> Parser::Deepen(std::unique_ptr<T> parent,
                                  std::initializer_list<const Expr*> children) {
  for (const Expr* child : children) {
    if (!DeepenBy(parent.get(), child)) return nullptr;
  }
  return parent;
}

ExprPtr Parser::Expression() {
  Nesting nesting(*this);
  if (!nesting.ok()) return nullptr;
  const int line = Peek().line;
  ExprPtr expr = Or();
  while (expr && SkipName("if")) {
    auto conditional = std::make_unique<ConditionalExpr>(line);
    conditional->then = std::move(expr);
    conditional->condition = Or();
    if (!conditional->condition) return nullptr;
    if (SkipName("else") && !(conditional->otherwise = Expression())) return nullptr;
    const Expr* children[] = {conditional->then.get(), conditional->condition.get(),
                              conditional->otherwise.get()};
    expr = Deepen(std::move(conditional), {children[0], children[1], children[2]});
  }
  return expr;
}

ExprPtr Parser::Or() {
  const int line = Peek().line;
  ExprPtr first = And();
  if (!first || !IsName("or")) return first;
  auto many = std::make_unique<ManyExpr>(ExprKind::kOr, line);
  DeepenBy(many.get(), first.get());
  many->items.push_back(std::move(first));
  while (SkipName("or")) {
    ExprPtr next = And();
    if (!next || !DeepenBy(many.get(), next.get())) return nullptr;
    many->items.push_back(std::move(next));
  }
  return many;
}

ExprPtr Parser::And() {
  const int line = Peek().line;
  ExprPtr first = Not();
  if (!first || !IsName("and")) return first;
  auto many = std::make_unique<ManyExpr>(ExprKind::kAnd, line);
  DeepenBy(many.get(), first.get());
  many->items.push_back(std::move(first));
  while (SkipName("and")) {
    ExprPtr next = Not();
    if (!next || !DeepenBy(many.get(), next.get())) return nullptr;
    many->items.push_back(std::move(next));
  }
  return many;
}

ExprPtr Parser::Not() {
  if (!IsName("not")) return Comparison();
  Nesting nesting(*this);
  if (!nesting.ok()) return nullptr;
  const int line = Next().line;
  ExprPtr operand = Not();
  if (!operand) return nullptr;
  const Expr* child = operand.get();
  return Deepen(std::make_unique<UnaryExpr>(line, UnaryOp::kNot, std::move(operand)), {child});
}

ExprPtr Parser::Comparison() {
  const int line = Peek().line;
  ExprPtr first = Sum();
  if (!first) return nullptr;
  std::unique_ptr<CompareExpr> compare;
  while (true) {
    CompareOp op = CompareOp::kEq;
    switch (Peek().type) {
      case Tok::kEq:
        op = CompareOp::kEq;
        break;
      case Tok::kNe:
        op = CompareOp::kNe;
        break;
      case Tok::kLt:
        op = CompareOp::kLt;
        break;
      case Tok::kLe:
        op = CompareOp::kLe;
        break;
      case Tok::kGt:
        op = CompareOp::kGt;
        break;
      case Tok::kGe:
        op = CompareOp::kGe;
        break;
      default:
        if (IsName("in")) {
          op = CompareOp::kIn;
        } else if (IsName("not") && Peek(1).type == Tok::kName && Peek(1).text == "in") {
          op = CompareOp::kNotIn;
          Next();
        } else if (compare) {
          return compare;
        } else {
          return first;
        }
    }
    Next();
    ExprPtr right = Sum();
    if (!right) return nullptr;
    if (!compare) {
      compare = std::make_unique<CompareExpr>(line);
      DeepenBy(compare.get(), first.get());
      compare->first = std::move(first);
    }
    if (!DeepenBy(compare.get(), right.get())) return nullptr;
    compare->rest.emplace_back(op, std::move(right));
  }
}

ExprPtr Parser::Sum() {
  ExprPtr left = Concat();
  while (left && (Is(Tok::kAdd) || Is(Tok::kSub))) {
    const Token& op = Next();
    const BinaryFunction function = op.type == Tok::kAdd ? Add : Subtract;
    const int line = op.line;
    ExprPtr right = Concat();
    if (!right) return nullptr;
    const Expr* a = left.get();
    const Expr* b = right.get();
    left = Deepen(std::make_unique<BinaryExpr>(line, function, std::move(left), std::move(right)),
                  {a, b});
  }
  return left;
}

ExprPtr Parser::Concat() {
  const int line = Peek().line;
  ExprPtr first = Product();
  if (!first || !Is(Tok::kTilde)) return first;
  auto many = std::make_unique<ManyExpr>(ExprKind::kConcat, line);
  DeepenBy(many.get(), first.get());
  many->items.push_back(std::move(first));
  while (Skip(Tok::kTilde)) {
    ExprPtr next = Product();
    if (!next || !DeepenBy(many.get(), next.get())) return nullptr;
    many->items.push_back(std::move(next));
  }
  return many;
}

ExprPtr Parser::Product() {
  ExprPtr left = Power();
  while (left) {
    BinaryFunction function = nullptr;
    switch (Peek().type) {
      case Tok::kMul:
        function = Multiply;
        break;
      case Tok::kDiv:
        function = Divide;
        break;
      case Tok::kFloorDiv:
        function = FloorDivide;
        break;
      case Tok::kMod:
        function = Modulo;
        break;
      default:
        return left;
    }
    const int line = Next().line;
    ExprPtr right = Power();
    if (!right) return nullptr;
    const Expr* a = left.get();
    const Expr* b = right.get();
    left = Deepen(std::make_unique<BinaryExpr>(line, function, std::move(left), std::move(right)),
                  {a, b});
  }
  return left;
}

ExprPtr Parser::Power() {
  ExprPtr left = Unary(true);
  while (left && Is(Tok::kPow)) {
    const int line = Next().line;
    ExprPtr right = Unary(true);
    if (!right) return nullptr;
    const Expr* a = left.get();
    const Expr* b = right.get();
    left =
        Deepen(std::make_unique<BinaryExpr>(line, jinja::Power, std::move(left), std::move(right)),
               {a, b});
  }
  return left;
}

ExprPtr Parser::Unary(bool with_filter) {
  Nesting nesting(*this);
  if (!nesting.ok()) return nullptr;
  ExprPtr expr;
  if (Is(Tok::kSub) || Is(Tok::kAdd)) {
    const Token& token = Next();
    const UnaryOp op = token.type == Tok::kSub ? UnaryOp::kMinus : UnaryOp::kPlus;
    const int line = token.line;
    ExprPtr operand = Unary(false);
    if (!operand) return nullptr;
    const Expr* child = operand.get();
    expr = Deepen(std::make_unique<UnaryExpr>(line, op, std::move(operand)), {child});
  } else {
    expr = Primary();
  }
  if (expr) expr = Postfix(std::move(expr));
  if (expr && with_filter) expr = FilterChain(std::move(expr));
  return expr;
}

ExprPtr Parser::NameOrConstant() {
  const Token& token = Next();
  const std::string& name = token.text;
  if (name == "true" || name == "True") {
    return std::make_unique<ConstExpr>(token.line, Value::Bool(true));
  }
  if (name == "false" || name == "False") {
    return std::make_unique<ConstExpr>(token.line, Value::Bool(false));
  }
  if (name == "none" || name == "None") return std::make_unique<ConstExpr>(token.line, Value());
  Notice(name);
  return std::make_unique<NameExpr>(token.line, program_.symbols.Intern(name));
}

ExprPtr Parser::Primary() {
  const Token& token = Peek();
  switch (token.type) {
    case Tok::kName:
      return NameOrConstant();
    case Tok::kString: {
      std::string text;
      while (Is(Tok::kString)) text += Next().text;
      return std::make_unique<ConstExpr>(token.line,
                                         Value::String(std::move(text), Origin::kTemplate));
    }
    case Tok::kInt:
      Next();
      return std::make_unique<ConstExpr>(token.line, Value::Int(token.integer));
    case Tok::kFloat:
      Next();
      return std::make_unique<ConstExpr>(token.line, Value::Double(token.number));
    case Tok::kLeftParen: {
      Next();
      ExprPtr expr = TupleOrExpression(TupleUse::kParenthesized);
      return expr && Expect(Tok::kRightParen, "')'") ? std::move(expr) : nullptr;
    }
    case Tok::kLeftBracket:
      return ListLiteral();
    case Tok::kLeftBrace:
      return DictLiteral();
    default:
      return Unexpected();
  }
}

ExprPtr Parser::TupleOrExpression(TupleUse use) {
  const auto at_end = [&] {
    return Is(Tok::kVariableEnd) || Is(Tok::kBlockEnd) || Is(Tok::kRightParen) ||
           (use == TupleUse::kForIterable && IsName("recursive"));
  };
  const bool with_conditional = use == TupleUse::kPlain || use == TupleUse::kParenthesized;
  auto tuple = std::make_unique<ManyExpr>(ExprKind::kTuple, Peek().line);
  bool is_tuple = false;
  while (!at_end()) {
    ExprPtr item = with_conditional ? Expression() : Or();
    if (!item || !DeepenBy(tuple.get(), item.get())) return nullptr;
    tuple->items.push_back(std::move(item));
    if (!Skip(Tok::kComma)) break;
    is_tuple = true;
  }
  if (!is_tuple && !tuple->items.empty()) return std::move(tuple->items[0]);
  if (!is_tuple && use != TupleUse::kParenthesized) return Unexpected();
  return tuple;
}

ExprPtr Parser::ListLiteral() {
  auto list = std::make_unique<ManyExpr>(ExprKind::kList, Next().line);
  while (!Is(Tok::kRightBracket)) {
    ExprPtr item = Expression();
    if (!item || !DeepenBy(list.get(), item.get())) return nullptr;
    list->items.push_back(std::move(item));
    if (!Skip(Tok::kComma)) break;
  }
  if (!Expect(Tok::kRightBracket, "']'")) return nullptr;
  return list;
}

ExprPtr Parser::DictLiteral() {
  auto dict = std::make_unique<DictExpr>(Next().line);
  while (!Is(Tok::kRightBrace)) {
    ExprPtr key = Expression();
    if (!key || !Expect(Tok::kColon, "':'")) return nullptr;
    ExprPtr value = Expression();
    if (!value || !DeepenBy(dict.get(), key.get()) || !DeepenBy(dict.get(), value.get())) {
      return nullptr;
    }
    dict->entries.emplace_back(std::move(key), std::move(value));
    if (!Skip(Tok::kComma)) break;
  }
  if (!Expect(Tok::kRightBrace, "'}'")) return nullptr;
  return dict;
}

ExprPtr Parser::Postfix(ExprPtr expr) {
  while (expr) {
    if (Is(Tok::kDot) || Is(Tok::kLeftBracket)) {
      expr = Subscript(std::move(expr));
    } else if (Is(Tok::kLeftParen)) {
      expr = Call(std::move(expr));
    } else {
      break;
    }
  }
  return expr;
}

ExprPtr Parser::FilterChain(ExprPtr expr) {
  while (expr) {
    if (Skip(Tok::kPipe)) {
      expr = OneFilter(std::move(expr));
    } else if (IsName("is")) {
      expr = Test(std::move(expr));
    } else if (Is(Tok::kLeftParen)) {
      expr = Call(std::move(expr));
    } else {
      break;
    }
  }
  return expr;
}

ExprPtr Parser::Subscript(ExprPtr object) {
  const int line = Peek().line;
  const Expr* inner = object.get();
  if (Skip(Tok::kDot)) {
    const Token& token = Next();
    if (token.type == Tok::kName) {
      const int symbol = program_.symbols.Intern(token.text);
      return Deepen(std::make_unique<AttributeExpr>(line, std::move(object), symbol), {inner});
    }
    if (token.type != Tok::kInt) return Bad(token, "expected a name or a number after '.'");
    auto item = std::make_unique<ItemExpr>(line);
    item->object = std::move(object);
    item->key = std::make_unique<ConstExpr>(line, Value::Int(token.integer));
    return Deepen(std::move(item), {inner});
  }
  Next();
  ExprPtr first;
  if (!Is(Tok::kColon)) {
    first = Expression();
    if (!first) return nullptr;
  }
  if (!Is(Tok::kColon)) {
    if (Is(Tok::kComma)) {
      // x[a, b]: the key is a tuple.
      auto tuple = std::make_unique<ManyExpr>(ExprKind::kTuple, line);
      DeepenBy(tuple.get(), first.get());
      tuple->items.push_back(std::move(first));
      while (Skip(Tok::kComma)) {
        if (Is(Tok::kRightBracket)) break;
        ExprPtr next = Expression();
        if (!next || !DeepenBy(tuple.get(), next.get())) return nullptr;
        tuple->items.push_back(std::move(next));
      }
      first = std::move(tuple);
    }
    auto item = std::make_unique<ItemExpr>(line);
    item->object = std::move(object);
    item->key = std::move(first);
    const Expr* key = item->key.get();
    if (!Expect(Tok::kRightBracket, "']'")) return nullptr;
    return Deepen(std::move(item), {inner, key});
  }
  auto slice = std::make_unique<SliceExpr>(line);
  slice->object = std::move(object);
  slice->start = std::move(first);
  Next();
  if (!Is(Tok::kColon) && !AtSubscriptEnd() && !(slice->stop = Expression())) return nullptr;
  if (Skip(Tok::kColon) && !AtSubscriptEnd() && !(slice->step = Expression())) return nullptr;
  if (!Expect(Tok::kRightBracket, "']'")) return nullptr;
  const Expr* bounds[] = {slice->start.get(), slice->stop.get(), slice->step.get()};
  return Deepen(std::move(slice), {inner, bounds[0], bounds[1], bounds[2]});
}

bool Parser::Arguments(CallArguments* args) {
  if (!Expect(Tok::kLeftParen, "'('")) return false;
  while (!Is(Tok::kRightParen)) {
    const Token& start = Peek();
    if (Skip(Tok::kMul)) {
      if (args->more_positional || args->more_named) return Refuse(start, "misplaced *");
      args->more_positional = Expression();
    } else if (Skip(Tok::kPow)) {
      if (args->more_named) return Refuse(start, "misplaced **");
      args->more_named = Expression();
    } else if (Is(Tok::kName) && Peek(1).type == Tok::kAssign) {
      if (args->more_named) return Refuse(start, "misplaced keyword argument");
      Value name = Value::String(start.text, Origin::kTemplate);
      Next();
      Next();
      args->named.emplace_back(std::move(name), Expression());
    } else {
      if (args->more_positional || args->more_named || !args->named.empty()) {
        return Refuse(start, "a positional argument follows keyword arguments");
      }
      args->positional.push_back(Expression());
    }
    if (!ok()) return false;
    if (!Skip(Tok::kComma)) break;
  }
  return Expect(Tok::kRightParen, "')'");
}

ExprPtr Parser::Call(ExprPtr callee) {
  auto call = std::make_unique<CallExpr>(Peek().line);
  if (!Arguments(&call->args)) return nullptr;
  if (!DeepenBy(call.get(), callee.get()) || !DeepenBy(call.get(), call->args)) return nullptr;
  call->callee = std::move(callee);
  return call;
}

bool Parser::DottedName(std::string* name) {
  do {
    if (!name->empty()) *name += ".";
    if (!Is(Tok::kName)) return Refuse(Peek(), "expected a name");
    *name += Next().text;
  } while (Skip(Tok::kDot));
  return true;
}

ExprPtr Parser::OneFilter(ExprPtr value) {
  auto filter = std::make_unique<FilterExpr>(ExprKind::kFilter, Peek().line);
  if (!DottedName(&filter->name)) return nullptr;
  if (Is(Tok::kLeftParen) && !Arguments(&filter->args)) return nullptr;
  if (!DeepenBy(filter.get(), value.get()) || !DeepenBy(filter.get(), filter->args)) return nullptr;
  filter->value = std::move(value);
  filter->function = FindFilter(filter->name);
  return filter;
}

ExprPtr Parser::Test(ExprPtr value) {
  auto test = std::make_unique<FilterExpr>(ExprKind::kTest, Next().line);
  test->negated = SkipName("not");
  if (!DottedName(&test->name)) return nullptr;
  if (Is(Tok::kLeftParen)) {
    if (!Arguments(&test->args)) return nullptr;
  } else {
    // One argument may come without parentheses.
    const Tok type = Peek().type;
    const bool starts = type == Tok::kName || type == Tok::kString || type == Tok::kInt ||
                        type == Tok::kFloat || type == Tok::kLeftBracket || type == Tok::kLeftBrace;
    if (starts && !IsName("else") && !IsName("or") && !IsName("and")) {
      if (IsName("is")) return Bad(Peek(), "tests cannot be chained with 'is'");
      ExprPtr arg = Primary();
      if (arg) arg = Postfix(std::move(arg));
      if (!arg) return nullptr;
      test->args.positional.push_back(std::move(arg));
    }
  }
  if (!DeepenBy(test.get(), value.get()) || !DeepenBy(test.get(), test->args)) return nullptr;
  test->value = std::move(value);
  test->function = FindTest(test->name);
  return test;
}

}  // namespace lb::text::jinja
