// One token of a model by its kernels alone, without engine, model and step: R1-Distill-Qwen-1.5B's shape with random bytes.
//
//   cuda_token_bench [DEPTH] [q8 | q4]
//
// q8: as Q8_0; q4: as Q4_K.
//
// Prints microseconds: of each kind of kernel, one behind the other with other weights each time; of a layer; of a token; and of a token
// when the host does something between two of them. What the whole program takes beyond the last line is its own.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "bench/clock.h"
#include "kernels/cuda/gate.h"
#include "kernels/cuda/launch.h"

namespace lb::cuda {
namespace {

constexpr int kLayers = 28, kWidth = 1536, kWide = 8960, kHeads = 12, kKvHeads = 2, kHeadDim = 128, kVocab = 151936;
constexpr int kRuns = 60, kTokens = 300;

__global__ void FillRecords(uint32_t* words, size_t count, int record_words, int code_words) {
  for (size_t i = blockIdx.x * size_t{blockDim.x} + threadIdx.x; i < count; i += size_t{gridDim.x} * blockDim.x) {
    uint32_t hash = static_cast<uint32_t>(i) * 2654435761u;
    hash = (hash ^ hash >> 15) * 0x2c1b3c6du;
    words[i] = static_cast<int>(i % static_cast<size_t>(record_words)) < code_words ? hash ^ hash >> 12 : 0x18001800u;  // small scales
  }
}
__global__ void FillFloats(float* values, size_t count) {
  for (size_t i = blockIdx.x * size_t{blockDim.x} + threadIdx.x; i < count; i += size_t{gridDim.x} * blockDim.x) {
    values[i] = static_cast<float>(i * 7919 % 2001) / 1000.0f - 1.0f;
  }
}

struct Free {
  void operator()(void* memory) const { cudaFree(memory); }
};
class Memory {
 public:
  explicit Memory(size_t bytes) {
    void* memory = nullptr;
    LB_CUDA_CHECK(cudaMalloc(&memory, bytes));
    LB_CUDA_CHECK(cudaMemset(memory, 0, bytes));
    memory_.reset(memory);
  }
  template <typename T>
  T* as() const { return static_cast<T*>(memory_.get()); }

 private:
  std::unique_ptr<void, Free> memory_;
};
Memory Floats(size_t count) {
  Memory memory(count * sizeof(float));
  FillFloats<<<64, 256>>>(memory.as<float>(), count);
  return memory;
}

struct Weight {
  Weight(WeightForm form, int rows, int cols)
      : view(Shape(form, rows, cols)), memory(static_cast<size_t>(view.tiles()) * static_cast<size_t>(view.tile_bytes())) {
    view.data = memory.as<uint8_t>();
    const FormLayout layout = LayoutOf(form);
    const size_t words = static_cast<size_t>(view.tiles()) * static_cast<size_t>(view.tile_bytes()) / 4;
    FillRecords<<<512, 256>>>(memory.as<uint32_t>(), words, layout.record() / 4, layout.code_bytes / 4);
  }
  static DeviceWeight Shape(WeightForm form, int rows, int cols) {
    DeviceWeight w;
    w.form = form;
    w.rows = rows;
    w.cols = cols;
    w.chunks = (cols + kChunkCols - 1) / kChunkCols;
    return w;
  }
  DeviceWeight view;
  Memory memory;
};

struct Layer {
  Layer(WeightForm form, int blocks)
      : q(form, kWidth, kWidth), k(form, kKvHeads * kHeadDim, kWidth), v(form, kKvHeads * kHeadDim, kWidth), output(form, kWidth, kWidth),
        gate(form, kWide, kWidth), up(form, kWide, kWidth), down(form, kWidth, kWide), keys(KvBytes(blocks)), values(KvBytes(blocks)) {}
  static size_t KvBytes(int blocks) { return size_t{2} * static_cast<size_t>(blocks) * kKvBlockTokens * kKvHeads * kHeadDim; }
  Weight q, k, v, output, gate, up, down;
  Memory q_bias = Floats(kWidth), k_bias = Floats(kKvHeads * kHeadDim), v_bias = Floats(kKvHeads * kHeadDim);
  Memory keys, values;
};

class Token {
 public:
  Token(const Launcher& on, WeightForm form, int depth)
      : on_(on), blocks_(depth / kKvBlockTokens + 2), ints_(sizeof(int32_t) * static_cast<size_t>(kTable + blocks_)), vocabulary_(form, kVocab, kWidth) {
    for (int i = 0; i < kLayers; ++i) layers.push_back(std::make_unique<Layer>(form, blocks_));
    std::vector<int32_t> ints(static_cast<size_t>(kTable + blocks_), 0);
    ints[kPosition] = ints[kSlot] = depth;
    ints[kStart + 1] = 1;
    ints[kContext] = depth + 1;
    for (int b = 0; b < blocks_; ++b) ints[static_cast<size_t>(kTable + b)] = b;
    LB_CUDA_CHECK(cudaMemcpy(ints_.as<void>(), ints.data(), ints.size() * sizeof(int32_t), cudaMemcpyHostToDevice));
    LB_CUDA_CHECK(cudaMallocHost(reinterpret_cast<void**>(&result_), TopResultBytes(1, 1)));
  }
  ~Token() { cudaFreeHost(result_); }
  Token(const Token&) = delete;
  Token& operator=(const Token&) = delete;

