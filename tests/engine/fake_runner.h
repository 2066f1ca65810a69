// A model whose next token is a hash of exactly what it reads through the block tables, so that any
// mix-up of the cache changes the answer; and the same model computed from the tokens alone.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <utility>
#include <vector>

#include "engine/model_runner.h"
#include "sampling/sampler.h"

namespace lb::test {

inline uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

inline constexpr int kVocab = 48;
inline constexpr int kWidth = 3;  // of hidden states

inline void FillLogits(uint64_t state, float* logits) {
  for (int v = 0; v < kVocab; ++v) {
    logits[v] = static_cast<float>(Mix(state ^ static_cast<uint64_t>(v + 1)) >> 44) / 131072.0f;
  }
}

// 0 without adapters.
inline uint64_t AdapterSalt(std::span<const AdapterUse> uses) {
  uint64_t salt = 0;
  for (const AdapterUse& use : uses) {
    salt = Mix(salt ^ Mix(static_cast<uint64_t>(use.adapter) + 1) ^
               static_cast<uint64_t>(static_cast<int64_t>(use.scale * 1024)));
  }
  return salt;
}

// What is stored for position p: a function of the stored values at p - 1 and at the first position
// that every group's window still shows, of the token and of its adapters.
inline uint64_t Stored(uint64_t before, uint64_t first_seen, TokenId token, uint64_t salt) {
  return Mix(before ^ Mix(first_seen + 17) ^ static_cast<uint64_t>(token) * 31 ^ salt);
}

// The model without any cache: logits after `tokens`.
class PlainModel {
 public:
  explicit PlainModel(std::vector<int> windows, std::span<const AdapterUse> uses = {})
      : windows_(std::move(windows)), salt_(AdapterSalt(uses)) {}

  void Append(TokenId token) {
    const auto p = static_cast<int64_t>(stored_.size());
    uint64_t before = p == 0 ? 0 : stored_.back(), seen = 0;
    for (int w : windows_) {
      const int64_t first = w == 0 ? 0 : std::max<int64_t>(0, p - w + 1);
      seen = Mix(seen ^ (first == p ? 0 : stored_[static_cast<size_t>(first)]));
    }
    stored_.push_back(Stored(before, seen, token, salt_));
  }
  void Logits(float* logits) const {
    const auto n = static_cast<int64_t>(stored_.size());
    uint64_t state = 0;
    for (int w : windows_) {
      for (int64_t i = w == 0 ? 0 : std::max<int64_t>(0, n - w); i < n; ++i) {
        state = Mix(state ^ stored_[static_cast<size_t>(i)]);
      }
    }
    FillLogits(state, logits);
  }

 private:
  std::vector<int> windows_;
  uint64_t salt_;
  std::vector<uint64_t> stored_;
};

class FakeRunner final : public ModelRunner {
 public:
  FakeRunner(std::vector<int> windows, std::vector<int> blocks, int host_slots = 0)
      : windows_(std::move(windows)), host_(static_cast<size_t>(host_slots)) {
    for (int b : blocks) pools_.emplace_back(static_cast<size_t>(b * kKvBlockTokens));
  }

  // Returns true to fail this batch; everything it would have written is garbage then.
  std::function<bool(const ForwardBatch&)> fail;
  // The same of moves between pool and host: what they were to fill is garbage then.
  std::function<bool()> fail_move;
  // Called with each row of logits before it is handed out.
  std::function<void(std::span<float>)> spoil;
  // > 0: the best logits of a row are given instead of all, when asked for, with at most so many masks.
  int best_given = 0, masks_given = 0;
  int best_steps = 0, whole_steps = 0;  // of those in which somebody samples
  // Computes beside the engine, which must then start each batch, and may let go of masks until it waits for the end.
  bool apart = false;
  std::function<void()> started;  // called when a batch is
  bool queues = false;            // and takes the next one meanwhile, where that is the same but for one token more of each sequence
  int queued_steps = 0;
  int64_t tokens_computed = 0, sequences_computed = 0;
  int most_sequences = 0;
  std::string complaint;  // what the engine did that no model would survive

  int vocab_size() const override { return kVocab; }
  int most_best() const override { return best_given; }
  int most_masks() const override { return masks_given; }
  std::span<const TokenLogit> best() const override { return best_; }
  int width() const override { return kWidth; }
  std::span<const float> hidden() const override { return hidden_; }
  bool has_head(Pooling) const override { return has_head_; }
  int vector_width(std::optional<Pooling> pooling) const override { return pooling ? kWidth : 0; }
  // Doubles what it gets.
  Result<std::span<const float>> Head(Pooling, std::span<const float> pooled, int count) override {
    if (pooled.size() != static_cast<size_t>(count * kWidth)) complaint = "pooled states missing";
    head_.clear();
    for (float x : pooled) head_.push_back(2 * x);
    return std::span<const float>(head_);
  }
  bool has_head_ = false;
  size_t BlockBytes(int) const override { return sizeof(Slot) * kKvBlockTokens; }
  void ReadBlock(int g, int block, std::byte* out) override {
    std::memcpy(out, SlotsOf(g, block), BlockBytes(g));
  }
  void WriteBlock(int g, int block, const std::byte* in) override {
    std::memcpy(SlotsOf(g, block), in, BlockBytes(g));
  }

