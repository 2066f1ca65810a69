#include "text/jinja/interpreter.h"

#include "text/jinja/globals.h"
#include "text/jinja/loop.h"
#include "text/jinja/operators.h"
#include "text/jinja/to_string.h"

namespace lb::text::jinja {
namespace {

// A macro as a value, with the scope it was defined in.
class MacroObject final : public Callable {
 public:
  MacroObject(Interpreter& interpreter, const MacroStmt& macro, std::shared_ptr<Scope> closure)
      : interpreter_(interpreter), macro_(macro), closure_(std::move(closure)) {}
  Value Call(Runtime&, Arguments& args) override {
    return interpreter_.CallMacro(macro_, closure_, args);
  }
  std::string_view type_name() const override { return "Macro"; }
  std::string_view name() const override { return macro_.name; }

 private:
  Interpreter& interpreter_;
  const MacroStmt& macro_;
  std::shared_ptr<Scope> closure_;
};

}  // namespace

const Value* Scope::Find(int symbol) const {
  for (const auto& [name, value] : names) {
    if (name == symbol) return &value;
  }
  return nullptr;
}

void Scope::Set(int symbol, Value value) {
  for (auto& [name, old] : names) {
    if (name == symbol) {
      old = std::move(value);
      return;
    }
  }
  names.emplace_back(symbol, std::move(value));
}

// A new scope while it lives; the old one comes back after.
class Interpreter::ScopeGuard {
 public:
  ScopeGuard(Interpreter& interpreter, std::shared_ptr<Scope> scope)
      : interpreter_(interpreter), outer_(std::exchange(interpreter.scope_, std::move(scope))) {}
  explicit ScopeGuard(Interpreter& interpreter)
      : ScopeGuard(interpreter, std::make_shared<Scope>(interpreter.scope_)) {}
  ~ScopeGuard() { interpreter_.scope_ = std::move(outer_); }
  ScopeGuard(const ScopeGuard&) = delete;
  ScopeGuard& operator=(const ScopeGuard&) = delete;

