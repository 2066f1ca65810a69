// Proves that the linear-time splitter cuts text exactly as PCRE2 does with the same expressions,
// for every pre-tokenizer; and that the few ways of splitting that are not an expression here agree
// with the expressions of the models they come from.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pre_tokenizer.h"

#include <gtest/gtest.h>
#include <pcre2.h>
#include <utf8proc.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "random_text.h"

namespace lb::text {
namespace {

void ReplaceAll(std::string* text, std::string_view what, std::string_view with) {
  for (size_t at = text->find(what); at != text->npos; at = text->find(what, at + with.size())) {
    text->replace(at, what.size(), with);
  }
}

// One stage as PCRE2 sees it.
class PcreStage {
 public:
  explicit PcreStage(const SplitStage& stage) {
    std::string pattern = stage.pattern;
    const std::string digit = pattern;
    if (stage.how == SplitStage::How::kTriples) {
      pattern = digit + "{1,3}(?=(?:" + digit + "{3})*(?!" + digit + "))";
    } else if (stage.how == SplitStage::How::kTriplesOfWord) {
      pattern = digit + "{1,3}(?=(?:" + digit + "{3})*(?![\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}]))";
    }
    // PCRE2 has no intersection of sets; and \p{Han} alone would mean the script extensions.
    for (const std::string set : {"[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}",
                                  "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}"}) {
      ReplaceAll(&pattern, set + "&&[^\\p{Han}]]", "(?:(?!\\p{Han})" + set + "])");
    }
    ReplaceAll(&pattern, "\\p{Han}", "\\p{sc:Han}");
    int error = 0;
    size_t offset = 0;
    code_ = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                          PCRE2_UTF | PCRE2_UCP | PCRE2_DOLLAR_ENDONLY, &error, &offset, nullptr);
    EXPECT_NE(code_, nullptr) << pattern << " at " << offset;
    match_ = pcre2_match_data_create_from_pattern(code_, nullptr);
  }
  ~PcreStage() {
    pcre2_match_data_free(match_);
    pcre2_code_free(code_);
  }

  void Split(const std::string& text, std::vector<std::string>* pieces) const {
    size_t pos = 0;
    while (pos < text.size()) {
      const int found = pcre2_match(code_, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                    pos, PCRE2_NOTEMPTY, match_, nullptr);
      if (found < 0) break;
      const size_t* ends = pcre2_get_ovector_pointer(match_);
      if (ends[0] > pos) pieces->push_back(text.substr(pos, ends[0] - pos));
      pieces->push_back(text.substr(ends[0], ends[1] - ends[0]));
      pos = ends[1];
    }
    if (pos < text.size()) pieces->push_back(text.substr(pos));
  }

 private:
  pcre2_code* code_ = nullptr;
  pcre2_match_data* match_ = nullptr;
};

// utf8proc knows a newer Unicode than PCRE2: characters that only one of them has are left out, and
// U+180E, which is a space for PCRE2 but for no tokenizer.
bool KnownToBoth(char32_t c) {
  static const std::vector<bool> kKnown = [] {
    const PcreStage assigned(SplitStage{"\\P{Cn}"});
    std::vector<bool> known(0x110000);
    for (char32_t code = 0; code < known.size(); ++code) {
      if (code >= 0xD800 && code <= 0xDFFF) continue;
      std::string text = "\xEF\xBF\xBF";  // U+FFFF, never assigned
      AppendUtf8(code, &text);
      std::vector<std::string> pieces;
      assigned.Split(text, &pieces);
      const bool in_pcre2 = pieces.size() == 2;
      const bool in_utf8proc = utf8proc_category(static_cast<utf8proc_int32_t>(code)) !=
                               UTF8PROC_CATEGORY_CN;
      known[code] = in_pcre2 == in_utf8proc && code != 0x180E;
    }
    return known;
  }();
  return kKnown[c];
}

std::string OnlyKnownToBoth(const std::string& text) {
  std::string known;
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Char c = DecodeUtf8(text, pos);
    if (KnownToBoth(c.code)) AppendUtf8(c.code, &known);
    pos += static_cast<size_t>(c.length);
  }
  return known;
}

std::vector<std::string> Words(const PreTokenizer& splitter, std::string_view text) {
  std::vector<std::string> words;
  splitter.Split(text, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

TEST(PreTokenizer, AgreesWithPcre2OnRandomText) {
  for (const PreTokenizerSpec& spec : PreTokenizerSpecs()) {
    const auto splitter = PreTokenizer::Create(spec);
    ASSERT_TRUE(splitter.has_value()) << spec.names[0] << ": " << splitter.error().message;
    std::vector<std::unique_ptr<PcreStage>> stages;
    for (const SplitStage& stage : spec.stages) {
      stages.push_back(std::make_unique<PcreStage>(stage));
    }
    RandomText random(7);
    size_t words_seen = 0;
    for (int i = 0; i < 1500; ++i) {
      const std::string text = OnlyKnownToBoth(random.Text(40));
      std::vector<std::string> expected{text};
      for (const auto& stage : stages) {
        std::vector<std::string> pieces;
        for (const std::string& piece : expected) stage->Split(piece, &pieces);
        expected = std::move(pieces);
      }
      ASSERT_EQ(Words(*splitter, text), expected) << spec.names[0] << ": \"" << text << "\"";
      words_seen += expected.size();
    }
    EXPECT_GT(words_seen, 3000u) << spec.names[0];
  }
}

TEST(PreTokenizer, WordsJoinToTheTextWhateverItsBytes) {
  for (const PreTokenizerSpec& spec : PreTokenizerSpecs()) {
    const auto splitter = PreTokenizer::Create(spec);
    ASSERT_TRUE(splitter.has_value());
    RandomText random(11);
    for (int i = 0; i < 300; ++i) {
      const std::string text = random.Bytes(30);
      std::string joined;
      for (const std::string& word : Words(*splitter, text)) {
        EXPECT_FALSE(word.empty());
        joined += word;
      }
      ASSERT_EQ(joined, text) << spec.names[0];
    }
  }
}

TEST(PreTokenizer, EachNameOnce) {
  std::vector<std::string_view> names;
  for (const PreTokenizerSpec& spec : PreTokenizerSpecs()) {
    names.insert(names.end(), spec.names.begin(), spec.names.end());
  }
  for (const std::string_view name : names) {
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 1) << name;
    ASSERT_NE(FindPreTokenizer(name), nullptr);
  }
  EXPECT_EQ(FindPreTokenizer("no such thing"), nullptr);
  EXPECT_EQ(FindPreTokenizer(""), nullptr);
}

TEST(PreTokenizer, DigitsInThreesFromTheRight) {
  const auto superbpe = PreTokenizer::Create(*FindPreTokenizer("superbpe"));
  EXPECT_EQ(Words(*superbpe, "a 1234567b"),
            (std::vector<std::string>{"a ", "1", "234", "567", "b"}));
  const auto aya = PreTokenizer::Create(*FindPreTokenizer("tiny_aya"));
  EXPECT_EQ(Words(*aya, "1234 12345x"),
            (std::vector<std::string>{"1", "234", " ", "123", "45", "x"}));
}

TEST(Pattern, RefusesWhatItCannotMatch) {
  for (const char* bad : {"", "a|", "(a)", "(?=a)", "(?:a", "a)", "[a", "a{2,1}", "a{0}", "a{x}",
                          "\\p{Xx}", "\\w", "(?:a)b", "a**", "[z-a]", "\\", "\\x{110000000}", "."}) {
    EXPECT_FALSE(Pattern::Parse(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace lb::text