  Result<void> Move(std::span<const kv::Transfer> transfers) override {
    const bool fails = fail_move && fail_move();
    for (const kv::Transfer& t : transfers) {
      const bool saves = t.kind == kv::Transfer::Kind::kSave;
      std::vector<Slot>& kept = host_.at(static_cast<size_t>(t.slot.value));
      kept.resize(pools_.size() * kKvBlockTokens);
      for (size_t g = 0; g < pools_.size(); ++g) {
        if (t.blocks[g] == kv::kNoBlock) continue;
        Slot* block = SlotsOf(static_cast<int>(g), t.blocks[g].value);
        Slot* slot = kept.data() + g * kKvBlockTokens;
        std::copy_n(saves ? block : slot, kKvBlockTokens, saves ? slot : block);
      }
    }
    if (!fails) return {};
    for (const kv::Transfer& t : transfers) {
      if (t.kind == kv::Transfer::Kind::kSave) host_[static_cast<size_t>(t.slot.value)].assign(pools_.size() * kKvBlockTokens, {-8, 0xdead});
      for (size_t g = 0; g < pools_.size() && t.kind == kv::Transfer::Kind::kLoad; ++g) {
        if (t.blocks[g] == kv::kNoBlock) continue;
        std::fill_n(SlotsOf(static_cast<int>(g), t.blocks[g].value), kKvBlockTokens, Slot{-8, 0xdead});
      }
    }
    return Fail(ErrorCode::kComputeFault, "the fake bus fell over");
  }

  bool runs_apart() const override { return apart; }
  void Start(const ForwardBatch& batch) override {
    if (!apart || under_way_ != nullptr) complaint = "a start that nobody asked for";
    if (!batch.masks.rows.empty()) complaint = "masks before the start";
    under_way_ = &batch;
    now_.Take(batch);
    if (started) started();
  }
  bool StartNext(const ForwardBatch& batch) override {
    if (under_way_ != &batch || queued_) complaint = "a batch behind none";
    const bool single = batch.sequences.context_len.size() == batch.token_ids.size();
    if (!queues || !single || now_.positions.size() != batch.token_ids.size()) return false;
    for (size_t i = 0; i < batch.token_ids.size(); ++i) {
      if (batch.sequences.positions[i] != now_.positions[i] + 1) complaint = "a sequence that is not one token further";
    }
    next_.Take(batch);
    queued_ = true;
    ++queued_steps;
    return true;
  }
  void Release() override {
    if (under_way_ != nullptr || !queued_) complaint = "a release of nothing";
    next_.token_ids.assign(released_->token_ids.begin(), released_->token_ids.end());
    under_way_ = released_;
    now_ = std::move(next_);
    queued_ = false;
  }

  // Arrays of a batch may change once it has been started.
  Result<std::span<const float>> Run(const ForwardBatch& given) override {
    if (apart && std::exchange(under_way_, nullptr) != &given) complaint = "another batch than was started";
    released_ = &given;
    if (!apart) now_.Take(given);
    ForwardBatch batch = given;
    std::vector<KvBatch> kv;
    now_.Show(&batch, &kv);
    const SequenceBatch& seqs = batch.sequences;
    most_sequences = std::max(most_sequences, seqs.num_sequences());
    tokens_computed += seqs.num_tokens();
    sequences_computed += seqs.num_sequences();
    if (fail && fail(batch)) {
      for (size_t g = 0; g < pools_.size(); ++g) {
        for (int32_t slot : batch.kv[g].slots) pools_[g][static_cast<size_t>(slot)] = {-7, 0xdead};
      }
      next_.worthless = queued_;
      return Fail(ErrorCode::kComputeFault, "the fake device fell over");
    }
    const std::string before = complaint;
    logits_.assign(batch.logit_rows.size() * kVocab, 0.0f);
    size_t row = 0;
    for (int s = 0; s < seqs.num_sequences(); ++s) {
      for (int t = seqs.query_start[s]; t < seqs.query_start[s + 1]; ++t) {
        Store(batch, s, t);
        if (row < batch.logit_rows.size() && batch.logit_rows[row] == t) {
          float* out = logits_.data() + row++ * kVocab;
          FillLogits(ReadAll(batch, s, seqs.positions[t]), out);
          if (spoil) spoil({out, static_cast<size_t>(kVocab)});
        }
      }
    }
    // The state of a token: what was read of it, and its position.
    hidden_.clear();
    for (int32_t t : batch.hidden_rows) {
      hidden_.push_back(static_cast<float>(batch.token_ids[static_cast<size_t>(t)]));
      hidden_.push_back(static_cast<float>(seqs.positions[static_cast<size_t>(t)]));
      hidden_.push_back(1.0f);
    }
    if (row != batch.logit_rows.size()) complaint = "logit rows out of order";
    if (now_.worthless) complaint = before;
    best_.clear();
    if (row > 0) ++(batch.best > 0 ? best_steps : whole_steps);
    if (batch.best == 0) return std::span<const float>(logits_);
    ChooseBest(batch);
    return std::span<const float>();
  }

