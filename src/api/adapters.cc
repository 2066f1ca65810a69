#include "api/adapters.h"

#include <algorithm>
#include <set>
#include <utility>

#include "api/json_writer.h"

namespace lb::api {

std::vector<AdapterUse> Adapters::Current() const {
  std::lock_guard lock(mutex_);
  std::vector<AdapterUse> uses;
  for (size_t i = 0; i < known_.size(); ++i) {
    if (known_[i].scale != 0) uses.push_back({static_cast<int>(i), known_[i].scale});
  }
  return uses;
}

std::string Adapters::List() const {
  std::lock_guard lock(mutex_);
  JsonWriter w;
  w.BeginArray();
  for (size_t i = 0; i < known_.size(); ++i) {
    w.BeginObject().Key("id").Int(static_cast<int64_t>(i)).Key("path").String(known_[i].path);
    w.Key("scale").Float(known_[i].scale).EndObject();
  }
  return w.EndArray().Take();
}

Result<std::string> Adapters::Set(std::string_view body) {
  LB_ASSIGN_OR_RETURN(const boost::json::value value, ParseJson(body));
  if (!value.is_array()) {
    return BadField("", "the body must be a list of {id, scale}, not " + Describe(value));
  }
  LB_ASSIGN_OR_RETURN(const std::vector<AdapterUse> uses, Parse(value.get_array(), ""));
  std::lock_guard lock(mutex_);
  for (Known& known : known_) known.scale = 0;
  for (const AdapterUse& use : uses) known_[static_cast<size_t>(use.adapter)].scale = use.scale;
  return std::string("{\"success\":true}");
}

Result<std::vector<AdapterUse>> Adapters::Parse(const boost::json::array& list,
                                                const std::string& field) const {
  std::vector<AdapterUse> uses;
  std::set<int64_t> named;
  for (size_t i = 0; i < list.size(); ++i) {
    LB_ASSIGN_OR_RETURN(const Fields fields, ObjectAt(list[i], fmt::format("{}[{}]", field, i)));
    const boost::json::value* id_value = fields.Find("id");
    const auto id = id_value == nullptr ? std::nullopt : AsInt(*id_value);
    const auto count = static_cast<int64_t>(known_.size());
    if (!id || *id < 0 || *id >= count) {
      const std::string there =
          count == 0 ? "this server has no adapters (--lora)"
          : count == 1 ? "there is one adapter, 0"
                       : fmt::format("there are the adapters 0 to {}", count - 1);
      return BadField(fields.Name("id"),
                      fmt::format("{} is {}: {}", fields.Name("id"),
                                  id_value == nullptr ? "missing" : Describe(*id_value), there));
    }
    LB_ASSIGN_OR_RETURN(const auto scale,
                        fields.Number("scale", -kMaxAdapterScale, kMaxAdapterScale));
    if (!scale) return fields.Bad("scale", "a number");
    if (!named.insert(*id).second) {
      return BadField(fields.Name("id"),
                      fmt::format("{}: adapter {} is named twice", fields.Name("id"), *id));
    }
    const auto rounded = static_cast<float>(*scale);
    if (rounded != 0) uses.push_back({static_cast<int>(*id), rounded});
  }
  std::ranges::sort(uses);
  return uses;
}

}  // namespace lb::api
