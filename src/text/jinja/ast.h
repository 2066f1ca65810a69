// A parsed template.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/callable.h"
#include "text/jinja/symbols.h"
#include "text/jinja/value.h"

namespace lb::text::jinja {

enum class ExprKind : uint8_t {
  kConst,
  kName,
  kList,
  kTuple,
  kDict,
  kAttribute,
  kItem,
  kSlice,
  kCall,
  kFilter,
  kTest,
  kUnary,
  kBinary,
  kAnd,
  kOr,
  kConcat,
  kCompare,
  kConditional,
};

struct Expr {
  Expr(ExprKind kind, int line) : kind(kind), line(line) {}
  virtual ~Expr() = default;
  ExprKind kind;
  int line;
  int depth = 1;  // 1 + that of the deepest child; bounded by the parser
};
using ExprPtr = std::unique_ptr<Expr>;

struct ConstExpr : Expr {
  ConstExpr(int line, Value value) : Expr(ExprKind::kConst, line), value(std::move(value)) {}
  Value value;
};

struct NameExpr : Expr {
  NameExpr(int line, int symbol) : Expr(ExprKind::kName, line), symbol(symbol) {}
  int symbol;
};

// List, tuple, `~` chain, and the operands of and, or.
struct ManyExpr : Expr {
  using Expr::Expr;
  std::vector<ExprPtr> items;
};

struct DictExpr : Expr {
  explicit DictExpr(int line) : Expr(ExprKind::kDict, line) {}
  std::vector<std::pair<ExprPtr, ExprPtr>> entries;
};

struct AttributeExpr : Expr {
  AttributeExpr(int line, ExprPtr object, int symbol)
      : Expr(ExprKind::kAttribute, line), object(std::move(object)), symbol(symbol) {}
  ExprPtr object;
  int symbol;
};

struct ItemExpr : Expr {
  explicit ItemExpr(int line) : Expr(ExprKind::kItem, line) {}
  ExprPtr object, key;
};

struct SliceExpr : Expr {
  explicit SliceExpr(int line) : Expr(ExprKind::kSlice, line) {}
  ExprPtr object;
  ExprPtr start, stop, step;  // null: left out
};

struct CallArguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<Value, ExprPtr>> named;
  ExprPtr more_positional, more_named;  // *args, **kwargs; null without
};

struct CallExpr : Expr {
  explicit CallExpr(int line) : Expr(ExprKind::kCall, line) {}
  ExprPtr callee;
  CallArguments args;
};

// value | name(args), and value is name(args).
struct FilterExpr : Expr {
  using Expr::Expr;
  ExprPtr value;  // null in a filter block: the block's text
  std::string name;
  Function function = nullptr;  // null: there is none of that name
  bool negated = false;         // is not
  CallArguments args;
};

enum class UnaryOp : uint8_t { kNot, kMinus, kPlus };
struct UnaryExpr : Expr {
  UnaryExpr(int line, UnaryOp op, ExprPtr operand)
      : Expr(ExprKind::kUnary, line), op(op), operand(std::move(operand)) {}
  UnaryOp op;
  ExprPtr operand;
};

using BinaryFunction = Value (*)(Runtime& rt, const Value& a, const Value& b);
struct BinaryExpr : Expr {
  BinaryExpr(int line, BinaryFunction function, ExprPtr left, ExprPtr right)
      : Expr(ExprKind::kBinary, line),
        function(function),
        left(std::move(left)),
        right(std::move(right)) {}
  BinaryFunction function;
  ExprPtr left, right;
};

enum class CompareOp : uint8_t { kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn };
struct CompareExpr : Expr {
  explicit CompareExpr(int line) : Expr(ExprKind::kCompare, line) {}
  ExprPtr first;
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
};

struct ConditionalExpr : Expr {
  explicit ConditionalExpr(int line) : Expr(ExprKind::kConditional, line) {}
  ExprPtr then, condition, otherwise;  // otherwise: null without else
};

