#include "grammar/formats.h"

#include <array>
#include <utility>

namespace lb::grammar {
namespace {

// Days as in a year that is no leap year; years that every date library has.
#define LB_DATE                                                    \
  "[12][0-9]{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|" \
  "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
#define LB_TIME                                                  \
  "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?" \
  "(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
#define LB_LABEL "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#define LB_HOST LB_LABEL "(?:\\." LB_LABEL "){0,3}"
#define LB_BYTE "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define LB_PATH "[A-Za-z0-9_.~!$&'()*+,;=:@-]"

constexpr std::array<std::pair<std::string_view, std::string_view>, 26> kFormats = {{
    {"date", "^" LB_DATE "$"},
    {"time", "^" LB_TIME "$"},
    {"date-time", "^" LB_DATE "T" LB_TIME "$"},
    {"duration",
     "^P(?:[0-9]{1,3}W|[0-9]{1,3}Y(?:[0-9]{1,3}M(?:[0-9]{1,3}D)?)?|[0-9]{1,3}M(?:[0-9]{1,3}D)?|"
     "[0-9]{1,3}D|(?:[0-9]{1,3}D)?T(?:[0-9]{1,3}H(?:[0-9]{1,3}M(?:[0-9]{1,3}S)?)?|"
     "[0-9]{1,3}M(?:[0-9]{1,3}S)?|[0-9]{1,3}S))$"},
    {"email", "^[A-Za-z0-9_+-]{1,30}(?:\\.[A-Za-z0-9_+-]{1,30}){0,2}@(?:" LB_LABEL
              "\\.){1,3}[A-Za-z]{2,12}$"},
    {"idn-email", "^[A-Za-z0-9_+-]{1,30}(?:\\.[A-Za-z0-9_+-]{1,30}){0,2}@(?:" LB_LABEL
                  "\\.){1,3}[A-Za-z]{2,12}$"},
    {"hostname", "^" LB_HOST "$"},
    {"idn-hostname", "^" LB_HOST "$"},
    {"ipv4", "^" LB_BYTE "(?:\\." LB_BYTE "){3}$"},
    {"ip", "^" LB_BYTE "(?:\\." LB_BYTE "){3}$"},
    {"ipv6",
     "^(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){7}|[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,2}::"
     "[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,2}|::1|::)$"},
    {"uuid", "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$"},
    {"uri", "^[a-z][a-z0-9+.-]{1,11}://" LB_HOST "(?::[1-9][0-9]{0,3})?(?:/" LB_PATH "*)*"
            "(?:\\?" LB_PATH "*)?(?:#" LB_PATH "*)?$"},
    {"iri", "^[a-z][a-z0-9+.-]{1,11}://" LB_HOST "(?::[1-9][0-9]{0,3})?(?:/" LB_PATH "*)*"
            "(?:\\?" LB_PATH "*)?(?:#" LB_PATH "*)?$"},
    {"uri-reference",
     "^(?:[a-z][a-z0-9+.-]{1,11}://" LB_HOST "(?::[1-9][0-9]{0,3})?)?(?:/[A-Za-z0-9_.~-]+)+"
     "(?:\\?" LB_PATH "*)?(?:#" LB_PATH "*)?$"},
    {"iri-reference",
     "^(?:[a-z][a-z0-9+.-]{1,11}://" LB_HOST "(?::[1-9][0-9]{0,3})?)?(?:/[A-Za-z0-9_.~-]+)+"
     "(?:\\?" LB_PATH "*)?(?:#" LB_PATH "*)?$"},
    {"json-pointer", "^(?:/[A-Za-z0-9_.-]*)*$"},
    {"relative-json-pointer", "^(?:0|[1-9][0-9]{0,4})(?:#|(?:/[A-Za-z0-9_.-]*)*)$"},
    {"byte", "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"},
    // Words about the text's use.
    {"password", ""},
    {"binary", ""},
    {"string", ""},
    {"text", ""},
    {"markdown", ""},
    {"textarea", ""},
    {"html", ""},
}};

}  // namespace

std::optional<std::string_view> FormatPattern(std::string_view format) {
  for (const auto& [name, pattern] : kFormats) {
    if (name == format) return pattern;
  }
  return std::nullopt;
}

}  // namespace lb::grammar
