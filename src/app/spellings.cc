#include "app/spellings.h"

#include <map>

namespace lb::app {

std::string Spelled(const std::string& name) {
  static const std::map<std::string, std::string> table = {
      {"-md", "--model-draft"},   {"-np", "--parallel"},       {"-ctk", "--cache-type-k"}, {"-ctv", "--cache-type-v"},
      {"-to", "--timeout"},        {"-lv", "--verbosity"},     {"--log-verbosity", "--verbosity"},
      {"--n-predict", "--predict"}, {"--dry-seq-breaker", "--dry-sequence-breaker"},
      {"--repeat_penalty", "--repeat-penalty"}, {"--threads-http", "--http-threads"},
      {"-ngl", "--gpu-layers"}, {"-dev", "--device"}, {"-mg", "--main-gpu"}, {"-sm", "--split-mode"}, {"-ts", "--tensor-split"},
      {"-Cr", "--cpu-range"},      {"--usage", "--help"},      {"--top-n-sigma", "--top-nsigma"},
      {"--cors-origins", "--cors"}, {"-l", "--logit-bias"}, {"-rea", "--reasoning"}, {"-sp", "--special"},
      {"--log-verbose", "--verbose"}, {"--typical-p", "--typical"}, {"--n_predict", "--predict"},
      {"--temperature", "--temp"}, {"-jf", "--json-schema-file"}, {"--spec-draft-model", "--model-draft"},
      {"--spec-draft-n-max", "--draft-max"}, {"--spec-draft-p-min", "--draft-p-min"},
  };
  const auto found = table.find(name);
  return found != table.end() ? found->second : name;
}

}  // namespace lb::app
