#include "text/jinja/string_format.h"

#include <algorithm>
#include <cmath>

#include "text/jinja/access.h"
#include "text/jinja/format_spec.h"
#include "text/jinja/operators.h"
#include "text/jinja/to_string.h"

namespace lb::text::jinja {
namespace {

bool Fits(Runtime& rt, const TaintedText& out) {
  if (static_cast<int64_t>(out.size()) <= rt.limits().output_bytes) return rt.ok();
  rt.Fail("a text is longer than {} bytes", rt.limits().output_bytes);
  return false;
}

// "%(name)-5.2d": what stands between % and the letter.
struct Directive {
  FormatSpec spec;
  bool named = false;
  std::string_view name;
  char letter = 0;
};

class PercentFormatter {
 public:
  PercentFormatter(Runtime& rt, const Value& format, const Value& values)
      : rt_(rt), format_(format.text()), values_(values), is_tuple_(values.is(Kind::kTuple)) {}

  bool Run(TaintedText* out) {
    const std::string_view bytes = format_.view();
    while (pos_ < bytes.size()) {
      const size_t at = std::min(bytes.find('%', pos_), bytes.size());
      out->Append(format_, pos_, at);
      pos_ = at;
      if (at == bytes.size()) break;
      const size_t begin = pos_++;
      Directive directive;
      if (!Read(&directive)) return false;
      if (directive.letter == '%') {
        out->Append(format_, begin, begin + 1);
        continue;
      }
      if (!Write(directive, out) || !Fits(rt_, *out)) return false;
    }
    const bool all_used =
        values_.is(Kind::kDict) || used_names_ || next_ == (is_tuple_ ? values_.items().size() : 1);
    if (!all_used) rt_.Fail("not all arguments converted during string formatting");
    return rt_.ok();
  }

 private:
  bool Read(Directive* directive) {
    const std::string_view bytes = format_.view();
    FormatSpec& spec = directive->spec;
    const auto at = [&] { return pos_ < bytes.size() ? bytes[pos_] : '\0'; };
    if (at() == '(') {
      const size_t end = bytes.find(')', pos_);
      if (end == std::string_view::npos) return Bad("incomplete format key");
      directive->named = true;
      directive->name = bytes.substr(pos_ + 1, end - pos_ - 1);
      pos_ = end + 1;
    }
    bool zero = false;
    for (; std::string_view("-+ #0").find(at()) != std::string_view::npos && at() != 0; ++pos_) {
      switch (at()) {
        case '-':
          spec.align = '<';
          break;
        case '+':
          spec.sign = '+';
          break;
        case ' ':
          spec.sign = spec.sign == '+' ? '+' : ' ';
          break;
        case '#':
          spec.alternate = true;
          break;
        default:
          zero = true;
      }
    }
    if (zero && spec.align == 0) {
      spec.align = '=';
      spec.fill = "0";
    }
    if (!ReadCount(&spec.width)) return false;
    if (at() == '.') {
      ++pos_;
      spec.precision = 0;
      if (!ReadCount(&spec.precision)) return false;
    }
    while (at() == 'l' || at() == 'h' || at() == 'L') ++pos_;
    if (pos_ >= bytes.size()) return Bad("incomplete format");
    directive->letter = bytes[pos_++];
    return true;
  }

  bool ReadCount(int64_t* count) {
    constexpr int64_t kMax = 1'000'000;
    const std::string_view bytes = format_.view();
    if (pos_ < bytes.size() && bytes[pos_] == '*') return Bad("* is not supported");
    for (; pos_ < bytes.size() && bytes[pos_] >= '0' && bytes[pos_] <= '9'; ++pos_) {
      *count = *count * 10 + (bytes[pos_] - '0');
      if (*count > kMax) return Bad("width or precision too big");
    }
    return true;
  }

  bool Bad(const char* what) {
    rt_.Fail("string formatting: {}", what);
    return false;
  }

  bool Take(const Directive& directive, Value* value) {
    if (directive.named) {
      used_names_ = true;
      if (!values_.is(Kind::kDict)) return Bad("format requires a mapping");
      const Value* found = values_.dict().Find(directive.name);
      if (found == nullptr) return Bad("a named value is missing");
      *value = *found;
      return true;
    }
    if (is_tuple_ ? next_ >= values_.items().size() : next_ >= 1) {
      return Bad("not enough arguments for format string");
    }
    *value = is_tuple_ ? values_.items()[next_] : values_;
    ++next_;
    return true;
  }

