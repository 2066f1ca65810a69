// Grammars for one vocabulary: what a client asks for, compiled; and one answer followed through
// it. The engine underneath is XGrammar (https://github.com/mlc-ai/xgrammar, arXiv:2411.15100);
// nothing of it shows outside of compiler.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/strong_id.h"
#include "text/tokenizer.h"

namespace lb::grammar {

// What an answer must be.
struct Constraint {
  enum class Kind {
    kNone,
    kJsonObject,     // any JSON object
    kJsonSchema,     // text: a schema as NormalizeSchema gives it
    kGbnf,           // text: llama.cpp's grammar language, from the rule "root"
    kRegex,          // text: as grammar/regex.h reads it
    kStructuralTag,  // text: XGrammar's own JSON for text with bound parts in it; not from clients,
                     // for the schemas in it must be normalized ones
  };
  Kind kind = Kind::kNone;
  std::string text;
  std::string field;  // of the request, for errors
};

// Immutable, shared by the answers it binds.
class CompiledGrammar;

// One answer's way through a grammar. One thread at a time; other matchers of the same grammar may go on meanwhile.
class Matcher {
 public:
  explicit Matcher(std::shared_ptr<const CompiledGrammar> grammar);
  Matcher(Matcher&&) noexcept;
  ~Matcher();

  // Bit t % 32 of word t / 32 is set when token t may be next: it goes on with the answer, or it
  // ends it and the answer may end here. Valid until the next call. At least one bit is set, unless
  // the vocabulary cannot spell what the grammar wants.
  std::span<const uint32_t> Allowed();
  // False, and nothing changes, when `token` may not be next.
  bool Take(TokenId token);
  // The same for text, for tests.
  bool TakeText(const std::string& text);
  // The text so far is one that may end here.
  bool IsComplete() const;
  // Forgets the last `num_tokens` that were taken.
  void Rollback(int num_tokens);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Thread-safe. Compiling takes milliseconds to a few seconds of the calling thread, which must not
// be the engine's; what was compiled is kept, within a bound of memory.
class Compiler {
 public:
  // Control tokens are never allowed, but for those that end an answer, and `shown`, which stand
  // for their text. `tokenizer` must outlive this. Building takes a pass over the vocabulary, at
  // the first grammar.
  explicit Compiler(const text::Tokenizer& tokenizer, std::vector<TokenId> shown = {});
  ~Compiler();

  // kInvalidArgument for bad syntax, kUnsupported for what cannot be enforced, both with `param`.
  Result<std::shared_ptr<const CompiledGrammar>> Compile(const Constraint& constraint);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lb::grammar
