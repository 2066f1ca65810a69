// Runs a Program: one rendering.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/runtime.h"

namespace lb::text::jinja {

// The names of a for body, macro, block...: those of the whole template live in an array of the
// interpreter. Kept to the end of the rendering when a macro refers to it.
struct Scope final : Runtime::Cyclic {
  explicit Scope(std::shared_ptr<Scope> parent) : parent(std::move(parent)) {}
  void Clear() override { names.clear(); }
  const Value* Find(int symbol) const;
  void Set(int symbol, Value value);

  std::shared_ptr<Scope> parent;  // null: the template
  std::vector<std::pair<int, Value>> names;
  bool kept = false;
};

class Interpreter {
 public:
  // `context`: the names the template starts with. Both references must outlive this.
  Interpreter(const Program& program, Runtime& rt,
              const std::vector<std::pair<std::string, Value>>& context);

  // Look at rt.ok() afterwards.
  void Run(TaintedText* out);

  Value CallMacro(const MacroStmt& macro, const std::shared_ptr<Scope>& closure, Arguments& args);

 private:
  enum class Flow { kNormal, kBreak, kContinue };
  class ScopeGuard;

  // Expressions (interpreter_expr.cc).
  Value Eval(const Expr& expr);
  Value EvalKind(const Expr& expr);
  Value EvalName(const NameExpr& name);
  Value EvalMany(const ManyExpr& expr);
  Value EvalDict(const DictExpr& expr);
  Value EvalSlice(const SliceExpr& expr);
  Value EvalCall(const CallExpr& call, const Value* caller);
  Value EvalFilter(const FilterExpr& expr);
  Value EvalUnary(const UnaryExpr& expr);
  Value EvalCompare(const CompareExpr& expr);
  bool CompareOnce(CompareOp op, const Value& a, const Value& b);
  bool EvalArguments(const CallArguments& from, Arguments* args);

  // Statements (interpreter.cc).
  Flow Exec(const Block& block);
  Flow ExecStmt(const Stmt& stmt);
  Flow ExecIf(const IfStmt& stmt);
  Flow ExecFor(const ForStmt& stmt, const Value& iterable, int64_t depth0);
  Flow ExecSetBlock(const SetBlockStmt& stmt);
  Flow ExecFilterBlock(const FilterBlockStmt& stmt);
  Flow ExecWith(const WithStmt& stmt);
  void ExecCallBlock(const CallBlockStmt& stmt);
  bool KeepPassing(const ForStmt& stmt, std::vector<Value>* items);
  void Assign(const Target& target, Value value);
  void SetName(int symbol, Value value);
  Value MakeMacro(const MacroStmt& macro);
  void Emit(const Value& value);
  bool CheckOutput();
  // Runs `block` in a scope of its own with its text going to `text`.
  Flow Capture(const Block& block, TaintedText* text);

  const Program& program_;
  Runtime& rt_;
  std::vector<Value> globals_;  // by symbol; undefined: no such name
  std::shared_ptr<Scope> scope_;
  TaintedText* out_ = nullptr;
  const Value* filter_input_ = nullptr;  // of the filter block around
  int loop_symbol_, caller_symbol_, varargs_symbol_, kwargs_symbol_;
};

}  // namespace lb::text::jinja