  bool Write(Directive& directive, TaintedText* out) {
    Value value;
    if (!Take(directive, &value)) return false;
    FormatSpec& spec = directive.spec;
    const FormatSpec text_spec{
        " ", spec.align == '<' ? '<' : '>', '-', false, 0, spec.width, spec.precision, 0};
    std::string number;
    switch (directive.letter) {
      case 's':
        out->Append(FormatText(ToText(rt_, value), text_spec));
        return true;
      case 'r':
      case 'a':
        out->Append(FormatText(Repr(rt_, value), text_spec));
        return true;
      case 'c':
        if (value.is_string() && Length(rt_, value) == 1) {
          out->Append(FormatText(value.text(), text_spec));
          return true;
        }
        if (!value.is_integral()) return Bad("%c requires int or char");
        spec.type = 'c';
        if (!FormatInteger(value.integer(), spec, &number)) return Bad("%c arg not in range");
        break;
      case 'd':
      case 'i':
      case 'u':
        if (!value.is_number()) return Bad("%d format: a real number is required");
        if (value.is(Kind::kDouble) && !(std::fabs(value.number()) < 9.2e18)) {
          return Bad("number out of range");
        }
        FormatInteger(
            value.is(Kind::kDouble) ? static_cast<int64_t>(value.number()) : value.integer(), spec,
            &number);
        break;
      case 'x':
      case 'X':
      case 'o':
        if (!value.is_integral()) return Bad("%x format: an integer is required");
        spec.type = directive.letter;
        FormatInteger(value.integer(), spec, &number);
        break;
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        if (!value.is_number()) return Bad("must be real number");
        spec.type = directive.letter;
        if (!FormatNumber(value.number(), spec, &number)) return Bad("precision too big");
        break;
      default:
        return Bad("unsupported format character");
    }
    out->Append(number, Origin::kTemplate);
    return true;
  }

  Runtime& rt_;
  const TaintedText& format_;
  const Value& values_;
  bool is_tuple_;
  size_t pos_ = 0;
  size_t next_ = 0;
  bool used_names_ = false;
};

class BraceFormatter {
 public:
  BraceFormatter(Runtime& rt, const Arguments& args) : rt_(rt), args_(args) {}

  // Specifications may hold fields themselves, one level deep.
  bool Run(const TaintedText& format, int level, TaintedText* out) {
    const std::string_view bytes = format.view();
    size_t pos = 0;
    while (pos < bytes.size()) {
      const size_t at = std::min(bytes.find_first_of("{}", pos), bytes.size());
      out->Append(format, pos, at);
      if (at == bytes.size()) break;
      if (at + 1 < bytes.size() && bytes[at + 1] == bytes[at]) {
        out->Append(format, at, at + 1);
        pos = at + 2;
        continue;
      }
      if (bytes[at] == '}') return Bad("Single '}' encountered in format string");
      size_t end = at + 1;
      for (int open = 1; end < bytes.size(); ++end) {
        if (bytes[end] == '{') ++open;
        if (bytes[end] == '}' && --open == 0) break;
      }
      if (end >= bytes.size()) return Bad("expected '}' before end of string");
      if (level > 1) return Bad("Max string recursion exceeded");
      if (!Field(format.Sub(at + 1, end), level, out) || !Fits(rt_, *out)) return false;
      pos = end + 1;
    }
    return rt_.ok();
  }

 private:
  bool Bad(const char* what) {
    rt_.Fail("str.format: {}", what);
    return false;
  }

  bool Field(const TaintedText& field, int level, TaintedText* out) {
    const std::string_view bytes = field.view();
    const size_t name_end = std::min(bytes.find_first_of("!:"), bytes.size());
    Value value;
    if (!Lookup(bytes.substr(0, name_end), &value)) return false;
    size_t pos = name_end;
    if (pos < bytes.size() && bytes[pos] == '!') {
      const char how = pos + 1 < bytes.size() ? bytes[pos + 1] : '\0';
      if (how != 's' && how != 'r' && how != 'a') return Bad("unknown conversion specifier");
      value = rt_.NewString(how == 's' ? ToText(rt_, value) : Repr(rt_, value));
      pos += 2;
      if (pos < bytes.size() && bytes[pos] != ':') return Bad("expected ':' after conversion");
    }
    TaintedText spec;
    if (pos < bytes.size() && !Run(field.Sub(pos + 1, field.size()), level + 1, &spec))
      return false;
    if (!rt_.ok()) return false;
    out->Append(FormatWithSpec(rt_, value, spec.view()));
    return rt_.ok();
  }

