#include "text/jinja/methods.h"

namespace lb::text::jinja {

const Method* FindMethod(const Value& value, std::string_view name) {
  switch (value.kind()) {
    case Kind::kString:
      return FindStringMethod(name);
    case Kind::kDict:
      return FindDictMethod(name);
    case Kind::kList:
      return FindListMethod(name);
    case Kind::kTuple:
    case Kind::kRange:
      return FindTupleMethod(name);
    default:
      return nullptr;
  }
}

}  // namespace lb::text::jinja
