#include "text/jinja/json.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cmath>

#include "text/jinja/from_json.h"
#include "text/jinja/operators.h"
#include "text/jinja/to_string.h"
#include "text/jinja/unicode.h"

namespace lb::text::jinja {
namespace {

class JsonWriter {
 public:
  JsonWriter(Runtime& rt, const JsonStyle& style, TaintedText* out)
      : rt_(rt), style_(style), out_(*out) {}

  void Write(const Value& value, int level) {
    if (!rt_.Spend(1) || !Fits()) return;
    DepthGuard guard(rt_);
    if (!guard.ok()) return;
    switch (value.kind()) {
      case Kind::kNone:
        return Literal("null");
      case Kind::kBool:
        return Literal(value.boolean() ? "true" : "false");
      case Kind::kInt:
        return Literal(fmt::format_int(value.integer()).c_str());
      case Kind::kDouble:
        return Literal(Number(value.number()));
      case Kind::kString:
        return String(value.text());
      case Kind::kList:
      case Kind::kTuple:
        return Array(value.items(), level);
      case Kind::kDict:
        return Object(value.dict(), level);
      default:
        rt_.Fail("Object of type {} is not JSON serializable", TypeName(value));
    }
  }

 private:
  static std::string Number(double number) {
    if (std::isnan(number)) return "NaN";
    if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
    return FormatDouble(number);
  }

  bool Fits() {
    if (static_cast<int64_t>(out_.size()) <= rt_.limits().output_bytes) return true;
    rt_.Fail("a text is longer than {} bytes", rt_.limits().output_bytes);
    return false;
  }

  void Literal(std::string_view text) { out_.Append(text, Origin::kTemplate); }

  void Line(int level) {
    if (!style_.indent) return;
    Literal("\n");
    for (int i = 0; i < level && Fits(); ++i) Literal(*style_.indent);
  }

  void Array(const std::vector<Value>& items, int level) {
    if (items.empty()) return Literal("[]");
    Literal("[");
    for (size_t i = 0; i < items.size() && rt_.ok(); ++i) {
      if (i > 0) Literal(style_.item_separator);
      Line(level + 1);
      Write(items[i], level + 1);
    }
    Line(level);
    Literal("]");
  }

  void Object(const DictObject& dict, int level) {
    if (dict.entries.empty()) return Literal("{}");
    std::vector<const std::pair<Value, Value>*> entries;
    for (const auto& entry : dict.entries) entries.push_back(&entry);
    if (style_.sort_keys) {
      if (!rt_.Spend(static_cast<int64_t>(entries.size()) * 4)) return;
      std::stable_sort(entries.begin(), entries.end(), [&](const auto* a, const auto* b) {
        return rt_.ok() && Compare(rt_, a->first, b->first, "<") < 0;
      });
    }
    Literal("{");
    for (size_t i = 0; i < entries.size() && rt_.ok(); ++i) {
      if (i > 0) Literal(style_.item_separator);
      Line(level + 1);
      Key(entries[i]->first);
      Literal(style_.key_separator);
      Write(entries[i]->second, level + 1);
    }
    Line(level);
    Literal("}");
  }

  void Key(const Value& key) {
    switch (key.kind()) {
      case Kind::kString:
        return String(key.text());
      case Kind::kNone:
        return Literal("\"null\"");
      case Kind::kBool:
        return Literal(key.boolean() ? "\"true\"" : "\"false\"");
      case Kind::kInt:
        return Literal(fmt::format("\"{}\"", key.integer()));
      case Kind::kDouble:
        return Literal("\"" + Number(key.number()) + "\"");
      default:
        rt_.Fail("keys must be str, int, float, bool or None, not {}", TypeName(key));
    }
  }

  void String(const TaintedText& text) {
    if (!rt_.SpendBytes(text.size())) return;
    Literal("\"");
    text.ForEachRun([&](std::string_view run, Origin origin) {
      buffer_.clear();
      for (size_t pos = 0, length = 1; pos < run.size(); pos += length) {
        const unsigned char byte = run[pos];
        length = 1;
        switch (byte) {
          case '"':
            buffer_ += "\\\"";
            continue;
          case '\\':
            buffer_ += "\\\\";
            continue;
          case '\n':
            buffer_ += "\\n";
            continue;
          case '\r':
            buffer_ += "\\r";
            continue;
          case '\t':
            buffer_ += "\\t";
            continue;
          case '\f':
            buffer_ += "\\f";
            continue;
          case '\b':
            buffer_ += "\\b";
            continue;
          default:
            break;
        }
        if (byte < 0x20) {
          Escape(byte);
        } else if (byte >= 0x80 && style_.ensure_ascii) {
          const char32_t c = Decode(run, pos, &length);
          Escape(c == kBadByte ? 0xFFFD : c);
        } else {
          buffer_.push_back(run[pos]);
        }
      }
      out_.Append(buffer_, origin);
    });
    Literal("\"");
  }

  void Escape(char32_t c) {
    const auto unit = [&](uint32_t u) { buffer_ += fmt::format("\\u{:04x}", u); };
    if (c < 0x10000) return unit(c);
    unit(0xD800 + ((c - 0x10000) >> 10));
    unit(0xDC00 + ((c - 0x10000) & 0x3FF));
  }

  Runtime& rt_;
  const JsonStyle& style_;
  TaintedText& out_;
  std::string buffer_;
};

}  // namespace

TaintedText DumpJson(Runtime& rt, const Value& value, const JsonStyle& style) {
  TaintedText out;
  JsonWriter(rt, style, &out).Write(value, 0);
  return out;
}

Value ParseJson(Runtime& rt, const TaintedText& text) {
  // A step a byte: what is parsed is not counted by the heap.
  if (!rt.Spend(1 + static_cast<int64_t>(text.size()))) return Value::Undefined();
  boost::json::error_code error;
  boost::json::parse_options options;
  options.max_depth = 64;
  if (static_cast<int64_t>(text.size()) > rt.limits().memory_bytes / 64) {
    return rt.Fail("from_json: the text is longer than {} bytes", rt.limits().memory_bytes / 64);
  }
  const boost::json::value json = boost::json::parse(
      boost::json::string_view(text.view().data(), text.size()), error, {}, options);
  if (error) return rt.Fail("from_json: not JSON: {}", error.message());
  Result<Value> value = FromJson(json, text.any_data() ? Origin::kData : Origin::kTemplate);
  if (!value) return rt.Fail("from_json: {}", value.error().message);
  return *value;
}

}  // namespace lb::text::jinja
