// Proves which GPUs compute for which flags and sizes, how layers are shared among them, and that what cannot be is refused with what is
// wrong.
#include "app/gpu_split.h"

#include <gtest/gtest.h>

namespace lb::app {
namespace {

using Shares = std::vector<double>;
using Layers = std::vector<int>;

TEST(ParseShares, NumbersBetweenCommasOrSlashes) {
  EXPECT_EQ(ParseShares("3,1").value(), (Shares{3, 1}));
  EXPECT_EQ(ParseShares("0.5/0.25/0").value(), (Shares{0.5, 0.25, 0}));
  EXPECT_EQ(ParseShares("7").value(), (Shares{7}));
  for (const char* bad : {"", ",", "1,", "1;2", "1,-1", "nan,1", "inf", "a", "1 2"}) {
    const auto shares = ParseShares(bad);
    ASSERT_FALSE(shares.has_value()) << bad;
    EXPECT_EQ(shares.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(shares.error().message.find(std::string("--tensor-split ") + bad), std::string::npos);
  }
  EXPECT_EQ(ParseShares("0,0").error().message, "--tensor-split 0,0: no device gets anything");
}

TEST(ShareLayers, AllLayersAreSomebodys) {
  EXPECT_EQ(ShareLayers(Shares{1, 1}, 28), (Layers{14, 14}));
  EXPECT_EQ(ShareLayers(Shares{3, 1}, 28), (Layers{21, 7}));
  EXPECT_EQ(ShareLayers(Shares{1, 1, 1}, 28), (Layers{9, 10, 9}));
  EXPECT_EQ(ShareLayers(Shares{1, 0, 1}, 5), (Layers{3, 0, 2}));
  EXPECT_EQ(ShareLayers(Shares{1000, 1}, 28), (Layers{28, 0}));
  EXPECT_EQ(ShareLayers(Shares{80e9, 24e9}, 32), (Layers{25, 7}));
}

class ChooseDevicesTest : public testing::Test {
 protected:
  ChooseDevicesTest() {
    for (int i = 0; i < 3; ++i) devices_.push_back({i, "card", 80 * kGiB});
  }
  // The numbers of the devices for a model of `gib` GiB and 28 layers; asked_ has those whose free memory was looked at.
  std::vector<int> Chosen(const GpuOptions& gpu, int64_t gib) {
    asked_.clear();
    const auto chosen = ChooseDevices(gpu, devices_, {gib * kGiB, 28}, [this](const CudaDevice& d) {
      asked_.push_back(d.index);
      return free_[static_cast<size_t>(d.index)] * kGiB;
    });
    EXPECT_TRUE(chosen.has_value());
    std::vector<int> numbers;
    for (const Candidate& c : *chosen) {
      numbers.push_back(c.device->index);
      EXPECT_EQ(c.free, free_[static_cast<size_t>(c.device->index)] * kGiB);
    }
    return numbers;
  }
  static constexpr int64_t kGiB = int64_t{1} << 30;
  std::vector<CudaDevice> devices_;
  int64_t free_[3] = {40, 70, 20};
  std::vector<int> asked_;
};

using Numbers = std::vector<int>;

GpuOptions With(void (*set)(GpuOptions&)) {
  GpuOptions gpu;
  set(gpu);
  return gpu;
}

TEST_F(ChooseDevicesTest, OneWhereThatIsEnoughElseAll) {
  EXPECT_EQ(Chosen({}, 30), (Numbers{0}));
  EXPECT_EQ(asked_, (Numbers{0}));  // to ask takes memory
  EXPECT_EQ(Chosen(With([](GpuOptions& g) { g.main_gpu = 1; }), 60), (Numbers{1}));
  EXPECT_EQ(Chosen({}, 40), (Numbers{0, 1, 2}));  // a gibibyte is for other things
  EXPECT_EQ(Chosen(With([](GpuOptions& g) { g.layers = 99; }), 40), (Numbers{0, 1, 2}));
  EXPECT_EQ(Chosen(With([](GpuOptions& g) { g.layers = 20; }), 40), (Numbers{0}));  // some of it was wanted there
  EXPECT_EQ(Chosen(With([](GpuOptions& g) { g.split_mode = "none"; }), 40), (Numbers{0}));
}

TEST_F(ChooseDevicesTest, FlagsSayWhich) {
  EXPECT_EQ(Chosen(With([](GpuOptions& g) { g.split_mode = "layer"; }), 1), (Numbers{0, 1, 2}));
  EXPECT_EQ(Chosen(With([](GpuOptions& g) { g.shares = {3, 1}; }), 1), (Numbers{0, 1, 2}));
  EXPECT_EQ(Chosen(With([](GpuOptions& g) { g.device = "CUDA2"; }), 40), (Numbers{2}));
  EXPECT_EQ(Chosen(With([](GpuOptions& g) { g.device = "CUDA2,CUDA0"; }), 1), (Numbers{2, 0}));
  EXPECT_EQ(Chosen(With([](GpuOptions& g) { g.device = "CUDA2,CUDA0"; g.split_mode = "none"; }), 1), (Numbers{2}));
  const auto wrong = [&](const GpuOptions& gpu) { return ChooseDevices(gpu, devices_, {kGiB, 28}, [](const CudaDevice&) { return kGiB; }).error().message; };
  EXPECT_EQ(wrong(With([](GpuOptions& g) { g.main_gpu = 3; })), "there is no device CUDA3: devices here are CUDA0 (card), CUDA1 (card), CUDA2 (card)");
  EXPECT_EQ(wrong(With([](GpuOptions& g) { g.device = "CUDA1,CUDA7"; })), "there is no device CUDA7: devices here are CUDA0 (card), CUDA1 (card), CUDA2 (card)");
  EXPECT_EQ(wrong(With([](GpuOptions& g) { g.device = "CUDA1,CUDA1"; })), "--device CUDA1,CUDA1 names CUDA1 twice");
  EXPECT_EQ(wrong(With([](GpuOptions& g) { g.device = "Vulkan0"; })), "--device Vulkan0: devices here are CUDA0 (card), CUDA1 (card), CUDA2 (card); \"none\" is the CPU");
}

TEST_F(ChooseDevicesTest, WhoGetsNoLayerIsLeftOut) {
  const auto share = [&](const GpuOptions& gpu, int layers) {
    std::vector<Candidate> candidates;
    for (const CudaDevice& d : devices_) candidates.push_back({&d, free_[static_cast<size_t>(d.index)] * kGiB});
    const std::vector<int> shares = ShareAmong(gpu, &candidates, layers);
    std::vector<std::pair<int, int>> of;
    for (size_t i = 0; i < shares.size(); ++i) of.emplace_back(candidates[i].device->index, shares[i]);
    return of;
  };
  using Of = std::vector<std::pair<int, int>>;
  EXPECT_EQ(share({}, 26), (Of{{0, 8}, {1, 14}, {2, 4}}));
  EXPECT_EQ(share(With([](GpuOptions& g) { g.shares = {1, 0, 1}; }), 26), (Of{{0, 13}, {2, 13}}));
  EXPECT_EQ(share(With([](GpuOptions& g) { g.shares = {0, 1}; }), 26), (Of{{1, 26}}));
  EXPECT_EQ(share(With([](GpuOptions& g) { g.shares = {1, 1, 1, 1}; }), 3), (Of{{0, 1}, {1, 1}, {2, 1}}));
}

}  // namespace
}  // namespace lb::app
