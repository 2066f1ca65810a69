#include "grammar/compiler.h"

#include <dlpack/dlpack.h>
#include <xgrammar/compiler.h>
#include <xgrammar/matcher.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/printable.h"
#include "grammar/gbnf.h"
#include "grammar/regex.h"

namespace lb::grammar {
namespace {

// Compiled grammars kept, all together.
constexpr int64_t kCacheBytes = int64_t{256} << 20;
// Between two parts of JSON: a line break with the indentation of any reasonable nesting. Without a
// bound a small model can write white space for ever.
constexpr int kMaxWhitespace = 24;
constexpr const char* kAnyObject = R"({"type":"object","additionalProperties":true})";

xgrammar::TokenizerInfo InfoOf(const text::Tokenizer& tokenizer,
                               const std::vector<TokenId>& shown) {
  std::vector<std::string> vocabulary;
  vocabulary.reserve(static_cast<size_t>(tokenizer.num_tokens()));
  for (TokenId id = 0; id < tokenizer.num_tokens(); ++id) {
    // Empty ones are never allowed.
    vocabulary.push_back(tokenizer.TokenBytes(id, false));
  }
  for (const TokenId id : shown)
    vocabulary[static_cast<size_t>(id)] = tokenizer.TokenBytes(id, true);
  const std::vector<TokenId>& ends = tokenizer.special().end_of_generation;
  return xgrammar::TokenizerInfo(vocabulary, xgrammar::VocabType::RAW, std::nullopt,
                                 std::vector<int32_t>(ends.begin(), ends.end()));
}

// A bit for each token without control characters other than the line feed. XGrammar lets the
// others into strings whose length it counts, where JSON forbids them; between strings nobody
// misses them.
std::vector<uint32_t> WithoutControls(const text::Tokenizer& tokenizer) {
  const auto size = static_cast<size_t>(tokenizer.num_tokens());
  std::vector<uint32_t> mask((size + 31) / 32, 0);
  for (TokenId id = 0; id < tokenizer.num_tokens(); ++id) {
    const std::string bytes = tokenizer.TokenBytes(id, false);
    const bool good = std::none_of(bytes.begin(), bytes.end(), [](char c) {
      return static_cast<unsigned char>(c) < 0x20 && c != '\n';
    });
    if (good) mask[static_cast<size_t>(id) / 32] |= 1u << (id % 32);
  }
  return mask;
}

Error At(const Error& error, const std::string& field) {
  Error out = error;
  out.param = field;
  return out;
}

}  // namespace

class CompiledGrammar {
 public:
  CompiledGrammar(xgrammar::CompiledGrammar grammar, std::span<const uint32_t> possible)
      : grammar_(std::move(grammar)), possible_(possible) {}
  const xgrammar::CompiledGrammar& get() const { return grammar_; }
  // Tokens that may be in such a text at all; empty: every one.
  std::span<const uint32_t> possible() const { return possible_; }

 private:
  xgrammar::CompiledGrammar grammar_;
  std::span<const uint32_t> possible_;
};

struct Matcher::Impl {
  std::shared_ptr<const CompiledGrammar> grammar;
  xgrammar::GrammarMatcher matcher;
  std::vector<uint32_t> mask;
};

Matcher::Matcher(std::shared_ptr<const CompiledGrammar> grammar) {
  xgrammar::GrammarMatcher matcher(grammar->get());
  const int words = xgrammar::GetBitmaskSize(grammar->get().GetTokenizerInfo().GetVocabSize());
  impl_ = std::make_unique<Impl>(Impl{std::move(grammar), std::move(matcher),
                                      std::vector<uint32_t>(static_cast<size_t>(words))});
}
Matcher::Matcher(Matcher&&) noexcept = default;
Matcher::~Matcher() = default;

std::span<const uint32_t> Matcher::Allowed() {
  auto size = static_cast<int64_t>(impl_->mask.size());
  DLTensor tensor{};
  tensor.data = impl_->mask.data();
  tensor.device = {kDLCPU, 0};
  tensor.ndim = 1;
  tensor.dtype = xgrammar::GetBitmaskDLType();
  tensor.shape = &size;
  impl_->matcher.FillNextTokenBitmask(&tensor);
  const std::span<const uint32_t> possible = impl_->grammar->possible();
  for (size_t i = 0; i < possible.size(); ++i) impl_->mask[i] &= possible[i];
  return impl_->mask;
}

bool Matcher::Take(TokenId token) { return impl_->matcher.AcceptToken(token); }
bool Matcher::TakeText(const std::string& text) { return impl_->matcher.AcceptString(text); }
bool Matcher::IsComplete() const { return impl_->matcher.IsCompleted(); }
void Matcher::Rollback(int num_tokens) { impl_->matcher.Rollback(num_tokens); }

struct Compiler::Impl {
  const text::Tokenizer& tokenizer;
  const std::vector<TokenId> shown;
  std::once_flag once;
  std::optional<xgrammar::GrammarCompiler> compiler;
  std::vector<uint32_t> json_tokens;  // see WithoutControls

