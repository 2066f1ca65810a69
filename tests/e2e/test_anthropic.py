"""Anthropic's own client against the real binary: messages, streams, blocks, counting, and errors as
its own exception types."""

import json

import anthropic
import pytest

from http_api import chat, content, post, request, user

MODEL = "smollm2"
SKY = user("Why is the sky blue?")


@pytest.fixture(scope="module")
def client(server):
    return anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0, timeout=120)


def arguments(messages=SKY, extra_body=None, **more):
    # This version of the client knows no temperature.
    return {"model": MODEL, "max_tokens": 16, "messages": messages,
            "extra_body": {"temperature": 0, **(extra_body or {})}, **more}


def create(client, messages=SKY, **more):
    return client.messages.create(**arguments(messages, **more))


def test_a_message(server, client):
    reply = create(client)
    assert reply.type == "message" and reply.role == "assistant" and reply.model == MODEL
    assert reply.id.startswith("msg_")
    (block,) = reply.content
    assert block.type == "text" and block.text == content(chat(server, SKY[0]["content"], max_tokens=16))
    assert reply.stop_reason == "max_tokens" and reply.stop_sequence is None
    assert reply.usage.output_tokens == 16


def test_streamed_and_plain_are_the_same(client):
    plain = create(client)
    with client.messages.stream(**arguments()) as stream:
        kinds = [event.type for event in stream]
        whole = stream.get_final_message()
    assert whole.content[0].text == plain.content[0].text
    assert whole.stop_reason == plain.stop_reason and whole.role == "assistant"
    assert whole.usage.output_tokens == 16
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


def test_events_on_the_wire(server):
    status, text, headers = request(server, "POST", "/v1/messages", {
        "max_tokens": 4, "messages": SKY, "stream": True, "temperature": 0})
    assert status == 200 and headers["Content-Type"] == "text/event-stream"
    names = []
    for event in text.split("\n\n")[:-1]:
        name, data = event.split("\n")
        assert name.startswith("event: ") and data.startswith("data: ")
        assert json.loads(data[6:])["type"] == name[7:]
        names.append(name[7:])
    assert names[0] == "message_start" and names[-1] == "message_stop"
    assert names.count("content_block_delta") == 4


def test_what_was_cached_is_told_apart(client):
    text = user("The same long beginning, again and again. " * 20)
    first, again = create(client, text, max_tokens=1), create(client, text, max_tokens=1)
    assert again.usage.cache_read_input_tokens >= 0.8 * (
        again.usage.input_tokens + again.usage.cache_read_input_tokens)
    total = [one.usage.input_tokens + one.usage.cache_read_input_tokens for one in (first, again)]
    assert total[0] == total[1]
    counted = client.messages.count_tokens(model=MODEL, messages=text)
    assert counted.input_tokens == total[0]


def test_system_as_text_and_as_blocks(client):
    plain = create(client, system="Answer in French.")
    blocks = create(client, system=[{"type": "text", "text": "Answer in", "cache_control": {"type": "ephemeral"}},
                                    {"type": "text", "text": "French."}])
    assert plain.usage.output_tokens == 16 and blocks.content
    one = create(client, system=[{"type": "text", "text": "Answer in French."}])
    assert one.content[0].text == plain.content[0].text


def test_stop_sequences_and_the_end(client):
    whole = create(client, max_tokens=60).content[0].text
    stop = " ".join(whole.split()[3:5])
    cut = create(client, max_tokens=60, stop_sequences=["never there", stop])
    assert cut.stop_reason == "stop_sequence" and cut.stop_sequence == stop
    assert cut.content[0].text == whole[: whole.index(stop)]
    ended = create(client, user("Say only the word: yes"), max_tokens=400)
    assert ended.stop_reason == "end_turn"


def test_the_context_s_end_is_not_max_tokens(start_server):
    one = start_server("-c", 128)
    client = anthropic.Anthropic(base_url=one.url, api_key="none", max_retries=0)
    reply = create(client, user("word " * 60), max_tokens=500, extra_body={"ignore_eos": True})
    assert reply.stop_reason == "model_context_window_exceeded"


def test_an_assistant_s_last_words_are_continued(server, client):
    messages = [*SKY, {"role": "assistant", "content": [{"type": "text", "text": "The sky is"}]}]
    reply = create(client, messages)
    asked = post(server, "/v1/chat/completions", {
        "messages": [*SKY, {"role": "assistant", "content": "The sky is"}], "temperature": 0,
        "max_tokens": 16})[1]
    assert reply.content[0].text == content(asked)


