"""The conversations that chat templates are tried with."""

import copy
import itertools
import json

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather.\nIn <b>any</b> place & \"time\".",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string", "description": "Ort, z. B. Köln"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
                "days": {"type": "integer", "minimum": 1},
                "tags": {"type": "array", "items": {"type": "string"}},
                "where": {
                    "type": "object",
                    "properties": {"lat": {"type": "number"}, "lon": {"type": ["number", "null"]}},
                    "required": ["lat"],
                },
                "either": {"anyOf": [{"type": "string"}, {"type": "boolean"}]},
            },
            "required": ["place"],
        },
    },
}
PLAIN = {
    "type": "function",
    "function": {"name": "ping", "description": "Says pong", "parameters": {"type": "object", "properties": {}}},
}
RETURNS = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Finds",
        "parameters": {
            "type": "object",
            "properties": {"q": {"type": "string", "description": "what", "nullable": True}},
            "required": [],
        },
        "return": {"type": "string", "description": "hits"},
        "strict": True,
    },
}


def call(arguments, name="get_weather", call_id="call00001", **more):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


ARGS = {"place": "Köln", "days": 2, "unit": "celsius", "where": {"lat": 50.9, "lon": None}, "flag": True}


def _bases():
    sys = {"role": "system", "content": "  You are terse. \n"}
    hi = {"role": "user", "content": "Hi <there> & \"you\" 'all' \n"}
    yes = {"role": "assistant", "content": "Yes? "}
    more = {"role": "user", "content": "More: ünï 😀\n\n"}
    yield "user", [hi]
    yield "system", [sys, hi]
    yield "turns", [hi, yes, more]
    yield "system_turns", [sys, hi, yes, more]
    yield "ends_with_assistant", [hi, yes]
    yield "long", [sys] + [hi, yes] * 4 + [more]
    yield "developer", [{"role": "developer", "content": "Be kind."}, hi]
    yield "two_systems", [sys, {"role": "system", "content": "And short."}, hi]
    yield "late_system", [hi, yes, sys, more]
    yield "only_system", [sys]
    yield "not_alternating", [hi, more]
    yield "assistant_first", [yes, hi]
    yield "unknown_role", [{"role": "admin", "content": "x"}, hi]
    yield "empty", []
    yield "empty_content", [{"role": "system", "content": ""}, {"role": "user", "content": ""}]
    yield "null_content", [hi, {"role": "assistant", "content": None}, more]
    yield "missing_content", [hi, {"role": "assistant"}, more]
    yield "named", [{"role": "user", "name": "bob", "content": "Hi"}, yes, more]
    yield "parts", [
        {"role": "system", "content": [{"type": "text", "text": "Sys."}]},
        {"role": "user", "content": [{"type": "text", "text": "One "}, {"type": "text", "text": "two"}]},
    ]
    yield "image", [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]},
    ]
    yield "reasoning", [
        hi,
        {"role": "assistant", "content": "42", "reasoning_content": "Let me think.\nHm."},
        more,
        {"role": "assistant", "content": "43", "reasoning_content": "Again."},
    ]
    yield "reasoning_alias", [hi, {"role": "assistant", "content": "42", "reasoning": "R.", "thinking": "T."}, more]
    yield "think_tags", [
        hi,
        {"role": "assistant", "content": "<think>\nplan\n</think>\n\nanswer"},
        more,
        {"role": "assistant", "content": "[THINK]p[/THINK]a</think>b"},
    ]
    for kind, arguments in (("object", ARGS), ("text", json.dumps(ARGS)), ("none", {}), ("broken", "{")):
        calls = {"role": "assistant", "content": "", "tool_calls": [call(arguments)]}
        result = {"role": "tool", "tool_call_id": "call00001", "name": "get_weather", "content": '{"t": 21.5}'}
        yield f"call_{kind}", [hi, calls, result]
        yield f"call_{kind}_answered", [sys, hi, calls, result, {"role": "assistant", "content": "Warm."}, more]
    two = {
        "role": "assistant",
        "content": None,
        "reasoning_content": "Two calls.",
        "tool_calls": [call(ARGS), call({"q": "a\nb"}, "search", "call00002")],
    }
    results = [
        {"role": "tool", "tool_call_id": "call00001", "content": "sunny"},
        {"role": "tool", "tool_call_id": "call00002", "content": [{"type": "text", "text": "hits"}]},
    ]
    yield "two_calls", [hi, two, *results]
    yield "two_calls_turn", [sys, hi, two, *results, {"role": "assistant", "content": "Done."}, more]
    yield "call_no_type", [hi, {"role": "assistant", "content": "let me", "tool_calls": [
        {"id": "call00001", "name": "ping", "arguments": {"a": [1, 2.0, None]}}]}]
    yield "call_odd_id", [hi, {"role": "assistant", "tool_calls": [call({}, call_id="x")]},
                          {"role": "tool", "tool_call_id": "x", "content": ""}]
    yield "tool_object_result", [hi, {"role": "assistant", "content": "", "tool_calls": [call(ARGS)]},
                                 {"role": "tool", "tool_call_id": "call00001", "content": {"t": 1, "l": ["a"]}}]
    yield "function_role", [hi, {"role": "function", "name": "ping", "content": "pong"}]


TOOLS = {
    "no_tools": None,
    "tools": [WEATHER, PLAIN],
    "odd_tools": [RETURNS, {"name": "bare", "description": "no wrapper", "parameters": {"type": "object"}}],
    "empty_tools": [],
}
# Names that templates look at, with values that they may meet.
EXTRAS = {
    "plain": {},
    "think": {"enable_thinking": True, "thinking": True, "reasoning_effort": "high"},
    "no_think": {"enable_thinking": False, "thinking": False, "reasoning_effort": "low",
                 "thinking_budget": 0},
    "others": {"documents": [{"title": "T", "text": "doc text", "contents": "c"}], "citation_mode": "fast",
               "clear_thinking": False, "preserve_thinking": True, "thinking_budget": 512,
               "model_identity": "You are X.", "date_string": "1 Jan 2030", "tools_in_user_message": False,
               "builtin_tools": ["browser", "python"], "keep_past_thinking": True,
               "functions": "[]", "datetime": "now", "response_format": {"type": "json_schema", "json_schema": {"a": 1}}},
}


def matrix():
    """(name, context) of every case. The odder the tools, the fewer the other variables they meet."""
    for (name, messages), (tool_name, tools), (extra_name, extra), generate in itertools.product(
        _bases(), TOOLS.items(), EXTRAS.items(), (True, False)
    ):
        usual_tools = tool_name in ("no_tools", "tools")
        if extra_name != "plain" and not usual_tools:
            continue
        if not generate and extra_name in ("think", "no_think"):
            continue
        context = {
            "messages": copy.deepcopy(messages),
            "tools": copy.deepcopy(tools),
            "documents": None,
            "add_generation_prompt": generate,
        }
        context.update(copy.deepcopy(extra))
        yield f"{name}-{tool_name}-{extra_name}-{'gen' if generate else 'end'}", context