  void Embed() { LaunchEmbed(on_, vocabulary_.view, ints_.as<int32_t>() + kSequence, 1, 1.0f, x_.as<float>()); }
  void Angles() {
    LaunchAngles(on_, ints_.as<int32_t>() + kPosition, 1, inv_freq_.as<float>(), kHeadDim / 2, 1.0f, cosines_.as<float>(), sines_.as<float>());
  }
  void Qkv(const Layer& l) {
    FewProducts args = Normed(3);
    args.segments[0] = {l.q.view, l.q_bias.as<float>(), q_.as<float>(), 0};
    args.segments[1] = {l.k.view, l.k_bias.as<float>(), k_.as<float>(), l.q.view.tiles()};
    args.segments[2] = {l.v.view, l.v_bias.as<float>(), v_.as<float>(), l.q.view.tiles() + l.k.view.tiles()};
    args.num_tiles = args.segments[2].first_tile + l.v.view.tiles();
    Multiply(args);
  }
  void Attend(const Layer& l) {
    const int32_t* ints = ints_.as<int32_t>();
    Attention args;
    args.q = q_.as<float>();
    args.kv = {l.keys.as<void>(), l.values.as<void>(), DType::kF16, DType::kF16, kKvHeads, kHeadDim, kHeadDim, blocks_};
    args.positions = ints + kPosition;
    args.query_start = ints + kStart;
    args.context_len = ints + kContext;
    args.sequence_of = ints + kSequence;
    args.block_table = ints + kTable;
    args.table_stride = blocks_;
    args.tokens = args.sequences = args.most_queries = 1;
    args.heads = kHeads;
    args.params.scale = 0.088f;
    args.out = attended_.as<void>();
    args.form = RowForm::kHalves;
    args.partial = partial_.as<float>();
    args.tickets = tickets_.as<int>();
    args.stores = true;
    args.store = {.q = q_.as<float>(), .k = k_.as<float>(), .v = v_.as<float>(), .tokens = 1, .q_heads = kHeads, .kv_heads = kKvHeads,
                  .k_dim = kHeadDim, .v_dim = kHeadDim, .cosines = cosines_.as<float>(), .sines = sines_.as<float>(), .pairs = kHeadDim / 2,
                  .halves = true, .kv = args.kv, .slots = ints + kSlot};
    LaunchDecodeAttention(on_, args);
  }
  void Output(const Layer& l) { Add(l.output, attended_, kWidth); }
  void GateUp(const Layer& l) {
    FewProducts args = Normed(2);
    args.segments[0].w = l.gate.view;
    args.segments[1].w = l.up.view;
    args.num_tiles = l.gate.view.tiles();
    args.glu = true;
    args.glu_out = wide_.as<void>();
    args.glu_form = RowForm::kHalves;
    Multiply(args);
  }
  void Down(const Layer& l) { Add(l.down, wide_, kWide); }
  void OneLayer(const Layer& l) { Qkv(l), Attend(l), Output(l), GateUp(l), Down(l); }
  void Vocabulary() {
    FewProducts args = Normed(1);
    args.segments[0] = {vocabulary_.view, nullptr, logits_.as<float>()};
    args.num_tiles = vocabulary_.view.tiles();
    Multiply(args);
  }
  void Best() {
    LaunchTop(on_, {.logits = logits_.as<float>(), .rows = 1, .vocab = kVocab}, 1, top_.as<void>(), reinterpret_cast<float*>(result_),
              reinterpret_cast<int32_t*>(result_ + sizeof(float)));
  }
  void All() {
    Embed(), Angles();
    for (const auto& l : layers) OneLayer(*l);
    Vocabulary(), Best();
  }
  int32_t* ints() const { return ints_.as<int32_t>(); }

