#include "app/flags.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "api/tools/format.h"
#include "app/bench_flags.h"
#include "app/cpu_flags.h"
#include "app/idle_flags.h"
#include "app/lora_flags.h"
#include "app/spellings.h"
#include "app/system_info.h"

namespace lb::app {
namespace {

std::vector<std::string> ToolFormats() {
  std::vector<std::string> names = {"auto"};
  for (const std::string_view name : api::ToolFormatNames()) names.emplace_back(name);
  return names;
}

struct Parser {
  explicit Parser(Flags* f);
  CLI::App app{"llama-box: serves a language model (GGUF) over the OpenAI API.\n"
               "Usage: llama-box -m MODEL.gguf [flags]              serve (the default)\n"
               "       llama-box run -m MODEL.gguf [flags] [PROMPT] answer, or chat, in the terminal\n"
               "       llama-box inspect -m MODEL.gguf              what is in the file\n"
               "       llama-box perplexity -m MODEL.gguf -f TEXT   score a text\n"
               "       llama-box bench -m MODEL.gguf                how fast it runs here (bench --help)"};
  bool no_cache_prompt = false, verbose = false;
  bool version = false, system_info = false, list_devices = false, escape = true;
};

Parser::Parser(Flags* f) {
  app.set_help_flag("-h,--help", "Print this and exit");
  app.add_flag("--version", version, "Print the version and exit");
  app.add_flag("--system-info", system_info, "Print what this machine has and exit");
  app.add_flag("--list-devices,--list-buffer-types", list_devices, "Print what can compute and exit");
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  SamplingParams& s = f->sampling;
  const auto range = [](auto low, auto high) { return CLI::Range(low, high); };
  const int64_t big = int64_t{1} << 40;

  const char* group = "Model";
  app.add_option("-m,--model", f->model, "GGUF file (of a split one: its first part)")->group(group);
  app.add_option("--models-dir", f->models_dir, "Serve every model (GGUF) of this folder by its name; each is loaded when a request asks for it")->group(group);
  app.add_option("--models-max", f->models_max, "Most of them in memory at once; 0: no limit")->check(range(0, 10000))->capture_default_str()->group(group);
  app.add_option("--models-memory", f->models_memory, "Memory of their weights and caches together: auto (90 % of what there is), or a size such as 16G; the one used longest ago makes room")->capture_default_str()->group(group);
  app.add_flag("--models-autoload,!--no-models-autoload", f->models_autoload, "Requests load the model they name; else only POST /models/load does")->group(group);
  app.add_option("--sleep-idle-seconds", f->sleep_idle_seconds, "Unload a model that nobody has used for so long; the next request loads it again; -1: never")->check(range(-1.0, 1e9))->capture_default_str()->group(group);
  app.add_option("-a,--alias", f->alias, "Public name of the model (default: the file's name)")->group(group);
  app.add_option("--chat-template", f->chat_template, "Name of a built-in chat template, or Jinja source (default: the model's own)")->group(group);
  app.add_option("--chat-template-file", f->chat_template_file, "File with a Jinja chat template")->group(group);
  app.add_option("--chat-template-kwargs", f->chat_template_kwargs, "What the template is given besides, as a JSON object")->group(group);
  app.add_option("--reasoning-format", f->reasoning_format, "Where thoughts go: auto and deepseek to reasoning_content, none stays in the content")->check(CLI::IsMember({"auto", "none", "deepseek", "deepseek-legacy"}))->capture_default_str()->group(group);
  app.add_flag_callback("--reasoning-in-content", [f] { f->reasoning_format = "none"; }, "As --reasoning-format none")->group(group);
  app.add_flag_callback("--no-reasoning-in-content", [f] { f->reasoning_format = "auto"; }, "As --reasoning-format auto")->group(group);
  app.add_option("--reasoning-budget", f->reasoning_budget, "Most tokens of a thought; 0: none, -1: no limit")->check(range(int64_t{-1}, big))->capture_default_str()->group(group);
  app.add_flag_callback("--enable-reasoning", [f] { f->enable_thinking = true; }, "Ask the template for thoughts (default: as the template has it)")->group(group);
  app.add_flag_callback("--no-enable-reasoning", [f] { f->enable_thinking = false; }, "Ask it for none")->group(group);
  app.add_option_function<std::string>("--reasoning", [f](const std::string& state) {
       f->enable_thinking = state == "auto" ? std::optional<bool>() : state == "on";
     }, "Thoughts: on, off, or auto as the template has it (-rea)")->check(CLI::IsMember({"on", "off", "auto"}))->group(group);
  app.add_option("--tool-format", f->tool_format, "How the model writes tool calls; auto: as its template does")->check(CLI::IsMember(ToolFormats()))->capture_default_str()->group(group);
  AddLoraFlags(app, f);
  app.add_flag("--special", f->special, "Show control tokens in answers (-sp)")->group(group);

  group = "Server";
  app.add_option("--host", f->host, "Address to listen on, or a unix socket when it ends in .sock")->capture_default_str()->group(group);
  app.add_option("--port", f->port, "Port to listen on; 0: any free one")->check(range(0, 65535))->capture_default_str()->group(group);
  app.add_option("--timeout", f->timeout_seconds, "Seconds a request's body or a write may take (-to)")->check(range(1.0, 86400.0))->capture_default_str()->group(group);
  app.add_option("--conn-idle", f->idle_seconds, "Seconds a connection may wait for its next request")->check(range(1.0, 86400.0))->capture_default_str()->group(group);
  app.add_option("--http-threads", f->http_threads, "I/O threads (--threads-http); -1: 2")->check(range(-1, 256))->group(group);
  app.add_option("--api-key", f->api_keys, "Key that clients must send; may be given more than once, or be a list with commas")->delimiter(',')->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->group(group);
  app.add_option("--api-key-file", f->api_key_file, "File with such keys, one a line")->group(group);
  app.add_option("--ssl-cert-file", f->ssl_cert_file, "Certificate chain (PEM): serve over TLS")->group(group);
  app.add_option("--ssl-key-file", f->ssl_key_file, "Its private key (PEM)")->group(group);
  app.add_option("--cors", f->cors_origins, "Origin whose pages may call this server, localhost (at any port) or *; default: none")->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->group(group);
  app.add_flag("--slots,!--no-slots", f->slots, "Answer GET /slots, which shows no text of requests")->group(group);
  app.add_flag("--webui,--ui,!--no-webui,!--no-ui", f->webui, "Serve the web page at /")->group(group);
  app.add_option("--path", f->web_folder, "Folder whose files are served at / in place of the built-in page")->group(group);
  app.add_option("--webui-connect", f->webui_connect, "Origin of another server that the page may call, as http://192.168.0.7:8080, beside this machine's; may be given more than once")->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->group(group);
  app.add_option("--verbosity", f->verbosity, "0 life of the process, 1 requests, 2 more of each, 3 the cache, 6 everything, and replies show their prompt (-lv)")->check(range(0, 1000))->capture_default_str()->group(group);
  app.add_flag("-v,--verbose", verbose, "As --verbosity 6")->group(group);

  group = "Cache and compute";
  app.add_option("-c,--ctx-size", f->ctx_size, "Tokens in the KV pool, and of the longest request at once; 0: from --kv-memory and the model")->check(range(int64_t{0}, big))->capture_default_str()->group(group);
  app.add_option("--kv-memory", f->kv_memory, "Memory of the KV pool: auto, or a size such as 512M or 4G; with --ctx-size only a limit")->capture_default_str()->group(group);
  app.add_option("--kv-host-memory", f->kv_host_memory, "On a GPU: pinned host memory for cached blocks that the pool has no room for, which are copied back when a prompt begins as they do: a size such as 4G; 0: off")->capture_default_str()->group(group);
  app.add_option("--parallel", f->parallel, "Most sequences that run together (-np); -1: automatic")->check(range(-1, 4096))->group(group);
  app.add_option("-b,--batch-size", f->batch_size, "Most tokens in one step; 0: 512 on a CPU, 4096 on a GPU")->check(range(0, 65536))->group(group);
  AddGpuFlags(app, &f->gpu);
  AddCpuFlags(app, &f->cpu);
  app.add_option("--cache-type-k", f->cache_type_k, "Type of cached keys (-ctk): f16, bf16, f32, q8_0, q4_0, fp8")->capture_default_str()->group(group);
  app.add_option("--cache-type-v", f->cache_type_v, "Type of cached values (-ctv)")->capture_default_str()->group(group);
  app.add_flag("--no-cache-prompt", no_cache_prompt, "Never reuse computed prompts")->group(group);
  app.add_option("--lookup-ngram-min", f->lookup_ngram_min, "Guess how an answer goes on where its last N tokens stood before, and check the guesses in one step; answers stay the same; 0: off")->check(range(0, 16))->capture_default_str()->group(group);
  app.add_option("--draft-max,--draft,--draft-n", f->draft_max, "Most tokens guessed at once for one answer")->check(range(1, 64))->capture_default_str()->group(group);
  app.add_option("--model-draft", f->model_draft, "A smaller model (GGUF) of the same vocabulary that guesses how an answer goes on (-md); answers stay the same")->group(group);
  app.add_option("--draft-p-min", f->draft_p_min, "Least probability of a token that it guesses")->check(range(0.0, 1.0))->capture_default_str()->group(group);
  app.add_flag("--context-shift,!--no-context-shift", f->context_shift, "When the context is full, drop the older half of it and go on, and say so in the reply; else the answer ends with \"length\"")->group(group);
  app.add_option("--keep", f->keep, "Tokens at the front that --context-shift keeps, at most half the context; -1: the prompt")->check(range(-1, 2147483647))->capture_default_str()->group(group);
  app.add_option("--prompt-cache-file", f->prompt_cache_file, "File that keeps computed prompts from one run to the next")->group(group);

  app.add_flag("--embeddings,--embedding", f->embeddings, "Make embeddings, with a model that generates too (one that only makes embeddings always does)")->group(group);
  app.add_option("--pooling", f->pooling, "How the states of a text's tokens become its vector; means --embeddings (default: as the model says, else mean)")->check(CLI::IsMember({"none", "mean", "cls", "last", "rank"}))->group(group);
  app.add_flag("--reranking,--rerank", f->rerank, "Score documents; the model needs a score head. As --pooling rank")->group(group);
  app.add_flag("--mlock", f->mlock, "Keep weights and cache in memory, never swapped")->group(group);

  group = "Over what the file says";
  app.add_option("--override-kv", f->override_kv, "Metadata as KEY=TYPE:VALUE, with int, float, bool or str; may be given more than once")->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->group(group);
  app.add_option("--rope-scaling", f->rope_scaling, "Scaling of positions")->check(CLI::IsMember({"none", "linear", "yarn"}))->group(group);
  app.add_option("--rope-scale", f->rope_scale, "The context grows by this factor")->check(range(1e-3, 1e6))->group(group);
  app.add_option("--rope-freq-base", f->rope_freq_base, "Base of the rotations")->check(range(0.0, 1e15))->group(group);
  app.add_option("--rope-freq-scale", f->rope_freq_scale, "The factor's inverse")->check(range(0.0, 1e3))->group(group);
  app.add_option("--yarn-orig-ctx", f->yarn_orig_ctx, "Context that the model was trained on before YaRN")->check(range(int64_t{0}, int64_t{1} << 30))->group(group);
  app.add_option("--yarn-attn-factor", f->yarn_attn_factor, "YaRN's factor of magnitude")->check(range(0.0, 1e3))->group(group);
  app.add_option("--yarn-beta-fast", f->yarn_beta_fast, "Where YaRN stops extrapolating")->check(range(0.0, 1e6))->group(group);
  app.add_option("--yarn-beta-slow", f->yarn_beta_slow, "Where YaRN interpolates in full")->check(range(0.0, 1e6))->group(group);

  group = "Answers (defaults that requests may change)";
  app.add_option("-n,--predict", f->max_tokens, "Most tokens of an answer; -1: until the context is full")->check(range(int64_t{-1}, big))->capture_default_str()->group(group);
  app.add_option("-s,--seed", f->seed, "Seed; -1: a new one for each request")->capture_default_str()->group(group);
  app.add_flag("--ignore-eos", f->ignore_eos, "Never end an answer by itself")->group(group);
  app.add_option("-r,--reverse-prompt", f->stop, "Text that ends an answer; may be given more than once")->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->group(group);
  app.add_option("--grammar", f->grammar, "Grammar (GBNF) of answers")->group(group);
  app.add_option("--grammar-file", f->grammar_file, "File with such a grammar")->group(group);
  app.add_option("-j,--json-schema", f->json_schema, "JSON schema of answers")->group(group);
  app.add_option("--json-schema-file", f->json_schema_file, "File with such a schema (-jf)")->group(group);
  app.add_option("--samplers", f->samplers, "Samplers in order, with semicolons between: penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature")->group(group);
  const auto number = [&](const char* name, float* out, double low, double high, const char* help) {
    app.add_option(name, *out, help)->check(range(low, high))->capture_default_str()->group(group);
  };
  const auto integer = [&](const char* name, int* out, int low, int high, const char* help) {
    app.add_option(name, *out, help)->check(range(low, high))->capture_default_str()->group(group);
  };
  const int imax = 2147483647;
  number("--temp", &s.temperature, -1e9, 1e9, "Temperature; 0 or less: always the most probable token");
  integer("--top-k", &s.top_k, -1, imax, "Keep the k best; 0: off");
  number("--top-p", &s.top_p, 0, 1, "Keep this much probability; 1: off");
  number("--min-p", &s.min_p, 0, 1, "Drop what is less probable than this part of the best; 0: off");
  number("--typical", &s.typical_p, 0, 1, "Locally typical sampling; 1: off");
  number("--top-nsigma", &s.top_n_sigma, -1e9, 1e9, "Keep logits within n deviations of the best; below 0: off");
  number("--xtc-probability", &s.xtc_probability, 0, 1, "Chance to exclude top choices; 0: off");
  number("--xtc-threshold", &s.xtc_threshold, 0, 1, "What counts as a top choice for it");
  integer("--repeat-last-n", &s.repeat_last_n, -1, imax, "Tokens that the penalties look back; -1: all");
  number("--repeat-penalty", &s.repeat_penalty, 0.01, 100, "Penalty for repeated tokens; 1: off");
  number("--presence-penalty", &s.presence_penalty, -100, 100, "Penalty for tokens that occurred; 0: off");
  number("--frequency-penalty", &s.frequency_penalty, -100, 100, "Penalty for each time they did; 0: off");
  number("--dry-multiplier", &s.dry_multiplier, 0, 1e9, "Penalty for repeated sequences; 0: off");
  number("--dry-base", &s.dry_base, 1, 1e9, "Its growth with each token");
  integer("--dry-allowed-length", &s.dry_allowed_length, 0, imax, "Length that is not punished");
  integer("--dry-penalty-last-n", &s.dry_penalty_last_n, -1, imax, "Tokens that it looks back; -1: all");
  app.add_option("--dry-sequence-breaker", f->dry_breakers, "Text at which it starts anew (none: never); may be given more than once")->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->group(group);
  app.add_option("--logit-bias", f->logit_bias, "TOKEN+BIAS or TOKEN-BIAS (-l), as in 15043+1; may be given more than once")->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->group(group);
  number("--dynatemp-range", &s.dynatemp_range, 0, 1e9, "Temperature varies by this much; 0: off");
  number("--dynatemp-exp", &s.dynatemp_exponent, 0, 1e9, "How entropy maps to it");
  integer("--mirostat", &s.mirostat, 0, 2, "1 or 2: mirostat in place of the cuts");
  number("--mirostat-ent", &s.mirostat_tau, 0, 1e9, "Its target entropy");
  number("--mirostat-lr", &s.mirostat_eta, 0, 1e9, "Its learning rate");

  app.add_flag("-e,--escape,!--no-escape", escape, "\\n, \\t and the like in prompts and stops mean what they do in C (the default)")->group(group);

  group = "run and perplexity";
  app.add_option("-p,--prompt", f->prompt, "Prompt of `run` (or the words after the flags)")->group(group);
  app.add_option("--system", f->system_prompt, "System message of `run`")->group(group);
  app.add_option("-f,--file", f->text_file, "Text that `perplexity` scores")->group(group);
}

// What CLI11 shall see: known flags as `--flag=value`, everything else taken out.
struct Normalised {
  std::vector<std::string> known;
  std::vector<std::string> words;  // bare values that belong to no flag
};

// Is `word` the value of a flag that came before it?
bool IsValue(const std::string& word) {
  return word.empty() || word[0] != '-' || (word.size() > 1 && (std::isdigit(word[1]) || word[1] == '.'));
}

// The words that belong to the flag at arguments[at], when it is none of ours.
size_t NumValues(const std::vector<std::string>& arguments, size_t at, const IdleFlag* idle, bool keep_words) {
  if (arguments[at].find('=') != std::string::npos) return 0;
  const bool has_next = at + 1 < arguments.size() && IsValue(arguments[at + 1]);
  if (idle == nullptr) return has_next && !keep_words ? 1 : 0;
  if (idle->num_values == kSwitch) {
    static const std::set<std::string> kStates = {"on", "off", "auto", "1", "0", "true", "false"};
    return has_next && kStates.count(arguments[at + 1]) ? 1 : 0;
  }
  return std::min(static_cast<size_t>(idle->num_values), arguments.size() - at - 1);
}

Result<Normalised> Normalise(const std::vector<std::string>& arguments, CLI::App& app, bool keep_words,
                             Flags* flags) {
  Normalised out;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--" && keep_words) {
      out.words.insert(out.words.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                       arguments.end());
      break;
    }
    if (argument.size() < 2 || argument[0] != '-') {
      out.words.push_back(argument);
      continue;
    }
    const size_t equals = argument.find('=');
    std::string name = Spelled(argument.substr(0, equals));
    if (IsLoraFlag(name)) {
      LB_RETURN_IF_ERROR(TakeLoraFlag(name, arguments, &i, flags));
      continue;
    }
    const CLI::Option* option = name == "-h" || name == "--help" ? app.get_help_ptr()
                                                                 : app.get_option_no_throw(name);
    const bool has_next = i + 1 < arguments.size();
    if (option == nullptr) {
      const std::string value = equals != std::string::npos ? argument.substr(equals + 1)
                                : has_next                  ? arguments[i + 1]
                                                            : "";
      const std::string_view refusal = RefusalOfFlag(name, value);
      if (!refusal.empty()) return Fail(ErrorCode::kUnsupported, "{}: {}", name, refusal);
      const IdleFlag* idle = FindIdleFlag(name);
      std::string given = argument;
      const size_t num_values = NumValues(arguments, i, idle, keep_words);
      for (size_t v = 0; v < num_values; ++v) given += " " + arguments[++i];
      if (idle != nullptr) {
        flags->notes.push_back(given + " has no effect here: " + std::string(idle->why));
      } else {
        flags->warnings.push_back("unknown flag " + given + " is skipped");
      }
      continue;
    }
    if (name.size() == 2) name = "--" + option->get_lnames().front();
    if (equals != std::string::npos) {
      out.known.push_back(name + argument.substr(equals));
    } else if (option->get_expected_max() > 0 && has_next) {
      out.known.push_back(name + "=" + arguments[++i]);
    } else {
      out.known.push_back(name);
    }
  }
  return out;
}