  xgrammar::GrammarCompiler& Get() {
    std::call_once(once, [this] {
      compiler.emplace(InfoOf(tokenizer, shown), 1, true, kCacheBytes);
      json_tokens = WithoutControls(tokenizer);
    });
    return *compiler;
  }

  xgrammar::CompiledGrammar CompileSchema(const std::string& schema) {
    return Get().CompileJSONSchema(schema, true, std::nullopt, std::nullopt, true, kMaxWhitespace);
  }
};

Compiler::Compiler(const text::Tokenizer& tokenizer, std::vector<TokenId> shown)
    : impl_(new Impl{tokenizer, std::move(shown), {}, {}, {}}) {}
Compiler::~Compiler() = default;

Result<std::shared_ptr<const CompiledGrammar>> Compiler::Compile(const Constraint& constraint) {
  std::string text = constraint.text;
  if (constraint.kind == Constraint::Kind::kGbnf) {
    Result<std::string> ebnf = TranslateGbnf(text);
    if (!ebnf.has_value()) return At(ebnf.error(), constraint.field);
    text = std::move(ebnf).value();
  } else if (constraint.kind == Constraint::Kind::kRegex) {
    Result<Regex> regex = ReadRegex(text);
    if (!regex.has_value()) return At(regex.error(), constraint.field);
    // The text is ASCII without quotes.
    text = "root ::= Regex(\"";
    for (const char c : regex->text) text += c == '\\' ? std::string("\\\\") : std::string(1, c);
    text += "\")";
  }
  // XGrammar throws what it does not like; our own checks should have found it before.
  try {
    xgrammar::GrammarCompiler& compiler = impl_->Get();
    const auto make = [&]() -> xgrammar::CompiledGrammar {
      switch (constraint.kind) {
        case Constraint::Kind::kNone:
          break;
        case Constraint::Kind::kJsonObject:
          return impl_->CompileSchema(kAnyObject);
        case Constraint::Kind::kJsonSchema:
          return impl_->CompileSchema(text);
        case Constraint::Kind::kGbnf:
        case Constraint::Kind::kRegex:
          return compiler.CompileGrammar(text);
        case Constraint::Kind::kStructuralTag:
          return compiler.CompileStructuralTag(text);
      }
      CHECK(false);  // a constraint without a kind is nobody's to compile
      return compiler.CompileBuiltinJSONGrammar();
    };
    const bool is_json = constraint.kind == Constraint::Kind::kJsonObject ||
                         constraint.kind == Constraint::Kind::kJsonSchema;
    xgrammar::CompiledGrammar made = make();
    const std::span<const uint32_t> possible =
        is_json ? std::span<const uint32_t>(impl_->json_tokens) : std::span<const uint32_t>();
    return std::shared_ptr<const CompiledGrammar>(new CompiledGrammar(std::move(made), possible));
  } catch (const std::exception& fault) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{}: the grammar cannot be enforced: {}", constraint.field,
                             Printable(fault.what(), 300)),
                 constraint.field};
  }
}

}  // namespace lb::grammar
