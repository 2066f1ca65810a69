#include "app/bench/driver.h"

#include <algorithm>
#include <utility>

namespace lb::app {

Result<std::unique_ptr<TokenStream>> BenchDriver::Submit(int prompt_tokens, int64_t answer_tokens) {
  Request request;
  request.id = "bench";
  for (int i = 0; i < prompt_tokens; ++i) {
    request.prompt.push_back(static_cast<TokenId>(next_token_++ * 7919 % vocab_size_));
  }
  request.sampling.temperature = 0;
  request.max_tokens = answer_tokens;
  request.cache_prompt = false;
  return engine_.Submit(std::move(request));
}

Result<int> BenchDriver::Step(Streams& streams, std::vector<int>* tokens_of_stream) {
  const int64_t pauses = engine_.Stats().pauses;
  engine_.Step();
  if (engine_.Stats().pauses != pauses) {
    return Fail(ErrorCode::kUnavailable, "a stream had to pause: the KV pool of {} tokens is small",
                engine_.limits().pool_tokens);
  }
  int tokens = 0;
  for (size_t i = 0; i < streams.size(); ++i) {
    for (const TokenEvent& event : streams[i]->Take()) {
      if (event.kind == TokenEvent::Kind::kFailed) return event.error;
      if (event.kind != TokenEvent::Kind::kToken) continue;
      ++tokens;
      ++(*tokens_of_stream)[i];
    }
  }
  return tokens;
}

Result<double> BenchDriver::Prefill(int tokens) {
  const int64_t start = clock_.NowMicros();
  Streams streams(1);
  std::vector<int> answers(1);
  LB_ASSIGN_OR_RETURN(streams[0], Submit(tokens, 1));
  while (answers[0] == 0) {
    LB_RETURN_IF_ERROR(Step(streams, &answers));
  }
  return tokens * 1e6 / static_cast<double>(std::max<int64_t>(1, clock_.NowMicros() - start));
}

Result<std::vector<double>> BenchDriver::Decode(const BenchTest& test,
                                                const BenchOptions& options) {
  const int prompt = std::max(1, test.depth);
  Streams streams;
  std::vector<int> answers(static_cast<size_t>(test.streams));
  for (int i = 0; i < test.streams; ++i) {
    LB_ASSIGN_OR_RETURN(auto stream, Submit(prompt, TokensOfStream(test, options) - prompt));
    streams.push_back(std::move(stream));
  }
  while (std::ranges::find(answers, 0) != answers.end()) {
    LB_RETURN_IF_ERROR(Step(streams, &answers));
  }
  LB_RETURN_IF_ERROR(Step(streams, &answers));  // from here on a step may tell what the one before it said
  std::vector<double> rates;
  for (int r = 0; r < options.repetitions; ++r) {
    const int64_t start = clock_.NowMicros();
    int tokens = 0;
    for (int i = 0; i < options.answer; ++i) {
      LB_ASSIGN_OR_RETURN(const int now, Step(streams, &answers));
      // Nobody waits for anything now, and the answers are long enough for all repetitions.
      CHECK_EQ(now, test.streams);
      tokens += now;
    }
    rates.push_back(tokens * 1e6 /
                    static_cast<double>(std::max<int64_t>(1, clock_.NowMicros() - start)));
  }
  streams.clear();  // cancels what is left
  while (!engine_.idle()) engine_.Step();
  return rates;
}

Result<void> BenchDriver::WarmUp() {
  const BenchTest test{BenchTest::Kind::kDecode, 1, 0};
  BenchOptions options;
  options.answer = 2;
  options.repetitions = 1;
  LB_RETURN_IF_ERROR(
      Prefill(static_cast<int>(std::min<int64_t>(64, engine_.limits().max_request_tokens - 1))));
  LB_RETURN_IF_ERROR(Decode(test, options));
  return {};
}

Result<std::vector<double>> BenchDriver::Run(const BenchTest& test, const BenchOptions& options) {
  if (test.kind == BenchTest::Kind::kDecode) return Decode(test, options);
  std::vector<double> rates;
  for (int r = 0; r < options.repetitions; ++r) {
    LB_ASSIGN_OR_RETURN(const double rate, Prefill(options.prompt));
    rates.push_back(rate);
  }
  return rates;
}

}  // namespace lb::app
