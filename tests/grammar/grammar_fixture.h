// A vocabulary of bytes, and whether a grammar takes a text.
#pragma once

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <memory>
#include <string>

#include "grammar/compiler.h"
#include "grammar/schema.h"
#include "tests/text/tiny_vocabs.h"
#include "text/tokenizer.h"

namespace lb::grammar {

class GrammarTest : public ::testing::Test {
 protected:
  GrammarTest()
      : tokenizer_(text::Tokenizer::FromMetadata(text::TinyBpe("gpt-2").Build()).value()),
        compiler_(*tokenizer_) {}

  Result<Matcher> Start(Constraint::Kind kind, const std::string& text) {
    LB_ASSIGN_OR_RETURN(auto compiled, compiler_.Compile({kind, text, "field"}));
    return Matcher(std::move(compiled));
  }

  // The whole of `text` and nothing after it.
  bool Takes(Constraint::Kind kind, const std::string& grammar, const std::string& text) {
    Result<Matcher> matcher = Start(kind, grammar);
    EXPECT_TRUE(matcher.has_value()) << (matcher ? "" : matcher.error().message) << "\n" << grammar;
    return matcher.has_value() && (text.empty() || matcher->TakeText(text)) &&
           matcher->IsComplete();
  }

  std::string Normal(const std::string& schema) {
    Result<std::string> out = NormalizeSchema(boost::json::parse(schema), "schema");
    EXPECT_TRUE(out.has_value()) << (out ? "" : out.error().message) << "\n" << schema;
    return out.has_value() ? *out : "{}";
  }
  bool FitsSchema(const std::string& schema, const std::string& text) {
    return Takes(Constraint::Kind::kJsonSchema, Normal(schema), text);
  }
  Error Refusal(const std::string& schema) {
    Result<std::string> out = NormalizeSchema(boost::json::parse(schema), "schema");
    EXPECT_FALSE(out.has_value()) << schema;
    return out.has_value() ? Error{} : out.error();
  }

  std::unique_ptr<text::Tokenizer> tokenizer_;
  Compiler compiler_;
};

}  // namespace lb::grammar