  std::vector<std::unique_ptr<Layer>> layers;

 private:
  // Places among the integers.
  static constexpr int kPosition = 0, kStart = 32, kContext = 64, kSequence = 96, kSlot = 128, kTable = 160;

  void Multiply(const FewProducts& args) const {
    GainsByBytes(on_.facts, args) ? LaunchByteProducts(on_, args) : LaunchFewProducts(on_, args);
  }
  FewProducts Normed(int segments) const {
    FewProducts args;
    args.num_segments = segments;
    args.tokens = 1;
    args.cols = kWidth;
    args.x = {x_.as<void>()};
    args.norm_weight = norm_.as<float>();
    args.norm_eps = 1e-5f;
    return args;
  }
  void Add(const Weight& w, const Memory& from, int cols) {
    FewProducts args;
    args.num_segments = 1;
    args.segments[0] = {w.view, nullptr, x_.as<float>(), 0, true};
    args.num_tiles = w.view.tiles();
    args.tokens = 1;
    args.cols = cols;
    args.x = {from.as<void>(), RowForm::kHalves};
    Multiply(args);
  }

  const Launcher& on_;
  const int blocks_;
  Memory ints_;
  Weight vocabulary_;
  Memory x_ = Floats(kWidth), norm_ = Floats(kWidth), q_ = Floats(kWidth), k_ = Floats(kKvHeads * kHeadDim), v_ = Floats(kKvHeads * kHeadDim);
  Memory attended_{sizeof(uint16_t) * kWidth}, wide_{sizeof(uint16_t) * kWide}, logits_{sizeof(float) * kVocab};
  Memory inv_freq_ = Floats(kHeadDim / 2), cosines_ = Floats(kHeadDim / 2), sines_ = Floats(kHeadDim / 2);
  Memory partial_{size_t{32} << 20}, tickets_{4096}, top_{TopScratchBytes(1, 1)};
  char* result_ = nullptr;  // pinned
};

class Graph {
 public:
  Graph(cudaStream_t stream, const std::function<void()>& record) : stream_(stream) {
    cudaGraph_t graph = nullptr;
    LB_CUDA_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    record();
    LB_CUDA_CHECK(cudaStreamEndCapture(stream, &graph));
    LB_CUDA_CHECK(cudaGraphInstantiate(&exec_, graph, 0));
    cudaGraphDestroy(graph);
  }
  ~Graph() { cudaGraphExecDestroy(exec_); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void Launch() const { LB_CUDA_CHECK(cudaGraphLaunch(exec_, stream_)); }

 private:
  cudaStream_t stream_;
  cudaGraphExec_t exec_ = nullptr;
};

// The median of kRuns graphs, divided by `parts`.
void Print(const char* what, cudaStream_t stream, int parts, const std::function<void()>& record) {
  const Graph graph(stream, record);
  cudaEvent_t begin = nullptr, end = nullptr;
  for (cudaEvent_t* event : {&begin, &end}) LB_CUDA_CHECK(cudaEventCreate(event));
  std::vector<double> micros;
  for (int i = 0; i < kRuns; ++i) {
    LB_CUDA_CHECK(cudaEventRecord(begin, stream));
    graph.Launch();
    LB_CUDA_CHECK(cudaEventRecord(end, stream));
    LB_CUDA_CHECK(cudaEventSynchronize(end));
    float ms = 0;
    LB_CUDA_CHECK(cudaEventElapsedTime(&ms, begin, end));
    micros.push_back(ms * 1e3);
  }
  for (cudaEvent_t event : {begin, end}) cudaEventDestroy(event);
  std::ranges::sort(micros);
  std::printf("%-40s %9.2f\n", what, micros[micros.size() / 2] / parts);
}

// The mean of kTokens tokens: `each` launches one and does what the host would.
void PrintTokens(const char* what, cudaStream_t stream, const std::function<void()>& each) {
  each();
  LB_CUDA_CHECK(cudaStreamSynchronize(stream));
  const double start = Seconds();
  for (int i = 0; i < kTokens; ++i) each();
  LB_CUDA_CHECK(cudaStreamSynchronize(stream));
  std::printf("%-40s %9.2f\n", what, (Seconds() - start) * 1e6 / kTokens);
}

void Run(int depth, WeightForm form) {
  cudaDeviceProp properties;
  LB_CUDA_CHECK(cudaGetDeviceProperties(&properties, 0));
  Launcher on;
  LB_CUDA_CHECK(cudaStreamCreateWithFlags(&on.stream, cudaStreamNonBlocking));
  on.facts = {0, properties.multiProcessorCount, static_cast<int>(properties.sharedMemPerBlockOptin), properties.major >= 9};
  Token token(on, form, depth);
  LB_CUDA_CHECK(cudaDeviceSynchronize());
  std::printf("%s, %d deep, %s, us\n", properties.name, depth, form == WeightForm::k8 ? "q8" : "q4");

  const auto layers = [&](void (Token::*kernel)(const Layer&)) {
    return [&token, kernel] {
      for (const auto& l : token.layers) (token.*kernel)(*l);
    };
  };
  Print("q, k and v", on.stream, kLayers, layers(&Token::Qkv));
  Print("attention", on.stream, kLayers, layers(&Token::Attend));
  Print("output", on.stream, kLayers, layers(&Token::Output));
  Print("gate and up", on.stream, kLayers, layers(&Token::GateUp));
  Print("down", on.stream, kLayers, layers(&Token::Down));
  Print("a layer", on.stream, kLayers, layers(&Token::OneLayer));
  Print("vocabulary and the best", on.stream, 1, [&] { token.Vocabulary(), token.Best(); });

  const Graph all(on.stream, [&] { token.All(); });
  PrintTokens("a token behind another", on.stream, [&] { all.Launch(); });
  int32_t* host = nullptr;
  LB_CUDA_CHECK(cudaMallocHost(reinterpret_cast<void**>(&host), 4096));
  LB_CUDA_CHECK(cudaMemcpy(host, token.ints(), 128, cudaMemcpyDeviceToHost));
  PrintTokens("... a copy before, a wait behind", on.stream, [&] {
    LB_CUDA_CHECK(cudaMemcpyAsync(token.ints(), host, 128, cudaMemcpyHostToDevice, on.stream));
    all.Launch();
    LB_CUDA_CHECK(cudaStreamSynchronize(on.stream));
  });
  Gate gate;
  cudaEvent_t done = nullptr;
  LB_CUDA_CHECK(cudaEventCreateWithFlags(&done, cudaEventDisableTiming));
  PrintTokens("... queued behind a gate", on.stream, [&] {
    LB_CUDA_CHECK(cudaEventRecord(done, on.stream));
    std::copy_n(host, 32, gate.NextArrays());
    gate.Queue(on, token.ints(), 32);
    all.Launch();
    LB_CUDA_CHECK(cudaEventSynchronize(done));
    gate.Open();
  });
  cudaEventDestroy(done);
  cudaFreeHost(host);
}

}  // namespace
}  // namespace lb::cuda

int main(int argc, char** argv) {
  const bool narrow = argc > 2 && std::string_view(argv[2]) == "q4";
  lb::cuda::Run(argc > 1 ? std::atoi(argv[1]) : 64, narrow ? lb::cuda::WeightForm::k4Bias : lb::cuda::WeightForm::k8);
  return 0;
}
