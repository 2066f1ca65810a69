// VectorJob: the vectors (or scores) of many texts, on their way through the engine.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/pending_reply.h"
#include "engine/engine_client.h"

namespace lb::api {

// The form of the reply. Gets each text's vector once, in any order.
class VectorWriter {
 public:
  virtual ~VectorWriter() = default;
  virtual void Add(size_t index, std::vector<float> vector) = 0;
  virtual std::string Whole() const = 0;
};

// Hands the engine as many texts at a time as keep it busy, so that a caller with thousands neither
// fills the queue nor holds up others; work and memory grow with their number and no faster.
class VectorJob final : public PendingReply {
 public:
  // `requests` is not empty. Submits the first texts; an error is that of the very first.
  static Result<std::unique_ptr<VectorJob>> Start(EngineClient* engine,
                                                  std::vector<Request> requests,
                                                  std::unique_ptr<VectorWriter> writer);

  void OnReady(const std::function<void()>& wake) override;
  bool Advance(std::string* out) override;
  void Fail(Error error) override;
  const std::optional<Error>& error() const override { return error_; }
  std::string Body() const override { return writer_->Whole(); }

 private:
  VectorJob(EngineClient* engine, std::vector<Request> requests,
            std::unique_ptr<VectorWriter> writer)
      : engine_(engine), requests_(std::move(requests)), writer_(std::move(writer)) {}
  void Submit();

  struct Running {
    size_t index;
    std::unique_ptr<TokenStream> stream;
  };

  EngineClient* engine_;
  std::vector<Request> requests_;
  std::unique_ptr<VectorWriter> writer_;
  std::vector<Running> running_;
  size_t next_ = 0;  // the first that was not submitted
  std::function<void()> wake_;
  std::optional<Error> error_;
};

}  // namespace lb::api
