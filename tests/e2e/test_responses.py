"""OpenAI's own client and its responses against the real binary: items in and out, streams, thoughts,
what is refused for want of memory, and errors as its own exception types."""

import json

import openai
import pytest

from http_api import chat, content, post, request, user

MODEL = "smollm2"
SKY = "Why is the sky blue?"


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0, timeout=120)


def create(client, input=SKY, **more):
    return client.responses.create(**{"model": MODEL, "max_output_tokens": 16, "temperature": 0,
                                      "input": input, **more})


def test_a_response(server, client):
    reply = create(client)
    assert reply.object == "response" and reply.id.startswith("resp_") and reply.model == MODEL
    assert reply.output_text == content(chat(server, SKY, max_tokens=16))
    (message,) = reply.output
    assert message.type == "message" and message.role == "assistant" and message.id.startswith("msg_")
    assert reply.status == message.status == "incomplete"
    assert reply.incomplete_details.reason == "max_output_tokens"
    assert reply.usage.output_tokens == 16 and reply.usage.output_tokens_details.reasoning_tokens == 0
    assert reply.usage.total_tokens == reply.usage.input_tokens + 16
    assert 0 <= reply.usage.input_tokens_details.cached_tokens < reply.usage.input_tokens
    assert reply.error is None and reply.metadata == {} and reply.temperature == 0
    assert reply.text.format.type == "text" and reply.truncation == "disabled"


def test_an_answer_that_ends_by_itself(client):
    reply = create(client, "Say only the word: yes", max_output_tokens=400, metadata={"k": "v"})
    assert reply.status == reply.output[0].status == "completed"
    assert reply.incomplete_details is None and reply.metadata == {"k": "v"}
    assert reply.completed_at >= reply.created_at


