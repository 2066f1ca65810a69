"""Tools and bound answers by the unmodified clients of Anthropic, Ollama and OpenAI's responses: a model
that was trained for tools calls one, plain and streamed, and call and result can be sent back."""

import json

import anthropic
import ollama
import openai
import pytest

from http_api import user

MODEL = "coder"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
          "additionalProperties": False}
NAME, WORDS = "get_weather", "Get the weather of a city"
ASKED = user("What is the weather in Paris? Use the tool.")
LIMIT = 60


@pytest.fixture(scope="module")
def coder(serve_module, models):
    return serve_module("-c", "2048", model=models("Qwen2.5-Coder-0.5B-Instruct-Q4_K_M.gguf"))


def test_anthropic(coder):
    client = anthropic.Anthropic(base_url=coder.url, api_key="none", max_retries=0, timeout=300)
    more = {"model": MODEL, "max_tokens": LIMIT, "messages": ASKED, "extra_body": {"temperature": 0},
            "tools": [{"name": NAME, "description": WORDS, "input_schema": SCHEMA}],
            "tool_choice": {"type": "any"}}
    reply = client.messages.create(**more)
    call = reply.content[-1]
    assert reply.stop_reason == "tool_use" and call.type == "tool_use"
    assert call.name == NAME and call.input == {"city": "Paris"}
    with client.messages.stream(**more) as stream:
        streamed = stream.get_final_message()
    assert streamed.stop_reason == "tool_use" and streamed.content[-1].input == call.input
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}
    after = client.messages.create(**{**more, "max_tokens": 1, "messages": [
        *ASKED, {"role": "assistant", "content": reply.content}, {"role": "user", "content": [result]}]})
    # What was said so far was computed before.
    assert after.usage.cache_read_input_tokens > 150 and after.usage.input_tokens < 64


def test_ollama(coder):
    client = ollama.Client(host=coder.url)
    tools = [{"type": "function", "function": {"name": NAME, "description": WORDS, "parameters": SCHEMA}}]
    more = {"model": MODEL, "tools": tools, "options": {"temperature": 0, "num_predict": LIMIT}}
    assert "tools" in client.show(MODEL).capabilities
    reply = client.chat(messages=ASKED, **more)
    (call,) = reply.message.tool_calls
    assert reply.done_reason == "stop"
    assert call.function.name == NAME and call.function.arguments == {"city": "Paris"}
    parts = list(client.chat(messages=ASKED, stream=True, **more))
    assert [one.function for part in parts for one in part.message.tool_calls or []] == [call.function]
    more["options"]["num_predict"] = 1
    after = client.chat(messages=[*ASKED, reply.message,
                                  {"role": "tool", "tool_name": NAME, "content": "sunny"}], **more)
    assert after.prompt_eval_count > reply.prompt_eval_count + reply.eval_count


def test_responses(coder):
    client = openai.OpenAI(base_url=coder.url + "/v1", api_key="none", max_retries=0, timeout=300)
    more = {"model": MODEL, "temperature": 0, "max_output_tokens": LIMIT,
            "tools": [{"type": "function", "name": NAME, "description": WORDS, "parameters": SCHEMA}],
            "tool_choice": "required"}
    reply = client.responses.create(input=ASKED, **more)
    call = reply.output[-1]
    assert reply.status == "completed" and call.type == "function_call" and call.name == NAME
    assert json.loads(call.arguments) == {"city": "Paris"}
    with client.responses.stream(input=ASKED, **more) as stream:
        deltas = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]
        final = stream.get_final_response()
    assert "".join(deltas) == final.output[-1].arguments == call.arguments
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    more["max_output_tokens"] = 1
    after = client.responses.create(input=[*ASKED, *reply.output, output], **more)
    assert after.usage.input_tokens > reply.usage.input_tokens + reply.usage.output_tokens


def test_bound_answers(server):
    question = user("Name a city.")
    wanted = {"type": "json_schema", "schema": SCHEMA}
    claude = anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0)
    texts = [claude.messages.create(model=MODEL, max_tokens=200, messages=question, extra_body={
        "temperature": 0, "output_config": {"format": wanted}}).content[0].text]
    client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0)
    texts.append(client.responses.create(
        model=MODEL, input=question, temperature=0, max_output_tokens=200,
        text={"format": {"name": "city", **wanted}}).output_text)
    local = ollama.Client(host=server.url)
    options = {"temperature": 0, "num_predict": 200}
    texts.append(local.chat(MODEL, question, format=SCHEMA, options=options).message.content)
    texts.append(local.generate(MODEL, "Name a city.", format=SCHEMA, options=options).response)
    assert len(set(texts)) == 1 and list(json.loads(texts[0])) == ["city"]
    begun = local.generate(MODEL, "An example.", format="json", options={"temperature": 0, "num_predict": 8})
    assert begun.response.lstrip().startswith("{")
