#include "text/tokenizer.h"

#include <algorithm>
#include <optional>

#include "text/bpe_tokenizer.h"
#include "text/spm_tokenizer.h"
#include "text/unigram_tokenizer.h"
#include "text/wordpiece_tokenizer.h"

namespace lb::text {

Result<std::unique_ptr<Tokenizer>> Tokenizer::FromMetadata(const gguf::Metadata& metadata) {
  constexpr char kModel[] = "tokenizer.ggml.model";
  LB_ASSIGN_OR_RETURN(const std::optional<std::string> model, metadata.String(kModel));
  if (!model) return Fail(ErrorCode::kCorrupt, "{} is missing: the file has no tokenizer", kModel);
  if (*model == "gpt2" || *model == "gemma4") return BpeTokenizer::Create(metadata, *model);
  if (*model == "llama") return SpmTokenizer::Create(metadata);
  if (*model == "bert") return WordPieceTokenizer::Create(metadata);
  if (*model == "t5") return UnigramTokenizer::Create(metadata);
  return Fail(ErrorCode::kUnsupported,
              "{} is \"{}\", supported are gpt2, gemma4, llama, bert and t5", kModel,
              model->substr(0, 64));
}

bool Tokenizer::IsEndOfGeneration(TokenId id) const {
  const std::vector<TokenId>& ends = special().end_of_generation;
  return std::binary_search(ends.begin(), ends.end(), id);
}

}  // namespace lb::text
