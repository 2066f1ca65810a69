// Proves which part of a split backend does what: where memory and matrices go, that a part is started before another receives from
// it, that only what was written elsewhere is copied, and that a repeated step passes from part to part as the recorded one did.
// That whole models compute the same: tests/model/split_forward_test.cc.
#include "kernels/split_ops.h"

#include <gtest/gtest.h>

#include "kernels/ref/ref_ops.h"

namespace lb {
namespace {

using Calls = std::vector<std::string>;

// Says what it is asked to do.
class Part final : public RefOps {
 public:
  Part(int number, Calls* calls) : number_(number), calls_(calls) {}
  Result<DeviceMemory> Allocate(size_t bytes) override {
    allocated += static_cast<int64_t>(bytes);
    return RefOps::Allocate(bytes);
  }
  void Matmul(const TensorView& x, std::span<const MatmulOut> outs) override {
    Say("product");
    RefOps::Matmul(x, outs);
  }
  void Activate(Activation act, const TensorView& x) override {
    Say("activate");
    RefOps::Activate(act, x);
  }
  int64_t free_memory(int64_t beside) const override { return free - beside; }
  void Start() override {
    Say("start");
    ++started_;
  }
  int64_t last_started() const override { return started_; }
  bool CanRepeat(int64_t number) const override { return repeats && number == started_; }
  bool Repeat(int64_t number) override {
    Say("repeat");
    return CanRepeat(number);
  }
  void Receive(Ops& from, const void* src, void* dst, size_t bytes) override {
    Say(fmt::format("receive {} of {}", bytes, static_cast<Part&>(from).number_));
    RefOps::Receive(from, src, dst, bytes);
  }
  Result<void> Finish() override {
    if (!fault) return {};
    return Fail(ErrorCode::kComputeFault, "part {} fell over", number_);
  }
  int64_t free = 0, allocated = 0;
  bool repeats = true, fault = false;

 private:
  void Say(std::string_view what) { calls_->push_back(fmt::format("{}: {}", number_, what)); }
  const int number_;
  Calls* calls_;
  int64_t started_ = 0;
};

class SplitOpsTest : public testing::Test {
 protected:
  // Six layers: 0 to 2, 3, 4 and 5.
  SplitOpsTest() {
    std::vector<std::unique_ptr<Ops>> parts;
    for (int i = 0; i < 3; ++i) {
      auto part = std::make_unique<Part>(i, &calls_);
      parts_.push_back(part.get());
      parts.push_back(std::move(part));
    }
    ops_ = std::make_unique<SplitOps>(std::move(parts), std::vector<int>{0, 3, 4}, 6);
    x_ = Tensor(4), y_ = Tensor(4);
  }
  TensorView Tensor(int64_t n) {
    memory_.push_back(std::move(ops_->Allocate(static_cast<size_t>(n) * 4)).value());
    return TensorView(memory_.back().get(), DType::kF32, {1, n});
  }
  // Of layer `layer`: twice the identity.
  const Matrix* Doubles(int layer) {
    static const std::vector<float> values = {2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2};
    ops_->BeginLayer(layer);
    matrices_.push_back(std::move(ops_->LoadMatrix(TensorView(const_cast<float*>(values.data()), DType::kF32, {4, 4}))).value());
    ops_->BeginLayer(-1);
    return matrices_.back().get();
  }
  void Product(const Matrix* w, const TensorView& x, const TensorView& y, bool accumulate = false) {
    const MatmulOut out{w, y, nullptr, accumulate};
    ops_->Matmul(x, {&out, 1});
  }
  void Put(const TensorView& x, std::vector<float> values) { ops_->CopyFromHost(values.data(), x); }
  std::vector<float> Get(const TensorView& x) {
    std::vector<float> values(static_cast<size_t>(x.num_elements()));
    ops_->CopyToHost(x, values.data());
    return values;
  }

