// Attention over paged K and V: two passes over all scores of a query.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/backends.h"
#include "kernels/ref/ref_ops.h"

namespace lb {

void RefOps::PagedAttention(const TensorView& q, const KvLayer& kv, const SequenceBatch& batch,
                            const KvBatch& blocks, const AttentionParams& params,
                            const TensorView& out) {
  const int num_tokens = batch.num_tokens();
  CHECK_EQ(q.num_elements() % (static_cast<int64_t>(num_tokens) * kv.k_dim), 0);
  const int heads = static_cast<int>(q.num_elements() / num_tokens / kv.k_dim);
  CHECK_EQ(heads % kv.num_kv_heads, 0);
  CHECK_EQ(out.num_elements(), static_cast<int64_t>(num_tokens) * heads * kv.v_dim);
  const int group = heads / kv.num_kv_heads;
  std::vector<float> k_row(static_cast<size_t>(kv.k_dim));
  std::vector<float> v_row(static_cast<size_t>(kv.v_dim));
  std::vector<double> score;
  std::vector<double> sum(static_cast<size_t>(kv.v_dim));
  for (int s = 0; s < batch.num_sequences(); ++s) {
    const int32_t* table = blocks.block_table.data() + static_cast<int64_t>(s) * blocks.max_blocks;
    for (int t = batch.query_start[s]; t < batch.query_start[s + 1]; ++t) {
      const int position = batch.positions[t];
      const int first = params.window > 0 ? std::max(0, position - params.window + 1) : 0;
      const int last = std::min(position + params.ahead, batch.context_len[s] - 1);
      const auto block_of = [&](int p) {
        const int32_t block = table[p / kKvBlockTokens];
        CHECK(block >= 0 && block < kv.num_blocks);
        return block;
      };
      for (int h = 0; h < heads; ++h) {
        const float* query = q.f32() + (static_cast<int64_t>(t) * heads + h) * kv.k_dim;
        score.clear();
        for (int p = first; p <= last; ++p) {
          Info(kv.k_dtype).decode(KvRow(kv.k, kv.k_dtype, kv.k_dim, kv.num_kv_heads, block_of(p),
                                        h / group, p % kKvBlockTokens),
                                  k_row.data(), kv.k_dim);
          double dot = 0;
          for (int d = 0; d < kv.k_dim; ++d) dot += static_cast<double>(query[d]) * k_row[d];
          dot *= params.scale;
          if (params.softcap > 0) dot = params.softcap * std::tanh(dot / params.softcap);
          score.push_back(dot);
        }
        const double largest = *std::max_element(score.begin(), score.end());
        double total = 0;
        std::fill(sum.begin(), sum.end(), 0.0);
        for (int p = first; p <= last; ++p) {
          Info(kv.v_dtype).decode(KvRow(kv.v, kv.v_dtype, kv.v_dim, kv.num_kv_heads, block_of(p),
                                        h / group, p % kKvBlockTokens),
                                  v_row.data(), kv.v_dim);
          const double weight = std::exp(score[static_cast<size_t>(p - first)] - largest);
          total += weight;
          for (int d = 0; d < kv.v_dim; ++d) sum[d] += weight * v_row[d];
        }
        float* result = out.f32() + (static_cast<int64_t>(t) * heads + h) * kv.v_dim;
        for (int d = 0; d < kv.v_dim; ++d) result[d] = static_cast<float>(sum[d] / total);
      }
    }
  }
}

std::unique_ptr<Ops> MakeRefOps() { return std::make_unique<RefOps>(); }

}  // namespace lb
