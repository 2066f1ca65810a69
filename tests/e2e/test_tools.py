"""Tools through the real server and a model that knows them (cases C21, C18): calls that must come, come and follow
their schema; the official client puts streamed ones together; the reply fed back is accepted."""

import json
import sys

import openai
import pytest

from conftest import ROOT
from http_api import CHAT, events, ok, post, user
from structured.tools import TOOLS, invalid

sys.path.insert(0, str(ROOT / "bench" / "scenarios"))

import tool_calls  # noqa: E402

TWO = [TOOLS["get_weather"], TOOLS["get_time"]]
PARIS = user("What is the weather in Paris?")


@pytest.fixture(scope="module")
def qwen(serve_module, models):
    return serve_module("-c", "8192", model=models("Qwen2.5-Coder-0.5B-Instruct-Q4_K_M.gguf"))


@pytest.fixture(scope="module")
def client(qwen):
    return openai.OpenAI(base_url=qwen.url + "/v1", api_key="none", max_retries=0, timeout=300)


def calls_of(message):
    return [(call.function.name, call.function.arguments) for call in message.tool_calls or []]


def test_calls_that_must_come_are_valid(qwen):
    # All fifty: bench/scenarios/tool_calls.py.
    assert tool_calls.run(qwen.url.removeprefix("http://"), requests=6, temperature=1, clients=4) == []


def test_the_client_gets_the_same_calls_streamed_and_plain(client):
    ask = {"model": "m", "messages": PARIS, "tools": TWO, "tool_choice": "required", "temperature": 0,
           "max_tokens": 200}
    plain = client.chat.completions.create(**ask).choices[0]
    assert plain.finish_reason == "tool_calls" and plain.message.content is None
    assert all(call.type == "function" and call.id for call in plain.message.tool_calls)
    assert not any(invalid(call, TWO) for call in calls_of(plain.message))
    with client.chat.completions.stream(**ask) as stream:
        streamed = stream.get_final_completion().choices[0]
    assert streamed.finish_reason == "tool_calls"
    assert calls_of(streamed.message) == calls_of(plain.message)
    ids = [call.id for call in streamed.message.tool_calls]
    assert len(set(ids)) == len(ids)


def test_a_named_function_is_the_one_that_is_called(client):
    for name in ("get_time", "get_weather"):
        choice = client.chat.completions.create(
            model="m", messages=PARIS, tools=TWO, max_tokens=200, temperature=0,
            tool_choice={"type": "function", "function": {"name": name}}).choices[0]
        assert choice.finish_reason == "tool_calls"
        assert {called for called, _ in calls_of(choice.message)} == {name}


def test_none_never_calls(client):
    choice = client.chat.completions.create(model="m", messages=PARIS, tools=TWO, tool_choice="none", max_tokens=40,
                                            temperature=0).choices[0]
    assert choice.message.tool_calls is None and choice.finish_reason in ("stop", "length")


def test_one_call_where_parallel_calls_are_off(client):
    message = client.chat.completions.create(
        model="m", messages=user("Weather in Paris, Rome and Oslo?"), tools=TWO, tool_choice="required",
        parallel_tool_calls=False, max_tokens=300, temperature=1, seed=3).choices[0].message
    assert len(message.tool_calls) == 1


def test_a_strict_tool_is_bound_under_auto(client):
    strict = json.loads(json.dumps(TOOLS["create_event"]))
    strict["function"]["strict"] = True
    for seed in range(2):
        choice = client.chat.completions.create(
            model="m", messages=user("Plan a meeting with Ann on 2026-03-05, call the function."), tools=[strict],
            max_tokens=400, temperature=1, seed=seed).choices[0]
        if choice.finish_reason == "tool_calls":
            assert not any(invalid(call, [strict]) for call in calls_of(choice.message))


def test_the_reply_fed_back_is_accepted(client, qwen):
    ask = {"model": "m", "tools": TWO, "temperature": 0, "max_tokens": 60}
    message = client.chat.completions.create(messages=PARIS, tool_choice="required", **ask).choices[0].message
    history = [*PARIS, message.model_dump(exclude_none=True),
               *({"role": "tool", "tool_call_id": call.id, "content": "18 degrees, sunny"}
                 for call in message.tool_calls)]
    answer = client.chat.completions.create(messages=history, tool_choice="none", **ask).choices[0].message
    assert answer.content and answer.tool_calls is None
    prompt = ok(qwen, "/apply-template", {"messages": history, "tools": TWO})["prompt"]
    assert "<tool_call>" in prompt and "18 degrees, sunny" in prompt


def test_what_cannot_be_kept_is_refused(qwen):
    def refused(**fields):
        status, reply = post(qwen, CHAT, {"messages": PARIS, "max_tokens": 8, **fields})
        assert status == 400, reply
        return reply["error"]

    odd = {"type": "function", "function": {"name": "f", "parameters": {
        "type": "object", "properties": {"a": {"not": {"type": "string"}}}}}}
    error = refused(tools=[*TWO, odd], tool_choice="required")
    assert error["param"] == "tools[2].function.parameters" and "#/properties/a" in error["message"]
    assert "not" in error["message"]
    assert refused(tools=TWO, tool_choice={"type": "function", "function": {"name": "g"}})["param"] == "tool_choice"
    assert refused(tool_choice="required")["param"] == "tool_choice"
    assert refused(tools=[*TWO, TWO[0]])["param"] == "tools[2].function.name"
    # Under auto it is shown to the model as it is.
    assert ok(qwen, CHAT, {"messages": PARIS, "max_tokens": 1, "tools": [odd]})


def test_events_are_openais(qwen):
    got = events(qwen, CHAT, {"messages": PARIS, "tools": TWO, "tool_choice": "required", "temperature": 0,
                              "max_tokens": 200, "parallel_tool_calls": True})
    parts = [part for event in got for choice in event["choices"] for part in choice["delta"].get("tool_calls", [])]
    seen = {}
    for part in parts:
        if part["index"] in seen:
            assert set(part) == {"index", "function"} and set(part["function"]) == {"arguments"}
        else:
            assert part["type"] == "function" and part["id"] and part["function"]["name"]
            assert part["index"] == len(seen)
        seen[part["index"]] = seen.get(part["index"], "") + part["function"]["arguments"]
    assert len(parts) > len(seen)  # arguments come in pieces
    assert all(json.loads(arguments) is not None for arguments in seen.values())
    reasons = [choice["finish_reason"] for event in got for choice in event["choices"]]
    assert [reason for reason in reasons if reason] == ["tool_calls"]