  bool Lookup(std::string_view path, Value* value) {
    const size_t first_end = std::min(path.find_first_of(".["), path.size());
    const std::string_view first = path.substr(0, first_end);
    const bool is_index = first.find_first_not_of("0123456789") == std::string_view::npos;
    if (is_index) {
      if (first.size() > 9) return Bad("index too big");
      if (first.empty() ? manual_ : automatic_ > 0) {
        return Bad("cannot mix automatic and manual field numbering");
      }
      manual_ = manual_ || !first.empty();
      const size_t index = first.empty() ? automatic_++ : std::stoul(std::string(first));
      if (index >= args_.positional.size()) return Bad("replacement index out of range");
      *value = args_.positional[index];
    } else {
      const auto it = std::find_if(args_.named.begin(), args_.named.end(),
                                   [&](const auto& arg) { return arg.first.view() == first; });
      if (it == args_.named.end()) return Bad("a named value is missing");
      *value = it->second;
    }
    return Descend(path.substr(first_end), value);
  }

  // ".name" and "[key]" parts.
  bool Descend(std::string_view path, Value* value) {
    while (!path.empty() && rt_.ok()) {
      if (path[0] == '.') {
        const size_t end = std::min(path.find_first_of(".[", 1), path.size());
        *value = GetAttribute(rt_, *value, path.substr(1, end - 1), -1);
        path.remove_prefix(end);
      } else {
        const size_t end = path.find(']');
        if (path[0] != '[' || end == std::string_view::npos) return Bad("missing ']'");
        const std::string_view key = path.substr(1, end - 1);
        const bool is_index = !key.empty() && key.size() < 10 &&
                              key.find_first_not_of("0123456789") == std::string_view::npos;
        *value = GetItem(rt_, *value,
                         is_index ? Value::Int(std::stol(std::string(key)))
                                  : rt_.NewString(key, Origin::kTemplate));
        path.remove_prefix(end + 1);
      }
    }
    return rt_.ok();
  }

  Runtime& rt_;
  const Arguments& args_;
  size_t automatic_ = 0;
  bool manual_ = false;
};

}  // namespace

TaintedText FormatWithSpec(Runtime& rt, const Value& value, std::string_view text) {
  if (text.empty()) return ToText(rt, value);
  FormatSpec spec;
  if (!ParseFormatSpec(text, &spec)) {
    rt.Fail("invalid format specifier");
    return {};
  }
  if (!rt.SpendBytes(spec.width)) return {};
  if (value.is_string()) {
    if ((spec.type == 0 || spec.type == 's') && spec.align != '=') {
      return FormatText(value.text(), spec);
    }
  } else if (value.is_number()) {
    std::string out;
    const bool as_integer =
        value.is_integral() &&
        (spec.type == 0 || std::string_view("dboxXcn").find(spec.type) != std::string_view::npos);
    const bool done = as_integer ? spec.precision < 0 && FormatInteger(value.integer(), spec, &out)
                                 : FormatNumber(value.number(), spec, &out);
    if (done) return TaintedText(std::move(out), Origin::kTemplate);
  }
  rt.Fail("invalid format specifier for object of type '{}'", TypeName(value));
  return {};
}

Value PercentFormat(Runtime& rt, const Value& format, const Value& values) {
  TaintedText out;
  if (!PercentFormatter(rt, format, values).Run(&out)) return Value::Undefined();
  return rt.NewString(std::move(out), format.string().markup);
}

Value BraceFormat(Runtime& rt, const Value& format, const Arguments& args) {
  TaintedText out;
  if (!BraceFormatter(rt, args).Run(format.text(), 0, &out)) return Value::Undefined();
  return rt.NewString(std::move(out), format.string().markup);
}

}  // namespace lb::text::jinja
