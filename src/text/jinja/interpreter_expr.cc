// The expression half of interpreter.h.
#include "text/jinja/access.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/operators.h"
#include "text/jinja/to_string.h"

namespace lb::text::jinja {

Value Interpreter::Eval(const Expr& expr) {
  DepthGuard guard(rt_);
  if (!rt_.Spend(1)) return Value::Undefined();
  rt_.set_line(expr.line);
  Value value = EvalKind(expr);
  return rt_.ok() ? value : Value::Undefined();
}

Value Interpreter::EvalKind(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::kConst:
      return static_cast<const ConstExpr&>(expr).value;
    case ExprKind::kName:
      return EvalName(static_cast<const NameExpr&>(expr));
    case ExprKind::kList:
    case ExprKind::kTuple:
    case ExprKind::kAnd:
    case ExprKind::kOr:
    case ExprKind::kConcat:
      return EvalMany(static_cast<const ManyExpr&>(expr));
    case ExprKind::kDict:
      return EvalDict(static_cast<const DictExpr&>(expr));
    case ExprKind::kAttribute: {
      const auto& attribute = static_cast<const AttributeExpr&>(expr);
      const Value object = Eval(*attribute.object);
      if (!rt_.ok()) return object;
      return GetAttribute(rt_, object, program_.symbols.name(attribute.symbol), attribute.symbol);
    }
    case ExprKind::kItem: {
      const auto& item = static_cast<const ItemExpr&>(expr);
      const Value object = Eval(*item.object);
      const Value key = Eval(*item.key);
      return rt_.ok() ? GetItem(rt_, object, key) : key;
    }
    case ExprKind::kSlice:
      return EvalSlice(static_cast<const SliceExpr&>(expr));
    case ExprKind::kCall:
      return EvalCall(static_cast<const CallExpr&>(expr), nullptr);
    case ExprKind::kFilter:
    case ExprKind::kTest:
      return EvalFilter(static_cast<const FilterExpr&>(expr));
    case ExprKind::kUnary:
      return EvalUnary(static_cast<const UnaryExpr&>(expr));
    case ExprKind::kBinary: {
      const auto& binary = static_cast<const BinaryExpr&>(expr);
      const Value left = Eval(*binary.left);
      const Value right = Eval(*binary.right);
      return rt_.ok() ? binary.function(rt_, left, right) : right;
    }
    case ExprKind::kCompare:
      return EvalCompare(static_cast<const CompareExpr&>(expr));
    case ExprKind::kConditional: {
      const auto& conditional = static_cast<const ConditionalExpr&>(expr);
      const bool condition = Truthy(Eval(*conditional.condition));
      if (!rt_.ok()) return Value::Undefined();
      if (condition) return Eval(*conditional.then);
      return conditional.otherwise ? Eval(*conditional.otherwise) : Value::Undefined();
    }
  }
  return Value::Undefined();
}

Value Interpreter::EvalName(const NameExpr& name) {
  for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get()) {
    if (const Value* found = scope->Find(name.symbol)) return *found;
  }
  return globals_[name.symbol];
}

Value Interpreter::EvalMany(const ManyExpr& expr) {
  if (expr.kind == ExprKind::kAnd || expr.kind == ExprKind::kOr) {
    Value value;
    for (const ExprPtr& item : expr.items) {
      value = Eval(*item);
      if (!rt_.ok() || Truthy(value) == (expr.kind == ExprKind::kOr)) break;
    }
    return value;
  }
  if (expr.kind == ExprKind::kConcat) {
    TaintedText text;
    for (const ExprPtr& item : expr.items) {
      const Value value = Eval(*item);
      if (!rt_.ok()) return Value::Undefined();
      text.Append(ToText(rt_, value));
    }
    return rt_.NewString(std::move(text));
  }
  std::vector<Value> items;
  items.reserve(expr.items.size());
  for (const ExprPtr& item : expr.items) {
    items.push_back(Eval(*item));
    if (!rt_.ok()) return Value::Undefined();
  }
  return rt_.NewSequence(expr.kind == ExprKind::kList ? Kind::kList : Kind::kTuple,
                         std::move(items));
}

Value Interpreter::EvalDict(const DictExpr& expr) {
  std::vector<std::pair<Value, Value>> entries;
  entries.reserve(expr.entries.size());
  for (const auto& [key, value] : expr.entries) {
    Value evaluated_key = Eval(*key);
    entries.emplace_back(std::move(evaluated_key), Eval(*value));
    if (!rt_.ok()) return Value::Undefined();
  }
  return rt_.NewDict(std::move(entries));
}

Value Interpreter::EvalSlice(const SliceExpr& expr) {
  const Value object = Eval(*expr.object);
  const Value start = expr.start ? Eval(*expr.start) : Value();
  const Value stop = expr.stop ? Eval(*expr.stop) : Value();
  const Value step = expr.step ? Eval(*expr.step) : Value();
  return rt_.ok() ? GetSlice(rt_, object, start, stop, step) : Value::Undefined();
}

