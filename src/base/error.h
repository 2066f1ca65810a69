// The kinds of failure, and the value that carries one.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

namespace lb {

// What went wrong, by who can mend it. api/errors maps each to an HTTP status and an OpenAI error
// type; the command line maps them to exit code 1.
enum class ErrorCode {
  kInvalidArgument,  // the request, flag or file says something it may not say
  kTooLong,          // prompt (plus answer) cannot fit the context
  kNotFound,         // no such model, route, file
  kUnsupported,      // well formed, but a thing this build cannot do
  kCorrupt,          // a file whose bytes contradict each other
  kIo,               // the system refused to read or write
  kOutOfMemory,      // at start-up only
  kOverloaded,       // the queue is full; try again later
  kUnavailable,      // still loading, or shutting down
  kCancelled,        // the client left, or the deadline passed
  kComputeFault,     // a forward pass failed
  kInternal,         // our bug, caught before it could spread
};

// `message` is one line for a person: what, where, which value, what is allowed.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  // The request field at fault ("messages[0].role"), when there is one.
  std::string param;
  // kTooLong of a prompt: its tokens, and how many prompt and answer may have together; 0: unknown.
  int64_t prompt_tokens = 0, context_tokens = 0;
};

}  // namespace lb
