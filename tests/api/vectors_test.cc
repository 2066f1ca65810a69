// Proves that bodies for embeddings and reranking are read as they are meant, that vectors are
// scaled and written right, and that a job hands texts over a few at a time and keeps their order.
#include <gtest/gtest.h>

#include <cmath>

#include "api/base64.h"
#include "api/embedding_request.h"
#include "api/vector_job.h"
#include "api/vector_writers.h"
#include "tests/api/fakes.h"

namespace lb::api {
namespace {

Result<EmbeddingRequest> Embedding(std::string_view body) {
  return ParseEmbeddingRequest(ParseJsonObject(body).value(), 100);
}
Result<RerankRequest> Reranking(std::string_view body) {
  return ParseRerankRequest(ParseJsonObject(body).value());
}

TEST(EmbeddingRequests, InputsInAllForms) {
  EXPECT_EQ(Embedding(R"({"input":"a"})")->inputs.size(), 1u);
  EXPECT_EQ(Embedding(R"({"input":["a",""]})")->inputs.size(), 2u);
  EXPECT_EQ(Embedding(R"({"input":[1,2,3]})")->inputs,
            (std::vector<MixedPrompt>{{std::vector<TokenId>{1, 2, 3}}}));
  EXPECT_EQ(Embedding(R"({"input":[[1],[2],"a"]})")->inputs.size(), 3u);
  EXPECT_EQ(Embedding(R"({"input":[1,"a",2]})")->inputs[0].size(), 3u);
  EXPECT_EQ(Embedding(R"({"content":"a"})")->inputs.size(), 1u);
  const MixedPrompt ab{std::string("ab")};
  EXPECT_EQ(Embedding(R"({"input":{"text":"ab"}})")->inputs[0], ab);
  EXPECT_EQ(Embedding(R"({"input":["x",{"prompt_string":"ab"}]})")->inputs[1], ab);
  EXPECT_EQ(Embedding(R"({"input":[{"content":[{"type":"text","text":"a"},)"
                      R"({"type":"text","text":"b"}]}]})")->inputs[0], ab);
  for (const char* bad :
       {R"({})", R"({"input":[]})", R"({"input":[[]]})", R"({"input":[100]})", R"({"input":[-1]})",
        R"({"input":[1.5]})", R"({"input":{}})", R"({"input":["a",null]})", R"({"input":{"content":"a"}})",
                          R"({"input":{"content":[{"type":"image_url"}]}})",
                          R"({"input":{"content":[5]}})"}) {
    const auto request = Embedding(bad);
    ASSERT_FALSE(request.has_value()) << bad;
    EXPECT_EQ(request.error().param, "input") << bad;
  }
}

TEST(EmbeddingRequests, FieldsAndTheirRanges) {
  const auto request = Embedding(
      R"({"input":"a","encoding_format":"base64","dimensions":7,"embd_normalize":-1,"truncate":true})");
  EXPECT_TRUE(request->base64 && request->truncate);
  EXPECT_EQ(request->dimensions, 7);
  EXPECT_EQ(request->normalize, -1);
  for (const char* bad : {R"("dimensions":0)", R"("dimensions":"7")", R"("encoding_format":"x")",
                          R"("embd_normalize":-2)", R"("truncate":1)"}) {
    EXPECT_FALSE(Embedding(fmt::format(R"({{"input":"a",{}}})", bad)).has_value()) << bad;
  }
}

TEST(RerankRequests, DocumentsAndTopN) {
  const auto request =
      Reranking(R"({"query":"q","documents":["a",{"text":"b"}],"top_n":9,"normalize":false})");
  EXPECT_EQ(request->documents, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(request->top_n, 2);
  EXPECT_TRUE(request->return_documents);
  EXPECT_FALSE(request->normalize);
  for (const char* bad :
       {R"({"documents":["a"]})", R"({"query":"","documents":["a"]})", R"({"query":"q"})",
        R"({"query":"q","documents":[]})", R"({"query":"q","documents":[1]})",
        R"({"query":"q","documents":[{}]})", R"({"query":"q","documents":["a"],"top_n":-1})"}) {
    EXPECT_FALSE(Reranking(bad).has_value()) << bad;
  }
}

TEST(RerankRequests, TextsAreTheFormOfTextEmbeddingsInference) {
  const auto plain = Reranking(R"({"query":"q","texts":["a","b"],"top_n":1})");
  EXPECT_EQ(plain->documents, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(plain->top_n, 1);
  EXPECT_TRUE(plain->tei && plain->normalize);
  EXPECT_FALSE(plain->return_documents);
  const auto all = Reranking(R"({"query":"q","texts":["a"],"return_text":true,"raw_scores":true})");
  EXPECT_TRUE(all->return_documents);
  EXPECT_FALSE(all->normalize);
  EXPECT_FALSE(Reranking(R"({"query":"q","documents":["a"],"texts":["b"]})")->tei);
  EXPECT_EQ(Reranking(R"({"query":"q","texts":[1]})").error().param, "texts");
}

TEST(Normalizing, ByEachNorm) {
  const auto scaled = [](int kind) {
    std::vector<float> v{3, -4};
    Normalize(kind, &v);
    return v;
  };
  EXPECT_EQ(scaled(-1), (std::vector<float>{3, -4}));
  EXPECT_EQ(scaled(2), (std::vector<float>{0.6f, -0.8f}));
  EXPECT_FLOAT_EQ(scaled(0)[1], -32760);
  EXPECT_FLOAT_EQ(scaled(1)[0], 3.0f / 7);
  EXPECT_FLOAT_EQ(scaled(3)[0], static_cast<float>(3 / std::cbrt(91.0)));
  std::vector<float> zero{0, 0};
  Normalize(2, &zero);
  EXPECT_EQ(zero, (std::vector<float>{0, 0}));
}

TEST(Base64Text, IsThatOfTheRfc) {
  EXPECT_EQ(Base64(""), "");
  EXPECT_EQ(Base64("f"), "Zg==");
  EXPECT_EQ(Base64("fo"), "Zm8=");
  EXPECT_EQ(Base64("foo"), "Zm9v");
  EXPECT_EQ(Base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(Base64("\xff\xfe\xfd"), "//79");
}

TEST(VectorReplies, AreCutScaledAndInOrder) {
  EmbeddingReply reply;
  reply.model = "m";
  reply.num_texts = 2;
  reply.width = 3;
  reply.dimensions = 2;
  reply.prompt_tokens = 5;
  auto writer = MakeEmbeddingWriter(reply, EmbeddingForm::kOpenAi);
  writer->Add(1, {0, 2, 9});
  writer->Add(0, {3, 4, 9});
  EXPECT_EQ(writer->Whole(),
            R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.6,0.8]},)"
            R"({"object":"embedding","index":1,"embedding":[0.0,1.0]}],"model":"m",)"
            R"("usage":{"prompt_tokens":5,"total_tokens":5}})");
  reply.per_token = true;
  auto native = MakeEmbeddingWriter(reply, EmbeddingForm::kNative);
  native->Add(0, {1, 2, 3, 4, 5, 6});
  native->Add(1, {7, 8, 9});
  EXPECT_EQ(native->Whole(), R"([{"index":0,"embedding":[[1.0,2.0],[4.0,5.0]]},)"
                             R"({"index":1,"embedding":[[7.0,8.0]]}])");
}

TEST(Rankings, BestFirstAndNoMoreThanAskedFor) {
  RerankReply reply;
  reply.model = "m";
  reply.num_texts = 3;
  reply.top_n = 2;
  reply.normalize = false;
  reply.documents = {"a", "b", "c"};
  auto writer = MakeRerankWriter(reply);
  writer->Add(2, {1.5f});
  writer->Add(0, {-1});
  writer->Add(1, {1.5f});
  EXPECT_EQ(
      writer->Whole(),
      R"({"model":"m","object":"list","usage":{"prompt_tokens":0,"total_tokens":0},"results":[)"
      R"({"index":1,"relevance_score":1.5,"document":{"text":"b"}},)"
      R"({"index":2,"relevance_score":1.5,"document":{"text":"c"}}]})");
}

TEST(Rankings, OfTextEmbeddingsInferenceAreAList) {
  RerankReply reply;
  reply.num_texts = reply.top_n = 2;
  reply.normalize = false;
  reply.tei = true;
  const auto whole = [&] {
    auto writer = MakeRerankWriter(reply);
    writer->Add(0, {-1});
    writer->Add(1, {1.5f});
    return writer->Whole();
  };
  EXPECT_EQ(whole(), R"([{"index":1,"score":1.5},{"index":0,"score":-1.0}])");
  reply.documents = {"a", "b"};
  EXPECT_EQ(whole(), R"([{"index":1,"score":1.5,"text":"b"},{"index":0,"score":-1.0,"text":"a"}])");
}

// Counts what is open at a time.
class CountingWriter final : public VectorWriter {
 public:
  explicit CountingWriter(std::vector<float>* got) : got_(got) {}
  void Add(size_t index, std::vector<float> vector) override { (*got_)[index] = vector[0]; }
  std::string Whole() const override { return "done"; }