// What a value is assigned to: a name, an attribute of a namespace, or a tuple of targets.
struct Target {
  enum class Kind : uint8_t { kName, kNamespace, kTuple } kind = Kind::kName;
  int line = 0;
  int symbol = -1;
  Value attribute;  // the name, of a namespace's attribute
  std::vector<Target> parts;
};

enum class StmtKind : uint8_t {
  kText,
  kOutput,
  kIf,
  kFor,
  kSet,
  kSetBlock,
  kMacro,
  kCallBlock,
  kFilterBlock,
  kWith,
  kScope,
  kBreak,
  kContinue,
  kUnavailable,
};

struct Stmt {
  Stmt(StmtKind kind, int line) : kind(kind), line(line) {}
  virtual ~Stmt() = default;
  StmtKind kind;
  int line;
};
using Block = std::vector<std::unique_ptr<Stmt>>;

struct TextStmt : Stmt {
  TextStmt(int line, std::string text) : Stmt(StmtKind::kText, line), text(std::move(text)) {}
  std::string text;
};

struct OutputStmt : Stmt {
  OutputStmt(int line, ExprPtr expr) : Stmt(StmtKind::kOutput, line), expr(std::move(expr)) {}
  ExprPtr expr;
};

struct IfStmt : Stmt {
  explicit IfStmt(int line) : Stmt(StmtKind::kIf, line) {}
  std::vector<std::pair<ExprPtr, Block>> branches;  // if, elif...
  Block otherwise;
};

struct ForStmt : Stmt {
  explicit ForStmt(int line) : Stmt(StmtKind::kFor, line) {}
  Target target;
  ExprPtr iterable;
  ExprPtr filter;  // for ... if; null without
  bool recursive = false;
  bool uses_loop = false;  // the body names `loop`
  Block body, otherwise;
};

struct SetStmt : Stmt {
  explicit SetStmt(int line) : Stmt(StmtKind::kSet, line) {}
  Target target;
  ExprPtr value;
};

struct SetBlockStmt : Stmt {
  explicit SetBlockStmt(int line) : Stmt(StmtKind::kSetBlock, line) {}
  Target target;
  ExprPtr filter;  // a chain of filters over the text, or null
  Block body;
};

// Also the body of a call block.
struct MacroStmt : Stmt {
  MacroStmt(StmtKind kind, int line) : Stmt(kind, line) {}
  int symbol = -1;
  std::string name;
  struct Parameter {
    int symbol;
    Value name;
    ExprPtr missing;  // its default, or null
  };
  std::vector<Parameter> parameters;
  bool uses_caller = false, uses_varargs = false, uses_kwargs = false;
  Block body;
};

struct CallBlockStmt : MacroStmt {
  explicit CallBlockStmt(int line) : MacroStmt(StmtKind::kCallBlock, line) {}
  std::unique_ptr<CallExpr> call;
};

struct FilterBlockStmt : Stmt {
  explicit FilterBlockStmt(int line) : Stmt(StmtKind::kFilterBlock, line) {}
  ExprPtr filter;
  Block body;
};

struct WithStmt : Stmt {
  explicit WithStmt(int line) : Stmt(StmtKind::kWith, line) {}
  std::vector<std::pair<Target, ExprPtr>> values;
  Block body;
};

// A body with names of its own: block, generation, autoescape.
struct ScopeStmt : Stmt {
  explicit ScopeStmt(int line) : Stmt(StmtKind::kScope, line) {}
  Block body;
};

// include, import, extends: there is nowhere to load from.
struct UnavailableStmt : Stmt {
  UnavailableStmt(int line, std::string tag)
      : Stmt(StmtKind::kUnavailable, line), tag(std::move(tag)) {}
  std::string tag;
};

struct Program {
  Block body;
  Symbols symbols;
};

}  // namespace lb::text::jinja