 private:
  struct Slot {
    int64_t position = -1;
    uint64_t stored = 0;
  };
  Slot* SlotsOf(int g, int block) {
    return pools_[static_cast<size_t>(g)].data() + block * kKvBlockTokens;
  }

  struct Arrays {
    std::vector<int32_t> token_ids, positions, query_start, context_len;
    std::vector<std::pair<std::vector<int32_t>, std::vector<int32_t>>> kv;  // slots, table
    bool worthless = false;  // the step before it failed: nobody wants what it reads
    void Take(const ForwardBatch& batch) {
      worthless = false;
      const auto copy = [](std::span<const int32_t> from) { return std::vector<int32_t>(from.begin(), from.end()); };
      token_ids = copy(batch.token_ids), positions = copy(batch.sequences.positions);
      query_start = copy(batch.sequences.query_start), context_len = copy(batch.sequences.context_len);
      kv.clear();
      for (const KvBatch& group : batch.kv) kv.emplace_back(copy(group.slots), copy(group.block_table));
    }
    void Show(ForwardBatch* batch, std::vector<KvBatch>* groups) const {
      batch->token_ids = token_ids;
      batch->sequences = {positions, query_start, context_len};
      for (size_t g = 0; g < kv.size(); ++g) groups->push_back({kv[g].first, kv[g].second, batch->kv[g].max_blocks});
      batch->kv = *groups;
    }
  };

  uint64_t Read(const ForwardBatch& batch, int s, size_t g, int64_t position) {
    const KvBatch& kv = batch.kv[g];
    const int32_t block =
        kv.block_table[static_cast<size_t>(s * kv.max_blocks + position / kKvBlockTokens)];
    if (block < 0 || static_cast<size_t>(block) * kKvBlockTokens >= pools_[g].size()) {
      complaint = "a block that is needed is not there";
      return 0xbad;
    }
    const Slot& slot =
        pools_[g][static_cast<size_t>(block * kKvBlockTokens + position % kKvBlockTokens)];
    if (slot.position != position) complaint = "a slot holds another position";
    return slot.stored;
  }

  void Store(const ForwardBatch& batch, int s, int t) {
    const int64_t p = batch.sequences.positions[t];
    uint64_t before = 0, seen = 0, salt = 0;
    for (const AdapterRun& run : batch.adapters) {
      if (run.first <= t && t < run.end) salt = AdapterSalt(run.uses);
    }
    for (size_t g = 0; g < pools_.size(); ++g) {
      const int w = windows_[g];
      // With a window of one token, even the one before is out of sight.
      if (p > 0 && g == 0) before = Read(batch, s, g, p - 1);
      const int64_t first = w == 0 ? 0 : std::max<int64_t>(0, p - w + 1);
      seen = Mix(seen ^ (first == p ? 0 : Read(batch, s, g, first)));
    }
    for (size_t g = 0; g < pools_.size(); ++g) {
      const int32_t slot = batch.kv[g].slots[t];
      const int32_t block =
          batch.kv[g]
              .block_table[static_cast<size_t>(s * batch.kv[g].max_blocks + p / kKvBlockTokens)];
      if (slot != block * kKvBlockTokens + p % kKvBlockTokens) complaint = "slot and table differ";
      pools_[g][static_cast<size_t>(slot)] = {p, Stored(before, seen, batch.token_ids[t], salt)};
    }
  }