  Calls calls_;
  std::vector<Part*> parts_;
  std::unique_ptr<SplitOps> ops_;
  std::vector<DeviceMemory> memory_;
  std::vector<std::unique_ptr<Matrix>> matrices_;
  TensorView x_, y_;
};

TEST_F(SplitOpsTest, MemoryOfALayerIsItsPartsAndAllElseEverybodys) {
  for (Part* part : parts_) EXPECT_EQ(part->allocated, 32);
  for (const auto& [layer, part] : {std::pair{0, 0}, {2, 0}, {3, 1}, {4, 2}, {5, 2}, {80, 2}}) {
    for (Part* p : parts_) p->allocated = 0;
    ops_->BeginLayer(layer);
    const auto memory = std::move(ops_->Allocate(64)).value();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(parts_[static_cast<size_t>(i)]->allocated, i == part ? 64 : 0) << layer;
  }
}

TEST_F(SplitOpsTest, ThePoolIsWhatTheFullestPartAllows) {
  parts_[0]->free = 300, parts_[1]->free = 400, parts_[2]->free = 1000;
  EXPECT_EQ(ops_->free_memory(0), 600);    // half of the layers
  EXPECT_EQ(ops_->free_memory(100), 400);  // 200 for three layers
  parts_[1]->free = 130;
  EXPECT_EQ(ops_->free_memory(100), 180);  // 30 for one of six
}

TEST_F(SplitOpsTest, AStepPassesFromPartToPart) {
  const Matrix* first = Doubles(1);
  const Matrix* second = Doubles(3);
  const Matrix* last = Doubles(-1);
  Put(x_, {1, -2, 3, 4});
  Put(y_, {0, 0, 0, 0});
  calls_.clear();
  Product(first, x_, y_);         // y = 2x
  Product(second, y_, x_);        // x = 4x
  ops_->Activate(Activation::kRelu, x_);
  Product(second, x_, y_, true);  // y += 8x: that y is of the first part, and is there already
  Product(last, y_, x_);          // only y goes on
  ASSERT_TRUE(ops_->Finish().has_value());
  const Calls recorded = {"0: product", "0: start", "1: receive 0 of 0", "1: receive 16 of 0", "1: product", "1: activate", "1: product",
                          "1: start", "2: receive 0 of 1", "2: receive 16 of 1", "2: product", "2: start"};
  EXPECT_EQ(calls_, recorded);
  EXPECT_EQ(Get(x_), (std::vector<float>{20, -8, 60, 80}));
  EXPECT_EQ(Get(y_), (std::vector<float>{10, -4, 30, 40}));

  calls_.clear();
  const int64_t number = ops_->last_started();
  ASSERT_TRUE(ops_->Repeat(number));
  EXPECT_FALSE(ops_->Repeat(number)) << "while it is under way";
  ASSERT_TRUE(ops_->Finish().has_value());
  const Calls repeated = {"0: repeat", "0: start", "1: receive 0 of 0", "1: receive 16 of 0", "1: repeat", "1: start",
                          "2: receive 0 of 1", "2: receive 16 of 1", "2: repeat", "2: start"};
  EXPECT_EQ(calls_, repeated);
  EXPECT_FALSE(ops_->Repeat(number)) << "another number";
  parts_[1]->repeats = false;
  EXPECT_FALSE(ops_->Repeat(ops_->last_started()));
}

// Then what passes on is what the layer begins with.
TEST_F(SplitOpsTest, ANormGoesWhereItsWeightIs) {
  const Matrix* first = Doubles(0);
  const Matrix* second = Doubles(4);
  std::vector<float> ones(4, 1.0f);
  const TensorView raw(ones.data(), DType::kF32, {4});
  ops_->BeginLayer(4);
  const auto weight = std::move(ops_->LoadVector(raw)).value();
  ops_->BeginLayer(-1);
  const auto nobodys = std::move(ops_->LoadVector(raw)).value();
  Put(x_, {3, 3, 3, 3});
  calls_.clear();
  Product(first, x_, y_);
  ops_->RmsNorm(y_, static_cast<const float*>(weight.get()), 0, x_);
  Product(second, x_, y_, true);
  ops_->RmsNorm(y_, static_cast<const float*>(nobodys.get()), 0, x_);
  ASSERT_TRUE(ops_->Finish().has_value());
  const Calls calls = {"0: product", "0: start", "2: receive 0 of 0", "2: receive 16 of 0", "2: product", "2: start"};
  EXPECT_EQ(calls_, calls);
  EXPECT_EQ(Get(y_), (std::vector<float>{8, 8, 8, 8}));
  EXPECT_EQ(Get(x_), (std::vector<float>{1, 1, 1, 1}));
}

TEST_F(SplitOpsTest, APartMayBeVisitedTwice) {
  const Matrix* first = Doubles(0);
  const Matrix* last = Doubles(-1);
  Put(x_, {1, 2, 3, 4});
  Product(last, x_, y_);
  Product(first, y_, x_);
  Product(last, x_, y_, true);
  ASSERT_TRUE(ops_->Finish().has_value());
  EXPECT_EQ(Get(y_), (std::vector<float>{10, 20, 30, 40}));
}

TEST_F(SplitOpsTest, WhatFollowsAStartIsWhereTheStepIs) {
  const Matrix* first = Doubles(0);
  const Matrix* second = Doubles(3);
  Put(x_, {1, 2, 3, 4});
  Product(first, x_, y_);
  Product(second, y_, x_);
  ops_->Start();
  const int64_t number = ops_->last_started();
  calls_.clear();
  ops_->Activate(Activation::kRelu, x_);
  EXPECT_EQ(calls_, (Calls{"1: activate"}));
  ASSERT_TRUE(ops_->Finish().has_value());
  EXPECT_TRUE(ops_->CanRepeat(number) == false) << "its part has started something since";
  calls_.clear();
  ops_->Activate(Activation::kRelu, x_);
  EXPECT_EQ(calls_, (Calls{"0: activate"})) << "a new step";
}

TEST_F(SplitOpsTest, AFaultOfAnyPartIsTheSteps) {
  const Matrix* first = Doubles(0);
  parts_[1]->fault = true;
  Product(first, x_, y_);
  const auto ended = ops_->Finish();
  ASSERT_FALSE(ended.has_value());
  EXPECT_EQ(ended.error().message, "part 1 fell over");
  EXPECT_FALSE(ops_->CanRepeat(ops_->last_started()));
  parts_[1]->fault = false;
  Product(first, x_, y_);
  EXPECT_TRUE(ops_->Finish().has_value());
}

}  // namespace
}  // namespace lb
