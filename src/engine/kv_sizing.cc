#include "engine/kv_sizing.h"

#include <algorithm>
#include <limits>

namespace lb {
namespace {

constexpr double kMiB = 1024.0 * 1024.0;
constexpr int64_t kAverageRequest = 1024;  // tokens; only for the line in the log
// More cache than this many requests of full length hold is memory that others may need more.
constexpr int64_t kAutoFullRequests = 16;

}  // namespace

Result<DType> ParseKvDType(std::string_view flag, std::string_view name) {
  const std::optional<DType> dtype = name == "fp8" ? DType::kFP8E4M3 : DTypeFromName(name);
  for (DType allowed : {DType::kF16, DType::kBF16, DType::kF32, DType::kQ8_0, DType::kQ4_0, DType::kFP8E4M3}) {
    if (dtype == allowed) return allowed;
  }
  return Fail(ErrorCode::kInvalidArgument, "{} {}: allowed are f16, bf16, f32, q8_0, q4_0 and fp8 (fp8_e4m3)", flag,
              name);
}

int64_t BytesPerToken(const ModelConfig& model, KvDTypes dtypes) {
  const int64_t head = RowBytes(dtypes.k, model.k_dim) + RowBytes(dtypes.v, model.v_dim);
  int64_t bytes = 0;
  for (int heads : model.num_kv_heads) bytes += heads * head;
  return bytes;
}

namespace {

double MiB(int64_t bytes) { return static_cast<double>(bytes) / kMiB; }

int64_t AutoMemory(int64_t bytes_per_token, int64_t trained, const KvSizing& sizing) {
  const int64_t full = std::max<int64_t>(trained, kv::kBlockTokens) * bytes_per_token;
  if (sizing.available_bytes == 0) return full;
  const int64_t share = sizing.all_of_it ? sizing.available_bytes : sizing.available_bytes / 2;
  return std::min(share, full * kAutoFullRequests);
}

Result<void> CheckPool(const KvPlan& plan, const KvSizing& sizing) {
  // Slots of the pool are numbered with 32 bits.
  constexpr int64_t kMostTokens = std::numeric_limits<int32_t>::max();
  if (plan.pool_tokens >= kv::kBlockTokens && plan.max_request_tokens >= 2 &&
      plan.pool_tokens <= kMostTokens) {
    return {};
  }
  const std::string asked =
      sizing.ctx_size > 0 ? fmt::format("-c/--ctx-size {}", sizing.ctx_size)
      : sizing.memory_bytes > 0
          ? fmt::format("--kv-memory of {:.1f} MiB", MiB(sizing.memory_bytes))
          : fmt::format("{} {:.1f} MiB of memory available", sizing.all_of_it ? "the" : "half of the",
                        MiB(sizing.available_bytes));
  return Fail(ErrorCode::kInvalidArgument,
              "{} gives {} KV tokens of {} bytes each, of which a request may have {}; a pool has "
              "{} to {} tokens, a request at least 2",
              asked, plan.pool_tokens, plan.bytes_per_token, plan.max_request_tokens,
              kv::kBlockTokens, kMostTokens);
}

Result<void> CheckMemory(const KvPlan& plan, const KvSizing& sizing) {
  const auto refuse = [&](std::string_view who, int64_t bytes) {
    return Fail(
        ErrorCode::kInvalidArgument,
        "the KV pool of {} tokens of {} bytes takes {:.1f} MiB, and {} {:.1f} MiB, which is {} "
        "tokens: lower -c/--ctx-size{}",
        plan.pool_tokens, plan.bytes_per_token, MiB(plan.pool_bytes), who, MiB(bytes),
        bytes / (plan.bytes_per_token * kv::kBlockTokens) * kv::kBlockTokens,
        sizing.ctx_size > 0 ? ", or choose a smaller -ctk/-ctv type" : " or --kv-memory");
  };
  if (sizing.memory_bytes > 0 && plan.pool_bytes > sizing.memory_bytes) {
    return refuse("--kv-memory allows", sizing.memory_bytes);
  }
  if (sizing.available_bytes > 0 && plan.pool_bytes > sizing.available_bytes) {
    return refuse("this machine has", sizing.available_bytes);
  }
  return {};
}

}  // namespace

Result<KvPlan> PlanKv(const ModelConfig& model, const KvSizing& sizing) {
  for (auto [dtype, dim, what] : {std::tuple{sizing.dtypes.k, model.k_dim, "-ctk"},
                                  std::tuple{sizing.dtypes.v, model.v_dim, "-ctv"}}) {
    const DTypeInfo& info = Info(dtype);
    if (dim % info.block_size == 0) continue;
    return Fail(ErrorCode::kInvalidArgument,
                "{} {}: heads of {} values do not divide into its blocks of {}", what, info.name,
                dim, info.block_size);
  }
  KvPlan plan;
  plan.bytes_per_token = BytesPerToken(model, sizing.dtypes);
  const int64_t trained = model.context_length;
  if (sizing.ctx_size > 0) {
    plan.pool_tokens = kv::BlocksFor(sizing.ctx_size) * kv::kBlockTokens;
    plan.max_request_tokens = std::min(sizing.ctx_size, trained);
    if (sizing.ctx_size > trained) {
      plan.warning = fmt::format(
          "-c/--ctx-size {} is more than the {} tokens the model was trained for: one request may "
          "have {}, the pool holds {}",
          sizing.ctx_size, trained, trained, sizing.ctx_size);
    }
  } else {
    const int64_t memory = sizing.memory_bytes > 0
                               ? sizing.memory_bytes
                               : AutoMemory(plan.bytes_per_token, trained, sizing);
    plan.pool_tokens = memory / (plan.bytes_per_token * kv::kBlockTokens) * kv::kBlockTokens;
    plan.max_request_tokens = std::min(plan.pool_tokens, trained);
  }
  const int64_t blocks = plan.pool_tokens / kv::kBlockTokens;
  LB_RETURN_IF_ERROR(CheckPool(plan, sizing));
  plan.pool_bytes = plan.pool_tokens * plan.bytes_per_token;
  LB_RETURN_IF_ERROR(CheckMemory(plan, sizing));
  for (const KvGroup& group : model.kv_groups) {
    // A window wider than the pool is no window.
    const bool windowed = group.window > 0 && kv::BlocksFor(group.window) + 2 <= blocks;
    plan.groups.push_back({windowed ? group.window : 0, static_cast<int>(blocks)});
  }
  plan.summary = fmt::format(
      "KV cache: {} tokens in {} blocks, {:.1f} MiB ({} B a token, k {}, v {}); longest request {} "
      "tokens; room for about {} requests of {} tokens at once",
      plan.pool_tokens, blocks, static_cast<double>(plan.pool_bytes) / kMiB, plan.bytes_per_token,
      Info(sizing.dtypes.k).name, Info(sizing.dtypes.v).name, plan.max_request_tokens,
      std::max<int64_t>(1, plan.pool_tokens / kAverageRequest), kAverageRequest);
  return plan;
}

Result<HostTierPlan> PlanHostTier(const KvPlan& plan, int64_t memory_bytes, int64_t available_bytes) {
  const int64_t slot_bytes = plan.bytes_per_token * kv::kBlockTokens;
  const int64_t slots = std::min<int64_t>(memory_bytes / slot_bytes, std::numeric_limits<int32_t>::max());
  if (slots < 1) {
    return Fail(ErrorCode::kInvalidArgument, "--kv-host-memory of {:.1f} MiB holds not one block of {} tokens, which takes {} bytes",
                MiB(memory_bytes), kv::kBlockTokens, slot_bytes);
  }
  HostTierPlan tier{static_cast<int>(slots), slots * slot_bytes, ""};
  if (available_bytes > 0 && tier.bytes > available_bytes) {
    return Fail(ErrorCode::kInvalidArgument,
                "--kv-host-memory of {:.1f} MiB is memory that cannot be swapped, and this machine has {:.1f} MiB left: that is {} tokens "
                "instead of {}",
                MiB(memory_bytes), MiB(available_bytes), available_bytes / slot_bytes * kv::kBlockTokens, slots * kv::kBlockTokens);
  }
  tier.summary = fmt::format("KV cache's tier on the host: {} tokens in {} blocks, {:.1f} MiB pinned", slots * kv::kBlockTokens, slots,
                             MiB(tier.bytes));
  return tier;
}

}  // namespace lb