  void ChooseBest(const ForwardBatch& batch) {
    const TokenMasks& masks = batch.masks;
    const auto words = static_cast<size_t>(TokenMasks::words(kVocab));
    if (batch.best > best_given) complaint = "more of the best than are given";
    if (!masks.rows.empty() && masks.rows.size() != batch.logit_rows.size()) complaint = "masks for other rows";
    if (!masks.rows.empty() && !batch.masked) complaint = "masks that were not announced";
    if (masks.bits.size() > words * static_cast<size_t>(masks_given)) complaint = "more masks than are taken";
    for (size_t row = 0; row < batch.logit_rows.size(); ++row) {
      const std::span<const float> logits(logits_.data() + row * kVocab, kVocab);
      const int mask = masks.rows.empty() ? -1 : masks.rows[row];
      std::vector<TokenLogit> all;
      for (int t = 0; t < kVocab; ++t) {
        const bool may = mask < 0 || (masks.bits[static_cast<size_t>(mask) * words + static_cast<size_t>(t) / 32] >> (t % 32) & 1) != 0;
        const float logit = logits[static_cast<size_t>(t)];
        if (may || !(logit < std::numeric_limits<float>::infinity())) all.push_back({t, logit});
      }
      const auto key = [](const TokenLogit& t) { return std::isnan(t.logit) ? std::numeric_limits<float>::infinity() : t.logit; };
      std::ranges::stable_sort(all, std::ranges::greater{}, key);
      all.resize(static_cast<size_t>(batch.best), {-1, std::numeric_limits<float>::quiet_NaN()});
      best_.insert(best_.end(), all.begin(), all.end());
    }
  }

  uint64_t ReadAll(const ForwardBatch& batch, int s, int64_t p) {
    uint64_t state = 0;
    for (size_t g = 0; g < pools_.size(); ++g) {
      const int w = windows_[g];
      for (int64_t i = w == 0 ? 0 : std::max<int64_t>(0, p - w + 1); i <= p; ++i) {
        state = Mix(state ^ Read(batch, s, g, i));
      }
    }
    return state;
  }

  const ForwardBatch* under_way_ = nullptr;
  const ForwardBatch* released_ = nullptr;  // the last of Run
  Arrays now_, next_;                       // of the batch under way, of the one behind it
  bool queued_ = false;
  std::vector<int> windows_;
  std::vector<std::vector<Slot>> pools_;
  std::vector<std::vector<Slot>> host_;  // of each slot: the blocks of all groups
  std::vector<float> logits_, hidden_, head_;
  std::vector<TokenLogit> best_;
};

// The answer to `request` alone, without engine and cache. A shifted context is a new model that
// reads the kept tokens as its prompt.
struct PlainAnswer {
  std::vector<TokenId> tokens;
  FinishReason reason = FinishReason::kLength;
  int shifts = 0;
  int64_t dropped = 0;
};
inline PlainAnswer AnswerAlone(const Request& request, std::vector<int> windows, int64_t limit) {
  PlainModel model(windows, request.adapters);
  std::vector<TokenId> prompt = request.prompt, generated;
  for (TokenId t : prompt) model.Append(t);
  SamplingParams params = request.sampling;
  if (request.ignore_eos) {
    for (TokenId t : request.stop_ids) {
      params.logit_bias.emplace_back(t, -std::numeric_limits<float>::infinity());
    }
  }
  Sampler sampler = Sampler::Create(params, kVocab).value();
  SamplerWorkspace workspace;
  PlainAnswer answer;
  int64_t room = request.context_shift ? limit : limit - static_cast<int64_t>(prompt.size());
  if (request.max_tokens >= 0) {
    room = request.context_shift ? request.max_tokens : std::min(room, request.max_tokens);
  }
  std::vector<float> logits(kVocab);
  while (static_cast<int64_t>(answer.tokens.size()) < room) {
    if (static_cast<int64_t>(prompt.size() + generated.size()) == limit) {
      std::vector<TokenId> all = prompt;
      all.insert(all.end(), generated.begin(), generated.end());
      int64_t keep = request.keep < 0 ? static_cast<int64_t>(request.prompt.size()) : request.keep;
      keep = std::max<int64_t>(1, std::min(keep, limit / 2));
      const int64_t gone = std::max<int64_t>(1, (limit - keep) / 2);
      all.erase(all.begin() + keep, all.begin() + keep + gone);
      ++answer.shifts;
      answer.dropped += gone;
      prompt = all;
      generated.clear();
      model = PlainModel(windows, request.adapters);
      for (TokenId t : prompt) model.Append(t);
      sampler = Sampler::Create(params, kVocab).value();
    }
    model.Logits(logits.data());
    const TokenId t = sampler.Sample(logits, prompt, generated, workspace).value().token;
    if (!request.ignore_eos && std::ranges::find(request.stop_ids, t) != request.stop_ids.end()) {
      answer.reason = FinishReason::kStop;
      break;
    }
    answer.tokens.push_back(t);
    generated.push_back(t);
    model.Append(t);
  }
  return answer;
}

}  // namespace lb::test
