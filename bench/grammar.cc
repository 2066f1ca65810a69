// What a grammar costs: compiling it, and the mask of each token of an answer.
//
//   grammar_bench MODEL.gguf [SCHEMA.json ANSWER.json]
//
// Without files: a schema of usual size and an answer to it. The model's file is read for its
// vocabulary only. To be set beside the time of a step: `llama-box bench --streams 16`.
#include <algorithm>
#include <boost/json/parse.hpp>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <vector>

#include "bench/clock.h"
#include "gguf/gguf_file.h"
#include "grammar/compiler.h"
#include "grammar/schema.h"
#include "text/tokenizer.h"

namespace lb {
namespace {

constexpr const char* kSchema = R"({"type":"object","properties":{
  "name":{"type":"string","maxLength":40},"age":{"type":"integer","minimum":0,"maximum":150},
  "role":{"enum":["admin","user","guest"]},"tags":{"type":"array","items":{"type":"string"},"maxItems":5},
  "address":{"type":"object","properties":{"street":{"type":"string"},"zip":{"type":"string","pattern":"^[0-9]{5}$"}},
             "required":["street","zip"]}},"required":["name","age","role","tags","address"]})";
constexpr const char* kAnswer = R"({
  "name": "Ada Lovelace of London",
  "age": 36,
  "role": "admin",
  "tags": ["mathematics", "engines", "a poet's daughter"],
  "address": {"street": "12 St James's Square, near the park", "zip": "12345"}
})";

std::string ReadFile(const char* path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

int Run(int argc, char** argv) {
  if (argc != 2 && argc != 4) {
    std::fprintf(stderr, "grammar_bench MODEL.gguf [SCHEMA.json ANSWER.json]\n");
    return 2;
  }
  const std::string schema = argc == 4 ? ReadFile(argv[2]) : kSchema;
  const std::string answer = argc == 4 ? ReadFile(argv[3]) : kAnswer;
  const auto file = gguf::GgufFile::Open(argv[1]).value();
  const auto tokenizer = text::Tokenizer::FromMetadata(file->metadata()).value();
  g_cpu_time = true;
  grammar::Compiler compiler(*tokenizer);
  const auto compile = [&](const char* text) {
    const std::string normal = grammar::NormalizeSchema(boost::json::parse(text), "schema").value();
    const double start = Seconds();
    auto compiled =
        compiler.Compile({grammar::Constraint::Kind::kJsonSchema, normal, "schema"}).value();
    return std::pair(compiled, 1e3 * (Seconds() - start));
  };
  std::printf("vocabulary of %d, prepared in %.0f ms (once)\n", tokenizer->num_tokens(),
              compile("{\"type\":\"null\"}").second);
  const auto [grammar, compile_ms] = compile(schema.c_str());
  std::printf("schema compiled in %.1f ms, again in %.3f ms\n", compile_ms,
              compile(schema.c_str()).second);

  const std::vector<TokenId> tokens = tokenizer->Encode(answer, false, false);
  std::vector<double> micros;
  for (int round = 0; round < 20; ++round) {
    grammar::Matcher matcher(grammar);
    for (const TokenId token : tokens) {
      const double start = Seconds();
      matcher.Allowed();
      const bool taken = matcher.Take(token);
      micros.push_back(1e6 * (Seconds() - start));
      if (!taken) {
        std::fprintf(stderr, "the answer is no instance of the schema\n");
        return 1;
      }
    }
  }
  std::sort(micros.begin(), micros.end());
  double sum = 0;
  for (const double one : micros) sum += one;
  std::printf(
      "mask and step of a token, %zu tokens: mean %.1f us, median %.1f, 99th percentile %.1f, "
      "worst %.1f\n",
      tokens.size(), sum / static_cast<double>(micros.size()), micros[micros.size() / 2],
      micros[micros.size() * 99 / 100], micros.back());
  return 0;
}

}  // namespace
}  // namespace lb

int main(int argc, char** argv) { return lb::Run(argc, argv); }
