// The table of pre-tokenizers. Where llama.cpp narrows an expression of tokenizer.json because its
// engine lacks a property (upper and lower case, script), the original stands here.
#include "text/pre_tokenizer.h"

namespace lb::text {
namespace {

using How = SplitStage::How;

// Parts that many expressions share.
#define LB_CONTRACTION "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
#define LB_UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LB_LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define LB_UPPER_NO_HAN "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define LB_LOWER_NO_HAN "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define LB_BEFORE_WORD "[^\\r\\n\\p{L}\\p{N}]?"
#define LB_SPACES "\\s+(?!\\S)|\\s+"
#define LB_LINES_SPACES "\\s*[\\r\\n]+|" LB_SPACES
#define LB_ASCII_PUNCTUATION "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]"

constexpr char kGpt2[] =
    "(?:'s|'t|'re|'ve|'m|'ll|'d)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|" LB_SPACES;
constexpr char kLlama3[] = LB_CONTRACTION "|" LB_BEFORE_WORD
    "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" LB_LINES_SPACES;
constexpr char kJais2[] = LB_CONTRACTION "|" LB_BEFORE_WORD
    "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
    "\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)|"
    "\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s{1}";
constexpr char kQwen2[] = LB_CONTRACTION "|" LB_BEFORE_WORD
    "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" LB_LINES_SPACES;
constexpr char kQwen35[] = LB_CONTRACTION "|" LB_BEFORE_WORD
    "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" LB_LINES_SPACES;
constexpr char kNoContractions[] = LB_BEFORE_WORD
    "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" LB_LINES_SPACES;
constexpr char kSeedCoder[] = LB_CONTRACTION "|" LB_BEFORE_WORD
    "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" LB_LINES_SPACES;
constexpr char kBailing[] = "'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|" LB_BEFORE_WORD
    "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]|" LB_SPACES;
constexpr char kMiniCpm5[] = LB_CONTRACTION "|" LB_BEFORE_WORD
    "\\p{L}+|\\p{N}+| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" LB_LINES_SPACES;
// A word goes on over single spaces between letters.
constexpr char kExaoneMoe[] = LB_CONTRACTION "|" LB_BEFORE_WORD
    "\\p{L}[\\p{L}\\p{M}]*(?: \\p{L}[\\p{L}\\p{M}]*)*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|"
    "\\s*[\\r\\n]|" LB_SPACES;
constexpr char kTekken[] = LB_BEFORE_WORD LB_UPPER "*" LB_LOWER "+|" LB_BEFORE_WORD LB_UPPER
    "+" LB_LOWER "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" LB_LINES_SPACES;
constexpr char kGpt4o[] = LB_BEFORE_WORD LB_UPPER "*" LB_LOWER "+" LB_CONTRACTION "?|"
    LB_BEFORE_WORD LB_UPPER "+" LB_LOWER "*" LB_CONTRACTION
    "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" LB_LINES_SPACES;
constexpr char kYoutu[] = LB_BEFORE_WORD LB_UPPER "*" LB_LOWER "+" LB_CONTRACTION "?|"
    LB_BEFORE_WORD LB_UPPER "+" LB_LOWER "*" LB_CONTRACTION
    "?|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" LB_LINES_SPACES;
constexpr char kKimi[] = "\\p{Han}+|" LB_BEFORE_WORD LB_UPPER_NO_HAN "*" LB_LOWER_NO_HAN "+"
    LB_CONTRACTION "?|" LB_BEFORE_WORD LB_UPPER_NO_HAN "+" LB_LOWER_NO_HAN "*" LB_CONTRACTION
    "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" LB_LINES_SPACES;
constexpr char kDeepSeek3[] = LB_ASCII_PUNCTUATION
    "[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|"
    LB_LINES_SPACES;
constexpr char kSpark[] = LB_ASCII_PUNCTUATION
    "[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+|[\\r\\n]|" LB_SPACES;
constexpr char kHanAndKana[] =
    "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+";
constexpr char kDeepSeekCjk[] = "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+";
constexpr char kLines[] = "[^\\n]+|\\n+";
constexpr char kSentences[] = " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{964}"
    "\\x{6D4}\\x{60C})]+";
constexpr char kDefaultPunctuation[] = "[\\p{P}$+<=>^~|]+";
constexpr char kFalconPunctuation[] = "[\\p{P}$+<=>^~|`]+";
// DeepSeek LLM: letters of the cased scripts, by range, behind at most one space.
constexpr char kDeepSeekLetters[] =
    "\\s?[A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}"
    "\\x{1C4}-\\x{293}\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}\\x{37F}"
    "\\x{386}\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}\\x{3F7}-\\x{481}"
    "\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}\\x{13A0}-\\x{13F5}\\x{13F8}-\\x{13FD}"
    "\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}"
    "\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}"
    "\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}"
    "\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}"
    "\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}"
    "\\x{1FF6}-\\x{1FFC}\\x{2102}\\x{2107}\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{2124}"
    "\\x{2126}\\x{2128}\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}\\x{2139}\\x{213C}-\\x{213F}"
    "\\x{2145}-\\x{2149}\\x{214E}\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}"
    "\\x{2CEB}-\\x{2CEE}\\x{2CF2}\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}\\x{A722}-\\x{A76F}"
    "\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}"
    "\\x{FB13}-\\x{FB17}\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}\\x{10400}-\\x{1044F}"
    "\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}\\x{10CC0}-\\x{10CF2}"
    "\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}]+";
constexpr char kDeepSeekPunctuation[] =
    "\\s?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}]+";
constexpr char kYoutuCjk[] =
    "[\\x{AC00}-\\x{D7A3}\\x{3131}-\\x{318E}]+|"
    "[\\x{FF01}\\x{2026}\\x{201C}\\x{201D}\\x{2018}\\x{2019}\\x{2014}\\x{FF1A}\\x{FF1B}\\x{FF0C}"
    "\\x{3001}-\\x{303F}\\x{FE30}-\\x{FE4F}]+|[\\x{3105}-\\x{312F}]+|"
    "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+";
constexpr char kAfmoeScripts[] =
    "[\\x{4E00}-\\x{9FFF}\\x{3400}-\\x{4DBF}\\x{F900}-\\x{FAFF}\\x{3040}-\\x{309F}"
    "\\x{30A0}-\\x{30FF}\\x{FF65}-\\x{FF9F}\\x{2F00}-\\x{2FDF}\\x{E40}-\\x{E7F}\\x{EC0}-\\x{EFF}"
    "\\x{1780}-\\x{17FF}\\x{1000}-\\x{109F}\\x{AA60}-\\x{AA7F}\\x{A9E0}-\\x{A9FF}"
    "\\x{AC00}-\\x{D7AF}\\x{1100}-\\x{11FF}]+";

std::vector<PreTokenizerSpec> MakeSpecs() {
  return {
      {{"default"}, {{kDefaultPunctuation}, {kGpt2}, {"\\p{N}+"}, {"[0-9][0-9][0-9]"}}},
      {{"gpt-2", "phi-2", "jina-es", "jina-de", "jina-v2-es", "jina-v2-de", "jina-v1-en",
        "jina-v2-code", "roberta-bpe", "gigachat", "a.x-4.0", "mellum", "modern-bert", "exaone4",
        "mpt", "olmo", "jais", "trillion", "granite-docling"},
       {{kGpt2}}},
      {{"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
        "jina-v5-nano"},
       {{kLlama3}}, true, true},
      {{"dbrx", "smaug-bpe", "glm4", "chatglm4", "chatglm-bpe"}, {{kLlama3}}},
      {{"minicpm5"}, {{"\\p{N}{1,3}"}, {kMiniCpm5}}, true},
      {{"jais-2"}, {{kJais2}}},
      {{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan",
        "solar-open", "grok-2"},
       {{kQwen2}}},
      {{"qwen35"}, {{kQwen35}}},
      {{"ufakzeka"}, {{kNoContractions}}},
      {{"laguna"}, {{kLines}, {kQwen2}}},
      {{"starcoder", "refact", "command-r", "smollm", "codeshell", "exaone", "minerva-7b",
        "mellum2"},
       {{"\\p{N}"}, {kGpt2}}},
      {{"falcon"}, {{kFalconPunctuation}, {kGpt2}, {"[0-9][0-9][0-9]"}}},
      {{"deepseek-llm"},
       {{"[\\r\\n]"}, {kDeepSeekLetters}, {kDeepSeekPunctuation}, {"\\s+$"}, {kDeepSeekCjk},
        {"\\p{N}+"}}},
      {{"deepseek-coder"},
       {{"[\\r\\n]"}, {"\\s?\\p{L}+"}, {"\\s?\\p{P}+"}, {kDeepSeekCjk}, {"\\p{N}"}}},
      {{"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"},
       {{"\\p{N}{1,3}"}, {kHanAndKana}, {kDeepSeek3}}},
      {{"spark2_5"}, {{"\\p{N}{1,3}"}, {kHanAndKana}, {kSpark}, {"\\p{N}"}}},
      {{"youtu"}, {{kYoutuCjk}, {kYoutu}}, true},
      {{"bloom", "poro-chat", "gpt3-finnish"}, {{kSentences}}},
      {{"viking"}, {{kSentences}, {"\\p{N}"}}},
      {{"tekken"}, {{kTekken}}, true, true},
      {{"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"}, {{kGpt4o}}},
      {{"granite-embed-multi-97m"}, {{kGpt4o}}, true},
      {{"tiny_aya", "cohere2moe"}, {{"\\d", How::kTriplesOfWord}, {kGpt4o}}},
      {{"kimi-k2"}, {{kKimi}}},
      {{"superbpe"}, {{"\\p{N}+"}, {"\\d", How::kTriples}}},
      {{"bailingmoe", "bailingmoe2", "llada-moe"}, {{kBailing}}},
      {{"seed-coder"}, {{kSeedCoder}}},
      {{"exaone-moe"}, {{kExaoneMoe}}},
      {{"afmoe"}, {{"\\p{N}", How::kTriples}, {kAfmoeScripts}, {kDeepSeek3}}},
      {{"chameleon"},
       {{"<sentinel:[0-9]+>"}, {"IMGIMG[A-I]{1,4}Z"}, {"[\\t\\n]|    |  "}, {"\\p{N}"},
        {"[\\p{P}!-/:-@\\[-`{-~]"}, {kGpt2}},
       false, true},
      {{"gemma4", "granite-embed-multi-311m", "sarvam-moe"}, {{kLines}}, false, false, true},
  };
}

#undef LB_CONTRACTION
#undef LB_UPPER
#undef LB_LOWER
#undef LB_UPPER_NO_HAN
#undef LB_LOWER_NO_HAN
#undef LB_BEFORE_WORD
#undef LB_SPACES
#undef LB_LINES_SPACES
#undef LB_ASCII_PUNCTUATION

}  // namespace

std::span<const PreTokenizerSpec> PreTokenizerSpecs() {
  static const std::vector<PreTokenizerSpec> kSpecs = MakeSpecs();
  return kSpecs;
}

}  // namespace lb::text