bool Interpreter::EvalArguments(const CallArguments& from, Arguments* args) {
  args->positional.reserve(from.positional.size());
  for (const ExprPtr& arg : from.positional) {
    args->positional.push_back(Eval(*arg));
    if (!rt_.ok()) return false;
  }
  for (const auto& [name, arg] : from.named) {
    args->named.emplace_back(name, Eval(*arg));
    if (!rt_.ok()) return false;
  }
  if (from.more_positional) {
    const Value more = Eval(*from.more_positional);
    if (!rt_.ok()) return false;
    for (Value& item : Iterate(rt_, more)) args->positional.push_back(std::move(item));
  }
  if (from.more_named) {
    const Value more = Eval(*from.more_named);
    if (!rt_.ok()) return false;
    if (!more.is(Kind::kDict)) {
      rt_.Fail("argument after ** must be a mapping, not {}", TypeName(more));
      return false;
    }
    for (const auto& [key, value] : more.dict().entries) {
      if (!key.is_string()) {
        rt_.Fail("keywords must be strings");
        return false;
      }
      args->named.emplace_back(key, value);
    }
  }
  return rt_.ok();
}

Value Interpreter::EvalCall(const CallExpr& call, const Value* caller) {
  const Value callee = Eval(*call.callee);
  if (!rt_.ok()) return Value::Undefined();
  Arguments args;
  if (!EvalArguments(call.args, &args)) return Value::Undefined();
  if (caller != nullptr) {
    args.named.emplace_back(rt_.NewString("caller", Origin::kTemplate), *caller);
  }
  rt_.set_line(call.line);
  return CallValue(rt_, callee, args);
}

Value Interpreter::EvalFilter(const FilterExpr& expr) {
  const bool is_test = expr.kind == ExprKind::kTest;
  if (expr.function == nullptr) {
    return rt_.Fail("no {} named '{}'", is_test ? "test" : "filter", expr.name.substr(0, 40));
  }
  Value value = expr.value != nullptr      ? Eval(*expr.value)
                : filter_input_ != nullptr ? *filter_input_
                                           : Value::Undefined();
  if (!rt_.ok()) return Value::Undefined();
  Arguments args;
  if (!EvalArguments(expr.args, &args)) return Value::Undefined();
  rt_.set_line(expr.line);
  Value result = expr.function(rt_, value, args);
  return is_test ? Value::Bool(Truthy(result) != expr.negated) : result;
}

Value Interpreter::EvalUnary(const UnaryExpr& expr) {
  const Value operand = Eval(*expr.operand);
  if (!rt_.ok()) return Value::Undefined();
  switch (expr.op) {
    case UnaryOp::kNot:
      return Value::Bool(!Truthy(operand));
    case UnaryOp::kMinus:
      return Negate(rt_, operand);
    case UnaryOp::kPlus:
      break;
  }
  if (operand.is_integral()) return Value::Int(operand.integer());
  if (operand.is(Kind::kDouble)) return operand;
  if (operand.is_undefined()) return rt_.FailUndefined(operand);
  return rt_.Fail("bad operand type for unary +: '{}'", TypeName(operand));
}

bool Interpreter::CompareOnce(CompareOp op, const Value& a, const Value& b) {
  // NaN compares false with all.
  const auto ordered = [&] {
    return !(a.is_number() && b.is_number() &&
             (a.number() != a.number() || b.number() != b.number()));
  };
  switch (op) {
    case CompareOp::kEq:
      return Equals(rt_, a, b);
    case CompareOp::kNe:
      return !Equals(rt_, a, b);
    case CompareOp::kLt:
      return Compare(rt_, a, b, "<") < 0 && ordered();
    case CompareOp::kLe:
      return Compare(rt_, a, b, "<=") <= 0 && ordered();
    case CompareOp::kGt:
      return Compare(rt_, a, b, ">") > 0 && ordered();
    case CompareOp::kGe:
      return Compare(rt_, a, b, ">=") >= 0 && ordered();
    case CompareOp::kIn:
      return Contains(rt_, b, a);
    case CompareOp::kNotIn:
      return !Contains(rt_, b, a);
  }
  return false;
}

Value Interpreter::EvalCompare(const CompareExpr& expr) {
  Value left = Eval(*expr.first);
  for (const auto& [op, operand] : expr.rest) {
    if (!rt_.ok()) return Value::Undefined();
    Value right = Eval(*operand);
    if (!rt_.ok()) return Value::Undefined();
    if (!CompareOnce(op, left, right)) return Value::Bool(false);
    left = std::move(right);
  }
  return Value::Bool(true);
}

}  // namespace lb::text::jinja