// C's escapes; what is none stays as it is.
std::string Unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    static constexpr std::string_view kNames = "nrt\\'\"0", kBytes{"\n\r\t\\'\"\0", 7};
    const size_t known = text[i] == '\\' && i + 1 < text.size() ? kNames.find(text[i + 1])
                                                                : std::string_view::npos;
    if (known == std::string_view::npos) {
      out += text[i];
    } else {
      out += kBytes[known];
      ++i;
    }
  }
  return out;
}

// That the flags name a model, or a folder of them and nothing that is for one.
Result<void> CheckModels(Flags* flags) {
  const bool folder = flags->command == Command::kServe && !flags->models_dir.empty();
  if (flags->model.empty() && !folder) {
    return Fail(ErrorCode::kInvalidArgument, "no model: llama-box -m MODEL.gguf (--help tells more)");
  }
  if (!folder) return {};
  if (!flags->model.empty()) {
    flags->warnings.push_back("--models-dir is not used: -m names the model");
    flags->models_dir.clear();
    return {};
  }
  const std::pair<const char*, bool> for_one[] = {
      {"--model-draft", !flags->model_draft.empty()},
      {"--lora", !flags->loras.empty()},
      {"--prompt-cache-file", !flags->prompt_cache_file.empty()},
      {"--alias", !flags->alias.empty()}};
  for (const auto& [flag, given] : for_one) {
    if (given) return Fail(ErrorCode::kInvalidArgument, "{} is for one model, not for --models-dir", flag);
  }
  return {};
}

