#include "text/builtin_templates.h"

namespace lb::text {
namespace {

// Before each template: the text of a message, whether its content is a string, a list of parts,
// or null.
constexpr std::string_view kPrelude = R"({%- macro text(message) -%}
  {%- set content = message.content -%}
  {%- if content is string -%}
    {{- content -}}
  {%- elif content is sequence and content is not mapping -%}
    {%- for part in content if part.text is defined -%}{{- part.text -}}{%- endfor -%}
  {%- endif -%}
{%- endmacro -%}
)";

struct Builtin {
  std::string_view name;
  std::string_view source;
};

constexpr Builtin kBuiltins[] = {
    {"chatml", R"(
{%- for m in messages -%}
  {{- '<|im_start|>' ~ m.role ~ '\n' ~ text(m) ~ '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%})"},

    {"llama2", R"(
{%- set ns = namespace(open=false) -%}
{%- for m in messages -%}
  {%- if not ns.open and m.role != 'assistant' -%}
    {{- '[INST] ' -}}{%- set ns.open = true -%}
  {%- endif -%}
  {%- if m.role == 'system' -%}{{- text(m) ~ '\n' -}}
  {%- elif m.role == 'assistant' -%}{{- text(m) ~ '</s>' -}}{%- set ns.open = false -%}
  {%- else -%}{{- text(m) ~ ' [/INST]' -}}{%- endif -%}
{%- endfor -%})"},
    {"llama2-sys", R"(
{%- set ns = namespace(open=false) -%}
{%- for m in messages -%}
  {%- if not ns.open and m.role != 'assistant' -%}
    {{- '[INST] ' -}}{%- set ns.open = true -%}
  {%- endif -%}
  {%- if m.role == 'system' -%}{{- '<<SYS>>\n' ~ text(m) ~ '\n<</SYS>>\n\n' -}}
  {%- elif m.role == 'assistant' -%}{{- text(m) ~ '</s>' -}}{%- set ns.open = false -%}
  {%- else -%}{{- text(m) ~ ' [/INST]' -}}{%- endif -%}
{%- endfor -%})"},
    {"llama2-sys-bos", R"(
{%- set ns = namespace(open=false) -%}
{%- for m in messages -%}
  {%- if not ns.open and m.role != 'assistant' -%}
    {{- ('' if loop.first else '<s>') ~ '[INST] ' -}}{%- set ns.open = true -%}
  {%- endif -%}
  {%- if m.role == 'system' -%}{{- '<<SYS>>\n' ~ text(m) ~ '\n<</SYS>>\n\n' -}}
  {%- elif m.role == 'assistant' -%}{{- text(m) ~ '</s>' -}}{%- set ns.open = false -%}
  {%- else -%}{{- text(m) ~ ' [/INST]' -}}{%- endif -%}
{%- endfor -%})"},
    {"llama2-sys-strip", R"(
{%- set ns = namespace(open=false) -%}
{%- for m in messages -%}
  {%- set t = text(m) | trim -%}
  {%- if not ns.open and m.role != 'assistant' -%}
    {{- '[INST] ' -}}{%- set ns.open = true -%}
  {%- endif -%}
  {%- if m.role == 'system' -%}{{- '<<SYS>>\n' ~ t ~ '\n<</SYS>>\n\n' -}}
  {%- elif m.role == 'assistant' -%}{{- t ~ '</s>' -}}{%- set ns.open = false -%}
  {%- else -%}{{- t ~ ' [/INST]' -}}{%- endif -%}
{%- endfor -%})"},
    {"llama3", R"(
{%- for m in messages -%}
  {{- '<|start_header_id|>' ~ m.role ~ '<|end_header_id|>\n\n' ~ text(m) | trim ~ '<|eot_id|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}
{%- endif -%})"},
    {"llama4", R"(
{%- for m in messages -%}
  {{- '<|header_start|>' ~ m.role ~ '<|header_end|>\n\n' ~ text(m) | trim ~ '<|eot|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
  {{- '<|header_start|>assistant<|header_end|>\n\n' -}}
{%- endif -%})"},

    {"mistral-v1", R"(
{%- set ns = namespace(open=false) -%}
{%- for m in messages -%}
  {%- if not ns.open and m.role != 'assistant' -%}
    {{- ' [INST] ' -}}{%- set ns.open = true -%}
  {%- endif -%}
  {%- if m.role == 'system' -%}{{- text(m) ~ '\n\n' -}}
  {%- elif m.role == 'assistant' -%}{{- ' ' ~ text(m) ~ '</s>' -}}{%- set ns.open = false -%}
  {%- else -%}{{- text(m) ~ ' [/INST]' -}}{%- endif -%}
{%- endfor -%})"},
    {"mistral-v3", R"(
{%- set ns = namespace(open=false) -%}
{%- for m in messages -%}
  {%- if not ns.open and m.role != 'assistant' -%}
    {{- '[INST] ' -}}{%- set ns.open = true -%}
  {%- endif -%}
  {%- if m.role == 'system' -%}{{- text(m) ~ '\n\n' -}}
  {%- elif m.role == 'assistant' -%}{{- ' ' ~ text(m) | trim ~ '</s>' -}}{%- set ns.open = false -%}
  {%- else -%}{{- text(m) ~ '[/INST]' -}}{%- endif -%}
{%- endfor -%})"},
    {"mistral-v3-tekken", R"(
{%- set ns = namespace(open=false) -%}
{%- for m in messages -%}
  {%- if not ns.open and m.role != 'assistant' -%}
    {{- '[INST]' -}}{%- set ns.open = true -%}
  {%- endif -%}
  {%- if m.role == 'system' -%}{{- text(m) ~ '\n\n' -}}
  {%- elif m.role == 'assistant' -%}{{- text(m) ~ '</s>' -}}{%- set ns.open = false -%}
  {%- else -%}{{- text(m) ~ '[/INST]' -}}{%- endif -%}
{%- endfor -%})"},
    {"mistral-v7", R"(
{%- for m in messages -%}
  {%- if m.role == 'system' -%}{{- '[SYSTEM_PROMPT] ' ~ text(m) ~ '[/SYSTEM_PROMPT]' -}}
  {%- elif m.role == 'assistant' -%}{{- ' ' ~ text(m) ~ '</s>' -}}
  {%- else -%}{{- '[INST] ' ~ text(m) ~ '[/INST]' -}}{%- endif -%}
{%- endfor -%})"},
    {"mistral-v7-tekken", R"(
{%- for m in messages -%}
  {%- if m.role == 'system' -%}{{- '[SYSTEM_PROMPT]' ~ text(m) ~ '[/SYSTEM_PROMPT]' -}}
  {%- elif m.role == 'assistant' -%}{{- text(m) ~ '</s>' -}}
  {%- else -%}{{- '[INST]' ~ text(m) ~ '[/INST]' -}}{%- endif -%}
{%- endfor -%})"},

    {"phi3", R"(
{%- for m in messages -%}
  {{- '<|' ~ m.role ~ '|>\n' ~ text(m) ~ '<|end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>\n' -}}{%- endif -%})"},
    {"phi4", R"(
{%- for m in messages -%}
  {{- '<|im_start|>' ~ m.role ~ '<|im_sep|>' ~ text(m) ~ '<|im_end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant<|im_sep|>' -}}{%- endif -%})"},
    {"falcon3", R"(
{%- for m in messages -%}
  {{- '<|' ~ m.role ~ '|>\n' ~ text(m) ~ '\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>\n' -}}{%- endif -%})"},
    {"zephyr", R"(
{%- for m in messages -%}
  {{- '<|' ~ m.role ~ '|>\n' ~ text(m) ~ (eos_token or '<|endoftext|>') ~ '\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>\n' -}}{%- endif -%})"},
    {"monarch", R"(
{%- for m in messages -%}
  {{- ('' if loop.first else '<s>') ~ m.role ~ '\n' ~ text(m) ~ '</s>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<s>assistant\n' -}}{%- endif -%})"},

    {"gemma", R"(
{%- set ns = namespace(system='') -%}
{%- for m in messages -%}
  {%- if m.role == 'system' -%}{%- set ns.system = ns.system ~ text(m) | trim ~ '\n\n' -%}
  {%- else -%}
    {{- '<start_of_turn>' ~ ('model' if m.role == 'assistant' else 'user') ~ '\n' -}}
    {%- if m.role != 'assistant' -%}{{- ns.system -}}{%- set ns.system = '' -%}{%- endif -%}
    {{- text(m) | trim ~ '<end_of_turn>\n' -}}
  {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<start_of_turn>model\n' -}}{%- endif -%})"},

    {"orion", R"(
{%- set ns = namespace(system='') -%}
{%- for m in messages -%}
  {%- if m.role == 'system' -%}{%- set ns.system = text(m) ~ '\n\n' -%}
  {%- elif m.role == 'assistant' -%}{{- text(m) ~ '</s>' -}}
  {%- else -%}
    {{- 'Human: ' ~ ns.system ~ text(m) ~ '\n\nAssistant: </s>' -}}{%- set ns.system = '' -%}
  {%- endif -%}
{%- endfor -%})"},
    {"openchat", R"(
{%- for m in messages -%}
  {%- if m.role != 'system' -%}{{- 'GPT4 Correct ' ~ m.role | capitalize ~ ': ' -}}{%- endif -%}
  {{- text(m) ~ '<|end_of_turn|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'GPT4 Correct Assistant:' -}}{%- endif -%})"},
    {"vicuna", R"(
{%- for m in messages -%}
  {%- if m.role == 'system' -%}{{- text(m) ~ '\n\n' -}}
  {%- elif m.role == 'assistant' -%}{{- 'ASSISTANT: ' ~ text(m) ~ '</s>\n' -}}
  {%- else -%}{{- 'USER: ' ~ text(m) ~ '\n' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'ASSISTANT:' -}}{%- endif -%})"},
    {"vicuna-orca", R"(
{%- for m in messages -%}
  {%- if m.role == 'system' -%}{{- 'SYSTEM: ' ~ text(m) ~ '\n' -}}
  {%- elif m.role == 'assistant' -%}{{- 'ASSISTANT: ' ~ text(m) ~ '</s>\n' -}}
  {%- else -%}{{- 'USER: ' ~ text(m) ~ '\n' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'ASSISTANT:' -}}{%- endif -%})"},

    {"deepseek", R"(
{%- for m in messages -%}
  {%- if m.role == 'system' -%}{{- text(m) -}}
  {%- elif m.role == 'assistant' -%}{{- '### Response:\n' ~ text(m) ~ '\n<|EOT|>\n' -}}
  {%- else -%}{{- '### Instruction:\n' ~ text(m) ~ '\n' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '### Response:\n' -}}{%- endif -%})"},
    {"deepseek2", R"(
{%- for m in messages -%}
  {%- if m.role == 'system' -%}{{- text(m) ~ '\n\n' -}}
  {%- elif m.role == 'assistant' -%}{{- 'Assistant: ' ~ text(m) ~ '<｜end▁of▁sentence｜>' -}}
  {%- else -%}{{- 'User: ' ~ text(m) ~ '\n\n' -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'Assistant:' -}}{%- endif -%})"},
    {"deepseek3", R"(
{%- for m in messages -%}
  {%- if m.role == 'system' -%}{{- text(m) ~ '\n\n' -}}
  {%- elif m.role == 'assistant' -%}{{- '<｜Assistant｜>' ~ text(m) ~ '<｜end▁of▁sentence｜>' -}}
  {%- else -%}{{- '<｜User｜>' ~ text(m) -}}{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<｜Assistant｜>' -}}{%- endif -%})"},

    {"command-r", R"(
{%- set names = {'system': '<|SYSTEM_TOKEN|>', 'assistant': '<|CHATBOT_TOKEN|>'} -%}
{%- for m in messages -%}
  {{- '<|START_OF_TURN_TOKEN|>' ~ names.get(m.role, '<|USER_TOKEN|>') -}}
  {{- text(m) | trim ~ '<|END_OF_TURN_TOKEN|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>' -}}{%- endif -%})"},
    {"chatglm3", R"(
{{- '[gMASK]sop' -}}
{%- for m in messages -%}
  {{- '<|' ~ m.role ~ '|>\n ' ~ text(m) -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%})"},
    {"chatglm4", R"(
{{- '[gMASK]<sop>' -}}
{%- for m in messages -%}
  {{- '<|' ~ m.role ~ '|>\n' ~ text(m) -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>\n' -}}{%- endif -%})"},
    {"glmedge", R"(
{%- for m in messages -%}
  {{- '<|' ~ m.role ~ '|>\n' ~ text(m) -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%})"},
    {"minicpm", R"(
{%- for m in messages -%}
  {%- if m.role == 'user' -%}{{- '<用户>' ~ text(m) | trim ~ '<AI>' -}}
  {%- else -%}{{- text(m) | trim -}}{%- endif -%}
{%- endfor -%})"},

    {"exaone3", R"(
{%- for m in messages -%}
  {{- '[|' ~ m.role ~ '|]' ~ text(m) | trim ~ ('\n' if m.role == 'user' else '[|endofturn|]\n') -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '[|assistant|]' -}}{%- endif -%})"},
    {"rwkv-world", R"(
{%- for m in messages -%}
  {{- {'user': 'User: ', 'assistant': 'Assistant: '}.get(m.role, '') ~ text(m) | trim ~ '\n\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'Assistant:' -}}{%- endif -%})"},
    {"granite", R"(
{%- for m in messages -%}
  {{- '<|start_of_role|>' ~ m.role ~ '<|end_of_role|>' ~ text(m) ~ '<|end_of_text|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start_of_role|>assistant<|end_of_role|>' -}}{%- endif -%})"},
    {"megrez", R"(
{%- for m in messages -%}
  {{- '<|role_start|>' ~ m.role ~ '<|role_end|>' ~ text(m) ~ '<|turn_end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|role_start|>assistant<|role_end|>' -}}{%- endif -%})"},
    {"bailing", R"(
{%- set names = {'system': 'SYSTEM', 'assistant': 'ASSISTANT'} -%}
{%- for m in messages -%}
  {{- '<role>' ~ names.get(m.role, 'HUMAN') ~ '</role>' ~ text(m) -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<role>ASSISTANT</role>' -}}{%- endif -%})"},
    {"gpt-oss", R"(
{%- for m in messages -%}
  {{- '<|start|>' ~ m.role ~ '<|message|>' ~ text(m) -}}
  {{- '<|return|>' if m.role == 'assistant' else '<|end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|start|>assistant' -}}{%- endif -%})"},
    {"kimi-k2", R"(
{%- for m in messages -%}
  {%- set role = m.role if m.role in ('user', 'assistant') else 'system' -%}
  {{- '<|im_' ~ role ~ '|>' ~ m.role ~ '<|im_middle|>' ~ text(m) ~ '<|im_end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_assistant|>assistant<|im_middle|>' -}}{%- endif -%})"},
    {"seed_oss", R"(
{%- for m in messages -%}
  {{- '<seed:bos>' ~ m.role ~ '\n' ~ text(m) ~ '<seed:eos>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<seed:bos>assistant\n' -}}{%- endif -%})"},
    {"grok-2", R"(
{%- set names = {'system': 'System: ', 'assistant': 'Assistant: '} -%}
{%- for m in messages -%}
  {{- names.get(m.role, 'Human: ') ~ text(m) | trim ~ '<|separator|>\n\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- 'Assistant:' -}}{%- endif -%})"},
};

}  // namespace

std::string BuiltinTemplate(std::string_view name) {
  for (const Builtin& builtin : kBuiltins) {
    if (builtin.name == name) return std::string(kPrelude) + std::string(builtin.source);
  }
  return "";
}

std::vector<std::string_view> BuiltinTemplateNames() {
  std::vector<std::string_view> names;
  for (const Builtin& builtin : kBuiltins) names.push_back(builtin.name);
  return names;
}

}  // namespace lb::text
