// The names of a template, numbered.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace lb::text::jinja {

// Filled while parsing, then immutable.
class Symbols {
 public:
  int Intern(std::string_view name) {
    const auto [it, is_new] = ids_.emplace(std::string(name), static_cast<int>(names_.size()));
    if (is_new) names_.emplace_back(name);
    return it->second;
  }
  // -1 when the template does not name it.
  int Find(std::string_view name) const {
    const auto it = ids_.find(std::string(name));
    return it == ids_.end() ? -1 : it->second;
  }
  const std::string& name(int id) const { return names_[id]; }
  size_t size() const { return names_.size(); }

 private:
  std::unordered_map<std::string, int> ids_;
  std::vector<std::string> names_;
};

}  // namespace lb::text::jinja