std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

}  // namespace

Result<Flags> ParseFlags(int argc, const char* const* argv, const GetEnv& get_env) {
  Flags flags;
  Parser parser(&flags);
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (!arguments.empty()) {
    if (arguments[0] == "bench") return ParseBenchFlags(argc - 1, argv + 1);
    static const std::map<std::string, Command> commands = {{"serve", Command::kServe},
                                                            {"run", Command::kRun},
                                                            {"inspect", Command::kInspect},
                                                            {"perplexity", Command::kPerplexity}};
    const auto command = commands.find(arguments[0]);
    if (command != commands.end()) {
      flags.command = command->second;
      arguments.erase(arguments.begin());
    }
  }
  const std::vector<std::string> environment = FlagsOfEnvironment(get_env);
  arguments.insert(arguments.begin(), environment.begin(), environment.end());
  LB_ASSIGN_OR_RETURN(Normalised input,
                      Normalise(arguments, parser.app, flags.command != Command::kServe, &flags));
  try {
    std::reverse(input.known.begin(), input.known.end());  // CLI11 takes them from the back
    parser.app.parse(input.known);
  } catch (const CLI::CallForHelp&) {
    flags.command = Command::kPrint;
    flags.text_to_print = parser.app.help();
    return flags;
  } catch (const CLI::Error& error) {
    return Fail(ErrorCode::kInvalidArgument, "{}", OneLine(error.what()));
  }
  if (parser.version) {
    flags.command = Command::kPrint;
    flags.text_to_print = "llama-box " LLAMABOX_VERSION "\n";
    return flags;
  }
  if (parser.system_info || parser.list_devices) {
    flags.command = Command::kPrint;
    flags.text_to_print = parser.system_info ? SystemInfo() : ListDevices();
    return flags;
  }
  flags.cache_prompt = !parser.no_cache_prompt;
  if (parser.escape) {
    flags.prompt = Unescape(flags.prompt);
    for (std::string& text : flags.stop) text = Unescape(text);
    for (std::string& text : flags.dry_breakers) text = Unescape(text);
  }
  if (flags.ssl_cert_file.empty() != flags.ssl_key_file.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "TLS needs both --ssl-cert-file and --ssl-key-file; only one was given");
  }
  if (parser.verbose) flags.verbosity = kEverything;
  if (flags.http_threads < 1) flags.http_threads = 2;
  flags.sampling.temperature = std::max(0.0f, flags.sampling.temperature);
  flags.sampling.top_k = std::max(0, flags.sampling.top_k);
  std::erase(flags.api_keys, "");

  std::vector<std::string>& words = input.words;
  // A model given without -m is what newcomers try first.
  if (flags.model.empty() && !words.empty()) {
    flags.model = words.front();
    words.erase(words.begin());
  }
  if (flags.command == Command::kRun) {
    for (const std::string& word : words) flags.prompt += (flags.prompt.empty() ? "" : " ") + word;
  } else {
    for (const std::string& word : words) flags.warnings.push_back("the word " + word + " is skipped");
  }
  LB_RETURN_IF_ERROR(CheckModels(&flags));
  return flags;
}

}  // namespace lb::app