 private:
  Interpreter& interpreter_;
  std::shared_ptr<Scope> outer_;
};

Interpreter::Interpreter(const Program& program, Runtime& rt,
                         const std::vector<std::pair<std::string, Value>>& context)
    : program_(program), rt_(rt), globals_(program.symbols.size()) {
  const Symbols& symbols = program.symbols;
  for (size_t i = 0; i < globals_.size(); ++i) {
    globals_[i] = Value::Undefined(UndefinedName(static_cast<int>(i)));
  }
  const auto set = [&](std::string_view name, Value value) {
    const int symbol = symbols.Find(name);
    if (symbol >= 0) globals_[symbol] = std::move(value);
  };
  for (const auto& [name, function] : GlobalFunctions()) {
    if (symbols.Find(name) >= 0) set(name, rt.Bind(function, Value(), name));
  }
  for (const auto& [name, value] : context) set(name, value);
  loop_symbol_ = symbols.Find("loop");
  caller_symbol_ = symbols.Find("caller");
  varargs_symbol_ = symbols.Find("varargs");
  kwargs_symbol_ = symbols.Find("kwargs");
}

void Interpreter::Run(TaintedText* out) {
  out_ = out;
  Exec(program_.body);
}

Interpreter::Flow Interpreter::Exec(const Block& block) {
  DepthGuard guard(rt_);
  for (const auto& stmt : block) {
    if (!rt_.Spend(1)) return Flow::kNormal;
    const Flow flow = ExecStmt(*stmt);
    if (flow != Flow::kNormal || !rt_.ok()) return flow;
  }
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::ExecStmt(const Stmt& stmt) {
  rt_.set_line(stmt.line);
  switch (stmt.kind) {
    case StmtKind::kText: {
      const std::string& text = static_cast<const TextStmt&>(stmt).text;
      out_->Append(text, Origin::kTemplate);
      rt_.SpendBytes(text.size());
      CheckOutput();
      return Flow::kNormal;
    }
    case StmtKind::kOutput:
      Emit(Eval(*static_cast<const OutputStmt&>(stmt).expr));
      return Flow::kNormal;
    case StmtKind::kIf:
      return ExecIf(static_cast<const IfStmt&>(stmt));
    case StmtKind::kFor: {
      const auto& loop = static_cast<const ForStmt&>(stmt);
      const Value iterable = Eval(*loop.iterable);
      return rt_.ok() ? ExecFor(loop, iterable, 0) : Flow::kNormal;
    }
    case StmtKind::kSet: {
      const auto& set = static_cast<const SetStmt&>(stmt);
      Value value = Eval(*set.value);
      if (rt_.ok()) Assign(set.target, std::move(value));
      return Flow::kNormal;
    }
    case StmtKind::kSetBlock:
      return ExecSetBlock(static_cast<const SetBlockStmt&>(stmt));
    case StmtKind::kMacro: {
      const auto& macro = static_cast<const MacroStmt&>(stmt);
      SetName(macro.symbol, MakeMacro(macro));
      return Flow::kNormal;
    }
    case StmtKind::kCallBlock:
      ExecCallBlock(static_cast<const CallBlockStmt&>(stmt));
      return Flow::kNormal;
    case StmtKind::kFilterBlock:
      return ExecFilterBlock(static_cast<const FilterBlockStmt&>(stmt));
    case StmtKind::kWith:
      return ExecWith(static_cast<const WithStmt&>(stmt));
    case StmtKind::kScope: {
      ScopeGuard scope(*this);
      return Exec(static_cast<const ScopeStmt&>(stmt).body);
    }
    case StmtKind::kBreak:
      return Flow::kBreak;
    case StmtKind::kContinue:
      return Flow::kContinue;
    case StmtKind::kUnavailable:
      rt_.Fail("'{}' is not available in a chat template",
               static_cast<const UnavailableStmt&>(stmt).tag);
      return Flow::kNormal;
  }
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::ExecIf(const IfStmt& stmt) {
  for (const auto& [condition, body] : stmt.branches) {
    const bool taken = Truthy(Eval(*condition));
    if (!rt_.ok()) return Flow::kNormal;
    if (taken) return Exec(body);
  }
  return Exec(stmt.otherwise);
}

bool Interpreter::KeepPassing(const ForStmt& stmt, std::vector<Value>* items) {
  std::vector<Value> passing;
  for (Value& item : *items) {
    ScopeGuard scope(*this);
    Assign(stmt.target, item);
    if (!rt_.Spend(1)) return false;
    const bool passes = Truthy(Eval(*stmt.filter));
    if (!rt_.ok()) return false;
    if (passes) passing.push_back(std::move(item));
  }
  *items = std::move(passing);
  return true;
}

Interpreter::Flow Interpreter::ExecFor(const ForStmt& stmt, const Value& iterable, int64_t depth0) {
  std::vector<Value> items = Iterate(rt_, iterable);
  if (!rt_.ok() || (stmt.filter && !KeepPassing(stmt, &items))) return Flow::kNormal;

  Value list;
  Value loop;
  if (stmt.uses_loop || stmt.recursive) {
    list = rt_.NewSequence(Kind::kList, items);
    if (!rt_.ok()) return Flow::kNormal;
    loop = rt_.Adopt(Kind::kLoop, std::make_shared<LoopObject>(list, depth0), sizeof(LoopObject));
    if (!rt_.ok()) return Flow::kNormal;
    if (stmt.recursive) {
      loop.loop().set_recurse([this, &stmt, outer = scope_](const Value& deeper, int64_t depth) {
        ScopeGuard scope(*this, outer);
        TaintedText text;
        TaintedText* const out = std::exchange(out_, &text);
        ExecFor(stmt, deeper, depth);
        out_ = out;
        return rt_.NewString(std::move(text));
      });
    }
  }

  bool completed = false;
  {
    ScopeGuard guard(*this);
    for (size_t i = 0; i < items.size() && rt_.Spend(1); ++i) {
      if (scope_.use_count() > 1) {
        // A macro holds on to the last iteration's names.
        scope_ = std::make_shared<Scope>(scope_->parent);
      } else {
        scope_->names.clear();
      }
      Assign(stmt.target, std::move(items[i]));
      if (!loop.is_none()) {
        loop.loop().set_index(static_cast<int64_t>(i));
        if (loop_symbol_ >= 0) scope_->Set(loop_symbol_, loop);
      }
      if (!rt_.ok()) break;
      const Flow flow = Exec(stmt.body);
      if (flow == Flow::kBreak) break;
      if (flow == Flow::kNormal) completed = true;
    }
  }
  if (!loop.is_none()) loop.loop().Finish();
  // As in jinja2: an iteration left by break or continue does not count.
  if (completed || !rt_.ok() || stmt.otherwise.empty()) return Flow::kNormal;
  ScopeGuard guard(*this);
  return Exec(stmt.otherwise);
}

Interpreter::Flow Interpreter::Capture(const Block& block, TaintedText* text) {
  ScopeGuard scope(*this);
  TaintedText* const out = std::exchange(out_, text);
  const Flow flow = Exec(block);
  out_ = out;
  return flow;
}

Interpreter::Flow Interpreter::ExecSetBlock(const SetBlockStmt& stmt) {
  TaintedText text;
  const Flow flow = Capture(stmt.body, &text);
  if (flow != Flow::kNormal || !rt_.ok()) return flow;
  Value value = rt_.NewString(std::move(text));
  if (stmt.filter && rt_.ok()) {
    const Value* const outer = std::exchange(filter_input_, &value);
    Value filtered = Eval(*stmt.filter);
    filter_input_ = outer;
    value = std::move(filtered);
  }
  if (rt_.ok()) Assign(stmt.target, std::move(value));
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::ExecFilterBlock(const FilterBlockStmt& stmt) {
  TaintedText text;
  const Flow flow = Capture(stmt.body, &text);
  if (flow != Flow::kNormal || !rt_.ok()) return flow;
  const Value value = rt_.NewString(std::move(text));
  if (!rt_.ok()) return Flow::kNormal;
  const Value* const outer = std::exchange(filter_input_, &value);
  const Value filtered = Eval(*stmt.filter);
  filter_input_ = outer;
  Emit(filtered);
  return Flow::kNormal;
}

Interpreter::Flow Interpreter::ExecWith(const WithStmt& stmt) {
  auto inner = std::make_shared<Scope>(scope_);
  for (const auto& [target, expr] : stmt.values) {
    Value value = Eval(*expr);
    if (!rt_.ok()) return Flow::kNormal;
    inner->Set(target.symbol, std::move(value));
  }
  ScopeGuard scope(*this, std::move(inner));
  return Exec(stmt.body);
}

void Interpreter::ExecCallBlock(const CallBlockStmt& stmt) {
  const Value caller = MakeMacro(stmt);
  if (rt_.ok()) Emit(EvalCall(*stmt.call, &caller));
}

void Interpreter::Assign(const Target& target, Value value) {
  switch (target.kind) {
    case Target::Kind::kName:
      return SetName(target.symbol, std::move(value));
    case Target::Kind::kNamespace: {
      const Value ns = EvalName(NameExpr(target.line, target.symbol));
      if (!ns.is(Kind::kNamespace)) {
        rt_.Fail("cannot assign attribute on non-namespace object");
      } else {
        rt_.SetAttribute(ns.ns(), target.attribute, std::move(value));
      }
      return;
    }
    case Target::Kind::kTuple: {
      std::vector<Value> parts = Iterate(rt_, value);
      if (!rt_.ok()) return;
      if (parts.size() != target.parts.size()) {
        rt_.Fail("{} values to unpack (expected {}, got {})",
                 parts.size() > target.parts.size() ? "too many" : "not enough",
                 target.parts.size(), parts.size());
        return;
      }
      for (size_t i = 0; i < parts.size() && rt_.ok(); ++i) {
        Assign(target.parts[i], std::move(parts[i]));
      }
    }
  }
}

void Interpreter::SetName(int symbol, Value value) {
  if (scope_ == nullptr) {
    globals_[symbol] = std::move(value);
  } else {
    scope_->Set(symbol, std::move(value));
  }
}

Value Interpreter::MakeMacro(const MacroStmt& macro) {
  if (scope_ != nullptr && !scope_->kept) {
    scope_->kept = true;
    rt_.Keep(scope_);
  }
  // Counts for the scope it keeps as well.
  constexpr int64_t kBytes = sizeof(MacroObject) + 256;
  return rt_.Adopt(Kind::kCallable, std::make_shared<MacroObject>(*this, macro, scope_), kBytes);
}

Value Interpreter::CallMacro(const MacroStmt& macro, const std::shared_ptr<Scope>& closure,
                             Arguments& args) {
  const size_t count = macro.parameters.size();
  if (args.positional.size() > count && !macro.uses_varargs) {
    return rt_.Fail("macro '{}' takes not more than {} argument(s)", macro.name, count);
  }
  const auto take_named = [&](std::string_view name, Value* value) {
    for (auto it = args.named.begin(); it != args.named.end(); ++it) {
      if (it->first.view() != name) continue;
      *value = std::move(it->second);
      args.named.erase(it);
      return true;
    }
    return false;
  };
  ScopeGuard guard(*this, std::make_shared<Scope>(closure));
  bool has_caller_parameter = false;
  for (size_t i = 0; i < count && rt_.ok(); ++i) {
    const MacroStmt::Parameter& parameter = macro.parameters[i];
    has_caller_parameter = has_caller_parameter || parameter.symbol == caller_symbol_;
    Value value = Value::Undefined(UndefinedName(parameter.symbol));
    if (i < args.positional.size()) {
      value = std::move(args.positional[i]);
    } else if (!take_named(parameter.name.view(), &value) && parameter.missing) {
      value = Eval(*parameter.missing);
    }
    scope_->Set(parameter.symbol, std::move(value));
  }
  if (macro.uses_caller && !has_caller_parameter) {
    Value caller = Value::Undefined(UndefinedName(caller_symbol_));
    take_named("caller", &caller);
    scope_->Set(caller_symbol_, std::move(caller));
  }
  if (macro.uses_kwargs) {
    scope_->Set(kwargs_symbol_, rt_.NewDict(std::move(args.named)));
  } else if (!args.named.empty()) {
    return rt_.Fail("macro '{}' takes no keyword argument '{}'", macro.name,
                    args.named[0].first.view().substr(0, 40));
  }
  if (macro.uses_varargs) {
    std::vector<Value> rest;
    for (size_t i = count; i < args.positional.size(); ++i) rest.push_back(args.positional[i]);
    scope_->Set(varargs_symbol_, rt_.NewSequence(Kind::kTuple, std::move(rest)));
  }
  if (!rt_.ok()) return Value::Undefined();
  TaintedText text;
  TaintedText* const out = std::exchange(out_, &text);
  const Value* const filter_input = std::exchange(filter_input_, nullptr);
  Exec(macro.body);
  filter_input_ = filter_input;
  out_ = out;
  return rt_.NewString(std::move(text));
}

void Interpreter::Emit(const Value& value) {
  if (!rt_.ok()) return;
  if (value.is_string()) {
    out_->Append(value.text());
    rt_.SpendBytes(value.text().size());
  } else {
    out_->Append(ToText(rt_, value));
  }
  CheckOutput();
}

bool Interpreter::CheckOutput() {
  if (static_cast<int64_t>(out_->size()) <= rt_.limits().output_bytes) return rt_.ok();
  rt_.Fail("the template writes more than {} bytes", rt_.limits().output_bytes);
  return false;
}

}  // namespace lb::text::jinja