def test_streamed_and_plain_are_the_same(client):
    plain = create(client)
    events = list(create(client, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[:4] == ["response.created", "response.in_progress", "response.output_item.added",
                         "response.content_part.added"]
    assert kinds[-4:] == ["response.output_text.done", "response.content_part.done",
                          "response.output_item.done", "response.incomplete"]
    assert set(kinds[4:-4]) == {"response.output_text.delta"}
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    last = events[-1].response
    assert text == events[-4].text == last.output_text == plain.output_text
    assert last.usage.output_tokens == plain.usage.output_tokens
    assert last.id == events[0].response.id and last.output[0].id == events[2].item.id
    assert last.output[0].status == "incomplete"


def test_the_client_s_own_stream_helper(client):
    with client.responses.stream(model=MODEL, input="Say only the word: yes", temperature=0,
                                 max_output_tokens=400) as stream:
        for _ in stream:
            pass
        final = stream.get_final_response()
    assert final.status == "completed"
    assert final.output_text == create(client, "Say only the word: yes", max_output_tokens=400).output_text


def test_events_are_named(server):
    status, text, headers = request(server, "POST", "/v1/responses", {
        "input": SKY, "max_output_tokens": 3, "stream": True, "return_progress": True})
    assert status == 200 and headers["Content-Type"] == "text/event-stream"
    events = []
    for event in text.split("\n\n")[:-1]:
        name, data = event.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert events[-1]["type"] == name.removeprefix("event: ")
    assert events[-1]["timings"]["predicted_n"] == 3
    assert any("prompt_progress" in event for event in events)


def test_instructions_and_items_are_the_conversation(client, server):
    told = create(client, "hi", instructions="Answer in French.")
    asked = create(client, [{"role": "system", "content": "Answer in French."},
                            {"type": "message", "role": "user",
                             "content": [{"type": "input_text", "text": "hi"}]}])
    assert told.output_text == asked.output_text
    assert told.instructions == "Answer in French."
    # The items of an answer can be sent back as they came.
    turn = create(client, user(SKY))
    again = create(client, [*user(SKY), *turn.output, *user("Shorter.")])
    same = post(server, "/v1/chat/completions", {
        "messages": [*user(SKY), {"role": "assistant", "content": turn.output_text}, *user("Shorter.")],
        "temperature": 0, "max_tokens": 16})[1]
    assert again.output_text == content(same)


def test_tool_history_is_what_chat_s_is(start_server, models):
    one = start_server("-c", 2048, model=models("Qwen2.5-Coder-0.5B-Instruct-Q4_K_M.gguf"))
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    function = {"name": "weather", "description": "The weather", "parameters": schema}
    counted = post(one, "/v1/responses/input_tokens", {
        "tools": [{"type": "function", **function}],
        "input": [*user("How is Paris?"),
                  {"type": "reasoning", "id": "r", "summary": [],
                   "content": [{"type": "reasoning_text", "text": "hm"}]},
                  {"role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
                  {"type": "function_call", "call_id": "c1", "name": "weather",
                   "arguments": '{"city": "Paris"}'},
                  {"type": "function_call_output", "call_id": "c1", "output": "sunny"}]})[1]
    same = post(one, "/v1/chat/completions/input_tokens", {
        "tools": [{"type": "function", "function": function}],
        "messages": [*user("How is Paris?"),
                     {"role": "assistant", "content": "I look.", "reasoning_content": "hm",
                      "tool_calls": [{"id": "c1", "type": "function", "function": {
                          "name": "weather", "arguments": '{"city": "Paris"}'}}]},
                     {"role": "tool", "tool_call_id": "c1", "content": "sunny"}]})[1]
    assert counted == same and counted["input_tokens"] > 150


def test_logprobs(client):
    reply = create(client, include=["message.output_text.logprobs"], top_logprobs=2)
    scores = reply.output[0].content[0].logprobs
    assert b"".join(bytes(one.bytes) for one in scores).decode() == reply.output_text
    assert len(scores) == 16 and all(len(one.top_logprobs) == 2 for one in scores)
    events = create(client, include=["message.output_text.logprobs"], top_logprobs=2, stream=True)
    streamed = [one for event in events if event.type == "response.output_text.delta"
                for one in event.logprobs]
    assert [one.logprob for one in streamed] == [one.logprob for one in scores]


def test_thoughts_are_an_item(start_server, tmp_path):
    # The tag that opens a thought is what the model goes on with here.
    template = tmp_path / "think.jinja"
    template.write_text("{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
                        "{% if enable_thinking %}{{ '<think>\n' }}{% endif %}"
                        "{# <think> </think> #}")
    one = start_server("-c", 1024, "--chat-template-file", template)
    client = openai.OpenAI(base_url=one.url + "/v1", api_key="none", max_retries=0)
    more = {"max_output_tokens": 24, "extra_body": {"thinking_budget": 6}}
    plain = create(client, **more)
    assert [item.type for item in plain.output] == ["reasoning", "message"]
    thought = plain.output[0].content[0]
    assert thought.type == "reasoning_text" and thought.text and plain.output[0].summary == []
    assert plain.usage.output_tokens_details.reasoning_tokens >= 6
    events = list(create(client, stream=True, **more))
    said = "".join(event.delta for event in events if event.type == "response.reasoning_text.delta")
    last = events[-1].response
    assert said == thought.text == last.output[0].content[0].text
    assert last.output_text == plain.output_text
    assert [item.status for item in last.output] == ["completed", "incomplete"]
    spoken = create(client, reasoning={"effort": "none"})
    assert [item.type for item in spoken.output] == ["message"]


@pytest.mark.parametrize("more,param", [
    ({"input": []}, "input"),
    ({"input": [{"role": "admin", "content": "x"}]}, "input[0].role"),
    ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
     "input[0].content[0].type"),
    ({"input": [{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_file"}]}]},
     "input[0].output[0].type"),
    ({"previous_response_id": "resp_1"}, "previous_response_id"),
    ({"conversation": "conv_1"}, "conversation"),
    ({"store": True}, "store"),
    ({"background": True}, "background"),
    ({"truncation": "auto"}, "truncation"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ({"tools": [{"type": "function", "parameters": {}}]}, "tools[0].name"),
    ({"max_output_tokens": -1}, "max_output_tokens"),
    ({"text": {"format": {"type": "poem"}}}, "text.format.type"),
    ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
    ({"temperature": -1}, "temperature"),
    ({"input": "word " * 9000}, "input"),
])
def test_bad_requests(client, more, param):
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as caught:
            create(client, **{"stream": stream, **more})
        assert caught.value.param == param and caught.value.body["message"]
