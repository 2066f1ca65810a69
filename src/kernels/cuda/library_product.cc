#include "kernels/cuda/library_product.h"

#include "base/check.h"

namespace lb::cuda {
namespace {

constexpr size_t kWorkspaceBytes = 32 << 20;

void Check(cublasStatus_t status) { CHECK_EQ(static_cast<int>(status), static_cast<int>(CUBLAS_STATUS_SUCCESS)); }

}  // namespace

LibraryProduct::LibraryProduct() {
  Check(cublasLtCreate(&handle_));
  LB_CUDA_CHECK(cudaMalloc(&workspace_, kWorkspaceBytes));
}

LibraryProduct::~LibraryProduct() {
  for (auto& [key, plan] : plans_) {
    cublasLtMatmulDescDestroy(plan.operation);
    for (cublasLtMatrixLayout_t layout : {plan.w, plan.x, plan.y}) cublasLtMatrixLayoutDestroy(layout);
  }
  cudaFree(workspace_);
  cublasLtDestroy(handle_);
}

// The library counts columns first: y [tokens, rows] is its rows x tokens, w [rows, cols] its cols x rows, transposed.
LibraryProduct::Plan LibraryProduct::Make(const Args& args) {
  Plan plan;
  Check(cublasLtMatmulDescCreate(&plan.operation, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  const cublasOperation_t transpose = CUBLAS_OP_T;
  Check(cublasLtMatmulDescSetAttribute(plan.operation, CUBLASLT_MATMUL_DESC_TRANSA, &transpose, sizeof transpose));
  if (args.bias != nullptr) {
    const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    Check(cublasLtMatmulDescSetAttribute(plan.operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
    const cudaDataType_t type = CUDA_R_32F;
    Check(cublasLtMatmulDescSetAttribute(plan.operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, &type, sizeof type));
  }
  Check(cublasLtMatrixLayoutCreate(&plan.w, CUDA_R_16F, args.cols, args.rows, args.cols));
  Check(cublasLtMatrixLayoutCreate(&plan.x, CUDA_R_16F, args.cols, args.tokens, args.cols));
  Check(cublasLtMatrixLayoutCreate(&plan.y, args.half_out ? CUDA_R_16F : CUDA_R_32F, args.rows, args.tokens, args.rows));
  cublasLtMatmulPreference_t preference = nullptr;
  Check(cublasLtMatmulPreferenceCreate(&preference));
  Check(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kWorkspaceBytes,
                                             sizeof kWorkspaceBytes));
  cublasLtMatmulHeuristicResult_t result{};
  int found = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(handle_, plan.operation, plan.w, plan.x, plan.y, plan.y,
                                                               preference, 1, &result, &found);
  plan.usable = status == CUBLAS_STATUS_SUCCESS && found > 0;
  plan.algorithm = result.algo;
  cublasLtMatmulPreferenceDestroy(preference);
  return plan;
}

bool LibraryProduct::Run(const Launcher& on, const Args& args) {
  const auto key = std::tuple(args.rows, args.cols, args.tokens, args.bias != nullptr, args.accumulate, args.half_out);
  auto it = plans_.find(key);
  if (it == plans_.end()) it = plans_.emplace(key, Make(args)).first;
  const Plan& plan = it->second;
  if (!plan.usable) return false;
  if (args.bias != nullptr) {
    Check(cublasLtMatmulDescSetAttribute(plan.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &args.bias, sizeof args.bias));
  }
  const float beta = args.accumulate ? 1.0f : 0.0f;
  Check(cublasLtMatmul(handle_, plan.operation, &args.factor, args.w, plan.w, args.x, plan.x, &beta, args.y, plan.y, args.y,
                       plan.y, &plan.algorithm, workspace_, kWorkspaceBytes, on.stream));
  return true;
}

}  // namespace lb::cuda