def test_tool_history_is_what_openai_s_is(start_server, models):
    one = start_server("-c", 2048, model=models("Qwen2.5-Coder-0.5B-Instruct-Q4_K_M.gguf"))
    client = anthropic.Anthropic(base_url=one.url, api_key="none", max_retries=0)
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    counted = client.messages.count_tokens(
        model=MODEL,
        tools=[{"name": "weather", "description": "The weather", "input_schema": schema}],
        messages=[
            *user("How is Paris?"),
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": ""},
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Paris"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "sunny"}]},
                {"type": "text", "text": "So?"}]}])
    same = post(one, "/v1/chat/completions/input_tokens", {
        "tools": [{"type": "function", "function": {"name": "weather", "description": "The weather",
                                                    "parameters": schema}}],
        "messages": [
            *user("How is Paris?"),
            {"role": "assistant", "content": "I look.", "reasoning_content": "hm", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather",
                                                              "arguments": {"city": "Paris"}}}]},
            {"role": "tool", "tool_call_id": "c1", "name": "weather", "content": "sunny"},
            *user("So?")]})[1]
    assert counted.input_tokens == same["input_tokens"] > 150


def test_thoughts_are_blocks(start_server, tmp_path):
    # The tag that opens a thought is what the model goes on with here.
    template = tmp_path / "think.jinja"
    template.write_text("{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
                        "{% if enable_thinking %}{{ '<think>\n' }}{% endif %}"
                        "{# <think> </think> #}")
    one = start_server("-c", 1024, "--chat-template-file", template)
    client = anthropic.Anthropic(base_url=one.url, api_key="none", max_retries=0)
    thought = create(client, thinking={"type": "enabled", "budget_tokens": 6}, max_tokens=24)
    assert [block.type for block in thought.content] == ["thinking", "text"]
    assert thought.content[0].thinking and thought.content[0].signature == ""
    with client.messages.stream(**arguments(
            max_tokens=24, thinking={"type": "enabled", "budget_tokens": 6})) as stream:
        starts = [event.index for event in stream if event.type == "content_block_start"]
        whole = stream.get_final_message()
    assert starts == [0, 1]
    assert whole.content[0].thinking == thought.content[0].thinking
    assert whole.content[1].text == thought.content[1].text
    assert whole.usage.output_tokens_details.thinking_tokens >= 6
    spoken = create(client, thinking={"type": "disabled"})
    assert [block.type for block in spoken.content] == ["text"]


@pytest.mark.parametrize("more,param", [
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "system", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]},
     "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": [{"type": "tool_result"}]}]},
     "messages[0].content[0].tool_use_id"),
    ({"system": [{"type": "text"}]}, "system[0].text"),
    ({"extra_body": {"temperature": -1}}, "temperature"),
    ({"stop_sequences": [1]}, "stop_sequences[0]"),
    ({"thinking": {"type": "sometimes"}}, "thinking.type"),
    ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
    ({"tool_choice": {"type": "tool", "name": "g"}, "tools": [{"name": "f", "input_schema": {}}]}, "tool_choice"),
    ({"extra_body": {"output_config": {"format": {"type": "poem"}}}}, "output_config.format.type"),
    ({"messages": user("word " * 9000)}, "messages"),
])
def test_bad_requests(client, more, param):
    for stream in (False, True):
        with pytest.raises(anthropic.BadRequestError) as caught:
            create(client, **{"stream": stream, **more})
        body = caught.value.body
        assert body["type"] == "error" and body["error"]["type"] == "invalid_request_error"
        assert body["error"]["param"] == param and body["error"]["message"]


def test_the_front_door_speaks_anthropic(start_server):
    one = start_server("-c", 1024, "--api-key", "k")
    with pytest.raises(anthropic.AuthenticationError) as caught:
        create(anthropic.Anthropic(base_url=one.url, api_key="wrong", max_retries=0))
    assert caught.value.body["error"]["type"] == "authentication_error"
    # The client sends its key as X-Api-Key.
    assert create(anthropic.Anthropic(base_url=one.url, api_key="k")).content
    status, reply, _ = request(one, "GET", "/v1/messages")
    assert status == 401