 private:
  std::vector<float>* got_;
};

TEST(VectorJobs, HandOverAFewTextsAtATime) {
  size_t asked = 0;
  FakeEngine engine([&](const Request& request) {
    EXPECT_TRUE(request.embed);
    ++asked;
    TokenEvent end;
    end.kind = TokenEvent::Kind::kFinished;
    end.vector = {static_cast<float>(request.prompt[0])};
    return std::vector<TokenEvent>{end};
  });
  const size_t many = 10 * static_cast<size_t>(engine.limits().max_sequences) + 3;
  std::vector<Request> requests(many);
  for (size_t i = 0; i < many; ++i) {
    requests[i].prompt = {static_cast<TokenId>(i)};
    requests[i].embed = true;
  }
  std::vector<float> got(many, -1);
  auto job = VectorJob::Start(&engine, std::move(requests), std::make_unique<CountingWriter>(&got))
                 .value();
  EXPECT_EQ(asked, 2 * static_cast<size_t>(engine.limits().max_sequences));
  std::string out;
  while (!job->Advance(&out)) {
  }
  EXPECT_FALSE(job->error());
  EXPECT_EQ(job->Body(), "done");
  EXPECT_EQ(asked, many);
  for (size_t i = 0; i < many; ++i) EXPECT_EQ(got[i], static_cast<float>(i));
}

TEST(VectorJobs, AFailedTextIsTheJobsError) {
  FakeEngine engine([](const Request&) {
    TokenEvent end;
    end.kind = TokenEvent::Kind::kFailed;
    end.error = Error{ErrorCode::kComputeFault, "broken", {}};
    return std::vector<TokenEvent>{end};
  });
  std::vector<Request> requests(2);
  for (Request& r : requests) r.prompt = {1};
  std::vector<float> got(2);
  auto job = VectorJob::Start(&engine, std::move(requests), std::make_unique<CountingWriter>(&got))
                 .value();
  std::string out;
  EXPECT_TRUE(job->Advance(&out));
  EXPECT_EQ(job->error()->message, "broken");
}

}  // namespace
}  // namespace lb::api
