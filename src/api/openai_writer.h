// The frame around the choices of OpenAI's endpoints: ids, usage, timings. Internal to api/.
#pragma once

#include "api/reply_writer.h"

namespace lb::api {

class OpenAiWriter : public ReplyWriter {
 public:
  void Start(Answers answers, int index, std::string* out) override;
  void Progress(Answers answers, int index, std::string* out) override;
  void Write(Answers answers, int index, const Piece& piece, std::string* out) override;
  void Finish(Answers answers, int index, std::string* out) override;
  void End(Answers answers, std::string* out) override;
  void Fail(const Error& error, std::string* out) override;
  std::string Whole(Answers answers) const override;

 protected:
  struct Names {
    std::string_view id_prefix;     // "chatcmpl-"
    std::string_view object;        // of the plain reply
    std::string_view chunk_object;  // of a streamed event
  };
  OpenAiWriter(const Names& names, OpenAiReply reply);

  // Each appends one element of `choices`; false when there is nothing to say.
  virtual bool WriteStart(int index, JsonWriter* w) const = 0;
  virtual bool WritePiece(int index, const Piece& piece, JsonWriter* w) const = 0;
  virtual void WriteNothing(int index, JsonWriter* w) const = 0;  // a choice with no news
  virtual void WriteFinish(int index, std::string_view reason, JsonWriter* w) const = 0;
  virtual void WriteWhole(int index, const Answer& answer, JsonWriter* w) const = 0;

  const OpenAiReply& reply() const { return reply_; }

 private:
  void WriteHead(std::string_view object, JsonWriter* w) const;
  void BeginChunk(JsonWriter* w) const;
  void EndChunk(JsonWriter* w) const;
  void WriteUsage(Answers answers, JsonWriter* w) const;
  // The answers to show, in order: all, or the most probable ones of each prompt.
  std::vector<const Answer*> Kept(Answers answers) const;
  // Only answers whose context was cut say so.
  static void WriteShifts(Answers answers, JsonWriter* w);
  void WriteEnding(const Answer& first, JsonWriter* w) const;

  const Names names_;
  const OpenAiReply reply_;
  const std::string id_;
  const int64_t created_;
};

}  // namespace lb::api
