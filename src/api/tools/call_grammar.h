// What an answer must be for its calls to be valid.
#pragma once

#include "api/tools/format.h"
#include "api/tools/tool_set.h"
#include "base/result.h"
#include "grammar/compiler.h"

namespace lb::api {

struct CallGrammarOptions {
  // What the answer must be where it is no call; Kind::kNone: any text.
  grammar::Constraint answer;
  // Messages on channels (gpt-oss): the grammar speaks of the whole answer, thoughts included;
  // `thinks`: it may have some.
  bool channels = false, thinks = true;
};

// Where a call must come (must_call), the answer is one, or several where `tools.parallel`; else
// free text is bound from a call's mark on, if a tool is strict or `answer` binds it anyway. The
// arguments of strict tools, and of all where a call must come, follow their schemas; those of
// others are any object. Kind::kNone: nothing is bound. A schema that cannot be enforced is an
// error of its tool, a format whose calls cannot be written as a grammar one of `tool_choice`.
Result<grammar::Constraint> CallGrammar(const ToolFormat& format, const ToolOptions& tools,
                                        const CallGrammarOptions& options);

}  // namespace lb::api
