// RunPerplexity: what the flags name, put together for ScoreTokens.
#include <algorithm>
#include <limits>
#include <utility>

#include "app/compose.h"
#include "app/lora_adapters.h"
#include "app/perplexity.h"
#include "gguf/gguf_file.h"
#include "text/tokenizer.h"

namespace lb::app {

Result<PerplexityReport> RunPerplexity(const Flags& flags, Ops& ops, PerplexityOptions options,
                                       const PerplexityProgress& progress) {
  LB_ASSIGN_OR_RETURN(const KvDTypes types, KvTypesOf(flags));
  options.k_dtype = types.k;
  options.v_dtype = types.v;
  if (flags.ctx_size > 0) options.chunk_tokens = static_cast<int>(std::min<int64_t>(flags.ctx_size, std::numeric_limits<int>::max()));
  if (flags.batch_size > 0) options.batch_tokens = flags.batch_size;
  LB_ASSIGN_OR_RETURN(const auto file, gguf::GgufFile::Open(flags.model));
  LB_ASSIGN_OR_RETURN(const auto tokenizer, text::Tokenizer::FromMetadata(file->metadata()));
  LB_ASSIGN_OR_RETURN(const std::string text, ReadTextFile(flags.text_file));
  const std::vector<TokenId> tokens = tokenizer->Encode(text, true, false);
  if (tokenizer->special().add_bos) options.bos = tokenizer->special().bos;
  LB_ASSIGN_OR_RETURN(const auto model, LoadModel(*file, ops, nullptr));
  LB_ASSIGN_OR_RETURN(const auto adapters, LoadAdapters(flags, ops, model.get()));
  if (adapters != nullptr) options.adapters = adapters->Current();
  return ScoreTokens(*model, ops, tokens, options, progress);
}

}  // namespace lb::app
