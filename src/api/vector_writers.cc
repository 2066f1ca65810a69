#include "api/vector_writers.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

#include "api/base64.h"
#include "api/embedding_request.h"
#include "api/json_writer.h"

namespace lb::api {
namespace {

static_assert(std::endian::native == std::endian::little, "base64 vectors are little-endian");

void WriteFloats(std::span<const float> values, JsonWriter* w) {
  w->BeginArray();
  for (float x : values) w->Float(x);
  w->EndArray();
}

void WriteUsage(int64_t tokens, JsonWriter* w) {
  w->Key("usage").BeginObject();
  w->Key("prompt_tokens").Int(tokens).Key("total_tokens").Int(tokens).EndObject();
}

// Turns each vector to JSON as it comes, which spreads the work and keeps it off the end.
class EmbeddingWriter : public VectorWriter {
 public:
  explicit EmbeddingWriter(EmbeddingReply reply)
      : reply_(std::move(reply)), items_(reply_.num_texts) {}

  void Add(size_t index, std::vector<float> vector) override {
    JsonWriter w;
    WriteItem(index, std::move(vector), &w);
    items_[index] = w.Take();
  }

 protected:
  virtual void WriteItem(size_t index, std::vector<float> vector, JsonWriter* w) const = 0;
  std::vector<float> Finished(std::vector<float> vector) const {
    vector.resize(static_cast<size_t>(reply_.dimensions));
    Normalize(reply_.normalize, &vector);
    return vector;
  }
  void WriteItems(JsonWriter* w) const {
    w->BeginArray();
    for (const std::string& item : items_) w->Raw(item);
    w->EndArray();
  }

  EmbeddingReply reply_;
  std::vector<std::string> items_;  // of each text
};

class OpenAiWriter final : public EmbeddingWriter {
 public:
  using EmbeddingWriter::EmbeddingWriter;
  std::string Whole() const override {
    JsonWriter w;
    w.BeginObject().Key("object").String("list").Key("data");
    WriteItems(&w);
    w.Key("model").String(reply_.model);
    WriteUsage(reply_.prompt_tokens, &w);
    return w.EndObject().Take();
  }

 protected:
  void WriteItem(size_t index, std::vector<float> vector, JsonWriter* w) const override {
    vector = Finished(std::move(vector));
    w->BeginObject()
        .Key("object")
        .String("embedding")
        .Key("index")
        .Int(static_cast<int64_t>(index));
    w->Key("embedding");
    if (reply_.base64) {
      w->String(Base64({reinterpret_cast<const char*>(vector.data()), vector.size() * 4}));
    } else {
      WriteFloats(vector, w);
    }
    w->EndObject();
  }
};

class NativeWriter final : public EmbeddingWriter {
 public:
  using EmbeddingWriter::EmbeddingWriter;
  std::string Whole() const override {
    JsonWriter w;
    WriteItems(&w);
    return w.Take();
  }

 protected:
  void WriteItem(size_t index, std::vector<float> vector, JsonWriter* w) const override {
    w->BeginObject().Key("index").Int(static_cast<int64_t>(index));
    w->Key("embedding").BeginArray();
    if (reply_.per_token) {
      const auto width = static_cast<size_t>(reply_.width);
      for (size_t at = 0; at + width <= vector.size(); at += width) {
        WriteFloats(std::span(vector).subspan(at, static_cast<size_t>(reply_.dimensions)), w);
      }
    } else {
      WriteFloats(Finished(std::move(vector)), w);
    }
    w->EndArray().EndObject();
  }
};

class OllamaWriter final : public EmbeddingWriter {
 public:
  OllamaWriter(EmbeddingReply reply, bool one) : EmbeddingWriter(std::move(reply)), one_(one) {}
  std::string Whole() const override {
    JsonWriter w;
    w.BeginObject();
    if (one_) return w.Key("embedding").Raw(items_.front()).EndObject().Take();
    w.Key("model").String(reply_.model).Key("embeddings");
    WriteItems(&w);
    const auto spent = std::chrono::steady_clock::now() - start_;
    w.Key("total_duration").Int(std::chrono::nanoseconds(spent).count());
    w.Key("load_duration").Int(0);
    w.Key("prompt_eval_count").Int(reply_.prompt_tokens);
    return w.EndObject().Take();
  }

 protected:
  void WriteItem(size_t, std::vector<float> vector, JsonWriter* w) const override {
    WriteFloats(Finished(std::move(vector)), w);
  }

 private:
  const bool one_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

class RerankWriter final : public VectorWriter {
 public:
  explicit RerankWriter(RerankReply reply) : reply_(std::move(reply)), scores_(reply_.num_texts) {}

  void Add(size_t index, std::vector<float> vector) override {
    const float score = vector.at(0);
    scores_[index] = reply_.normalize ? 1.0f / (1.0f + std::exp(-score)) : score;
  }

  std::string Whole() const override {
    std::vector<size_t> order(scores_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return scores_[a] > scores_[b]; });
    order.resize(std::min(order.size(), reply_.top_n));
    JsonWriter w;
    if (!reply_.tei) {
      w.BeginObject().Key("model").String(reply_.model).Key("object").String("list");
      WriteUsage(reply_.prompt_tokens, &w);
      w.Key("results");
    }
    w.BeginArray();
    for (const size_t i : order) {
      w.BeginObject().Key("index").Int(static_cast<int64_t>(i));
      w.Key(reply_.tei ? "score" : "relevance_score").Float(scores_[i]);
      if (!reply_.documents.empty() && reply_.tei) {
        w.Key("text").String(reply_.documents[i]);
      } else if (!reply_.documents.empty()) {
        w.Key("document").BeginObject().Key("text").String(reply_.documents[i]).EndObject();
      }
      w.EndObject();
    }
    w.EndArray();
    if (!reply_.tei) w.EndObject();
    return w.Take();
  }

 private:
  RerankReply reply_;
  std::vector<float> scores_;
};

}  // namespace

std::unique_ptr<VectorWriter> MakeEmbeddingWriter(EmbeddingReply reply, EmbeddingForm form) {
  switch (form) {
    case EmbeddingForm::kOpenAi:
      break;
    case EmbeddingForm::kNative:
      return std::make_unique<NativeWriter>(std::move(reply));
    case EmbeddingForm::kOllama:
    case EmbeddingForm::kOllamaOne:
      return std::make_unique<OllamaWriter>(std::move(reply), form == EmbeddingForm::kOllamaOne);
  }
  return std::make_unique<OpenAiWriter>(std::move(reply));
}

std::unique_ptr<VectorWriter> MakeRerankWriter(RerankReply reply) {
  return std::make_unique<RerankWriter>(std::move(reply));
}

}  // namespace lb::api
