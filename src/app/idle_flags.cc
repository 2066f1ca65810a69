#include "app/idle_flags.h"

namespace lb::app {
namespace {

constexpr std::string_view kWholeLayers = "a layer is computed as a whole, where --gpu-layers, --device and --tensor-split put it";
constexpr std::string_view kOnePool = "one pool of threads serves prefill and decode alike";
constexpr std::string_view kOneCache = "all sequences share one pool of blocks, and there are no slots";
constexpr std::string_view kBlocks = "blocks cannot fragment";
constexpr std::string_view kNoImages = "this server understands no images and refuses requests with one";
constexpr std::string_view kVector = "control vectors are not applied";
constexpr std::string_view kMapped =
    "weights are read through a mapping once, repacked for the kernels, and the mapping is let go";
constexpr std::string_view kAlwaysThere = "it is always there";
constexpr std::string_view kLog = "the log goes to standard error";

constexpr IdleFlag kIdleFlags[] = {
    // Devices.
    {"-ot --override-tensor -otd --override-tensor-draft", 1, kWholeLayers},
    {"-cmoe --cpu-moe -cmoed --cpu-moe-draft", 0, kWholeLayers},
    {"-ncmoe --n-cpu-moe -ncmoed --n-cpu-moe-draft", 1, kWholeLayers},
    {"-nkvo --no-kv-offload -kvo --kv-offload --no-op-offload --op-offload", 0, kWholeLayers},
    {"--rpc", 1, "work is not spread over RPC servers: run one server on each host"},
    {"--rpc-server-host --rpc-server-port --rpc-server-main-gpu --rpc-server-reserve-memory --rpc-server-threads "
     "--rpc-server-cache-dir --origin-rpc-server-main-gpu", 1, "there is no RPC server"},
    {"--rpc-server-cache", 0, "there is no RPC server"},
    // Memory and compute.
    {"-fa --flash-attn", kSwitch, "attention never writes a matrix of scores, whatever is asked"},
    {"--no-flash-attn", 0, "attention never writes a matrix of scores, whatever is asked"},
    {"--swa-full", 0, "sliding layers hold their window only, and prefixes are found all the same"},
    {"-kvu --kv-unified -no-kvu --no-kv-unified", 0, kOneCache},
    {"-sps --slot-prompt-similarity --slot-save-path", 1, kOneCache},
    {"-dt --defrag-thold", 1, kBlocks},
    {"--cache-reuse", 1, "every cached prefix is reused; text that moved has other positions in its keys"},
    {"--cache-prompt", 0, "prompts are cached unless --no-cache-prompt is given"},
    {"-cram --cache-ram -ctxcp --ctx-checkpoints --swa-checkpoints", 1, kOneCache},
    {"-cb --cont-batching -nocb --no-cont-batching", 0, "requests always join the running batch"},
    {"-ub --ubatch-size", 1, "a step is one pass over up to --batch-size tokens"},
    {"-tb --threads-batch -Cb --cpu-mask-batch -Crb --cpu-range-batch --cpu-strict-batch "
     "--prio-batch --poll-batch", 1, kOnePool},
    {"--mmap --no-mmap -dio --direct-io -ndio --no-direct-io", 0, kMapped},
    {"-nr --no-repack --repack", 0, "the kernels read repacked weights only"},
    {"--yarn-ext-factor", 1, "YaRN always mixes in full"},
    {"--numa", 1, "memory is placed by the system; numactl works from outside"},
    {"--warmup --no-warmup", 0, "every weight is read, and every kernel of a GPU chosen, while loading"},
    {"--check-tensors --offline --perf --no-perf", 0, "there is nothing to switch"},
    // Server.
    {"--metrics", 0, kAlwaysThere},
    {"--props", 0, "the endpoint is always there, and changes nothing"},
    {"--conn-keepalive", 1, "connections stay open for --conn-idle seconds"},
    {"-tps --tokens-per-second", 1, "the speed of a request is not limited"},
    {"--jinja --no-jinja", 0, "chat templates are always Jinja"},
    {"--attention", 1, "the model says whether it reads in both directions"},
    {"--log-colors", kSwitch, kLog},
    {"--log-disable --log-prefix --log-timestamps --no-log-prefix --no-log-timestamps", 0, kLog},
    {"--log-file", 1, kLog},
    {"--infill --spm-infill", 0, kAlwaysThere},
    {"--sampling-seq", 1, "--samplers says the same by name"},
    // Adapters, drafts, images.
    {"--control-vector", 1, kVector},
    {"--control-vector-scaled --control-vector-layer-range", 2, kVector},
    {"-devd --device-draft -ngld --gpu-layers-draft --n-gpu-layers-draft", 1, kWholeLayers},
    {"-cd --ctx-size-draft", 1, "a draft model's context is as long as the model's"},
    {"--draft-min --draft-n-min --spec-draft-n-min", 1, "how many tokens are guessed follows from how many were right"},
    {"-lcs --lookup-cache-static -lcd --lookup-cache-dynamic", 1, "guesses come from the request's own text"},
    {"-mm --mmproj -mmu --mmproj-url --visual-max-image-size --visual-max-image-cache --max-projected-cache", 1, kNoImages},
    {"--no-mmproj --no-mmproj-offload", 0, kNoImages},
    {"--image-max-batch --image-max-height --image-max-width --image-guidance --image-strength "
     "--image-sample-method --image-sampler --image-sampling-steps --image-sample-steps "
     "--image-cfg-scale --image-slg-scale --image-slg-start --image-slg-end --image-slg-skip-layer "
     "--image-skip-layer --image-schedule-method --image-schedule --image-clip-l-model "
     "--image-clip-g-model --image-t5xxl-model --image-vae-model --image-taesd-model "
     "--image-upscale-model --image-control-net-model --image-upscale-repeats "
     "--image-control-strength", 1, kNoImages},
    {"--image-control-canny --image-vae-tiling --image-no-vae-tiling "
     "--image-no-text-encoder-model-offload --image-no-vae-model-offload "
     "--image-no-control-net-model-offload --image-free-compute-memory-immediately", 0, kNoImages},
};

bool Contains(std::string_view names, std::string_view name) {
  while (!names.empty()) {
    const size_t space = names.find(' ');
    if (names.substr(0, space) == name) return true;
    names = space == std::string_view::npos ? std::string_view() : names.substr(space + 1);
  }
  return false;
}

}  // namespace

const IdleFlag* FindIdleFlag(std::string_view name) {
  for (const IdleFlag& flag : kIdleFlags) {
    if (Contains(flag.names, name)) return &flag;
  }
  return nullptr;
}

std::string_view RefusalOfFlag(std::string_view name, std::string_view value) {
  if (Contains("-hf -hfr --hf-repo -mu --model-url -dr --docker-repo", name)) {
    return "this server fetches no models: give it a GGUF file with -m";
  }
  if (name == "--images") return "this server makes no images";
  if (name == "--rpc-server-port" && value != "0") {
    return "there is no RPC server here; GPUStack's workers run without one under --disable-rpc-servers";
  }
  return {};
}

}  // namespace lb::app
