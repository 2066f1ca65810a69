"""Ollama's own client against the real binary: chat, generate, streams, thoughts, what a model is, and
errors as its own exception type."""

import json

import ollama
import pytest

from http_api import content, chat, post, request, user

MODEL = "smollm2"
GREEDY = {"temperature": 0, "num_predict": 16}


@pytest.fixture(scope="module")
def client(server):
    return ollama.Client(host=server.url)


def test_chat_plain_and_streamed_are_the_same_and_openai_s(server, client):
    plain = client.chat(MODEL, user("Why is the sky blue?"), options=GREEDY)
    assert plain.model == MODEL and plain.done and plain.done_reason == "length"
    assert plain.message.role == "assistant"
    assert plain.eval_count == 16 and plain.prompt_eval_count > 16
    assert plain.total_duration == plain.load_duration + plain.prompt_eval_duration + plain.eval_duration
    parts = list(client.chat(MODEL, user("Why is the sky blue?"), options=GREEDY, stream=True))
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert "".join(part.message.content for part in parts) == plain.message.content
    assert parts[-1].done_reason == "length" and parts[-1].eval_count == 16
    assert plain.message.content == content(chat(server, "Why is the sky blue?", max_tokens=16))


def test_the_end_by_itself_and_by_a_stop_string(client):
    whole = client.chat(MODEL, user("Say only the word: yes"), options={"temperature": 0})
    assert whole.done_reason == "stop"
    cut = client.chat(MODEL, user("Say only the word: yes"),
                      options={"temperature": 0, "stop": [whole.message.content[2:4]]})
    assert cut.message.content == whole.message.content[:2] and cut.done_reason == "stop"


def test_generate_with_template_system_and_raw(server, client):
    made = client.generate(MODEL, "Why is the sky blue?", options=GREEDY)
    assert made.response == content(chat(server, "Why is the sky blue?", max_tokens=16))
    parts = client.generate(MODEL, "Why is the sky blue?", options=GREEDY, stream=True)
    assert "".join(part.response for part in parts) == made.response
    told = client.generate(MODEL, "hi", system="Answer in French.", options=GREEDY)
    asked = client.chat(MODEL, [{"role": "system", "content": "Answer in French."}, *user("hi")],
                        options=GREEDY)
    assert told.response == asked.message.content
    raw = client.generate(MODEL, "The capital of France is", raw=True, options=GREEDY)
    assert raw.response.startswith(" Paris")
    assert raw.prompt_eval_count == 5


def test_an_assistant_s_last_words_are_continued(client):
    said = client.chat(MODEL, [*user("Name a colour."), {"role": "assistant", "content": "A colour is"}],
                       options=GREEDY)
    assert not said.message.content.startswith("A colour is") and said.message.content


def test_a_gap_is_filled(start_server, models):
    one = start_server("-c", 1024, model=models("Qwen2.5-Coder-0.5B-Instruct-Q4_K_M.gguf"))
    client = ollama.Client(host=one.url)
    filled = client.generate("coder", prompt="def add(a, b):\n    return ", suffix="\n\nprint(add(1, 2))\n",
                             options=GREEDY)
    assert filled.response.startswith("a + b")
    assert "insert" in client.show("coder").capabilities


def test_logprobs(client):
    reply = client.generate(MODEL, "The capital of France is", raw=True, options=GREEDY, logprobs=True,
                            top_logprobs=2)
    assert len(reply.logprobs) == 16
    assert "".join(one.token for one in reply.logprobs) == reply.response
    assert all(len(one.top_logprobs) == 2 for one in reply.logprobs)


def test_nothing_to_answer_is_about_loading(client):
    assert client.generate(MODEL).done_reason == "load"
    assert client.chat(MODEL, []).done_reason == "load"
    assert client.generate(MODEL, keep_alive=0).done_reason == "unload"
    assert client.generate(MODEL, keep_alive="1h30m").done_reason == "load"
    assert [part.done_reason for part in client.generate(MODEL, stream=True)] == ["load"]
    assert client.generate(MODEL, "hi", options=GREEDY).done  # it is still there


def test_what_the_model_is(server, client):
    (model,) = client.list().models
    assert model.model == "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert model.size > 90_000_000 and len(model.digest) == 64 and model.modified_at.year > 2000
    assert model.details.family == "llama" and model.details.quantization_level == "Q4_1"
    assert model.details.parameter_size == "134.52M"
    (running,) = client.ps().models
    assert running.digest == model.digest and running.context_length == 4096
    assert running.expires_at.year == 9999
    shown = client.show(MODEL)
    assert shown.capabilities == ["completion"]
    assert shown.modelinfo["llama.context_length"] == 8192
    assert "<|im_start|>" in shown.template and "num_ctx 4096" in shown.parameters
    assert request(server, "GET", "/api/version")[1]["version"].count(".") == 2


def test_thoughts(start_server, models, tmp_path):
    # The tag that opens a thought is what the model goes on with here; it never closes it.
    template = tmp_path / "think.jinja"
    template.write_text("{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
                        "{% if enable_thinking %}{{ '<think>\n' }}{% endif %}"
                        "{# <think> </think> #}")
    one = start_server("-c", 1024, "--chat-template-file", template)
    client = ollama.Client(host=one.url)
    assert "thinking" in client.show("any").capabilities
    thought = client.chat(MODEL, user("hi"), think=True, options=GREEDY)
    assert thought.message.thinking and thought.message.content == ""
    parts = list(client.chat(MODEL, user("hi"), think=True, options=GREEDY, stream=True))
    assert "".join(part.message.thinking or "" for part in parts) == thought.message.thinking
    spoken = client.generate(MODEL, "hi", think=False, options=GREEDY)
    assert spoken.response and not spoken.thinking


@pytest.mark.parametrize("path,more,words", [
    ("chat", {"messages": [{"role": "admin", "content": "x"}]}, "messages[0].role"),
    ("chat", {"messages": user("hi"), "options": {"top_p": 2}}, "options.top_p"),
    ("chat", {"messages": user("hi"), "options": 5}, "options must be an object"),
    ("chat", {"messages": user("hi"), "think": 3}, "think"),
    ("chat", {"messages": user("hi"), "think": True}, "does not support thinking"),
    ("chat", {"messages": [{"role": "user", "content": "x", "images": ["aGk="]}]}, "messages[0].images"),
    ("chat", {"messages": user("word " * 9000)}, "4096"),
    ("chat", {"messages": user("hi"), "format": "xml"}, "format"),
    ("generate", {"prompt": "x", "images": ["aGk="]}, "images"),
    ("generate", {"prompt": "x", "suffix": "y"}, "suffix"),
    ("generate", {"prompt": "x", "template": "{{ .Prompt }}"}, "template"),
    ("generate", {"prompt": "x", "context": [1, 2]}, "context"),
    ("generate", {"prompt": "x", "keep_alive": "soon"}, "keep_alive"),
    ("generate", {"prompt": "x", "options": {"num_ctx": 0}}, "options.num_ctx"),
    ("generate", {"prompt": 7}, "prompt"),
])
def test_bad_requests(server, client, path, more, words):
    for stream in (False, True):
        status, reply = post(server, f"/api/{path}", {"model": MODEL, "stream": stream, **more})
        assert status == 400 and list(reply) == ["error"], reply
        assert words in reply["error"]
    with pytest.raises(ollama.ResponseError) as caught:
        client._request_raw("POST", f"/api/{path}", json={"model": MODEL, **more})
    assert caught.value.status_code == 400 and words in caught.value.error


def test_embeddings(start_server, models):
    one = start_server("--embeddings", model=models("all-MiniLM-L6-v2.f16.gguf"))
    client = ollama.Client(host=one.url)
    assert client.show(MODEL).capabilities[0] == "embedding"
    texts = ["one", "two words"]
    many = client.embed(MODEL, texts)
    same = post(one, "/v1/embeddings", {"input": texts})[1]
    assert [list(row) for row in many.embeddings] == [item["embedding"] for item in same["data"]]
    assert many.prompt_eval_count == same["usage"]["prompt_tokens"] and many.model == MODEL
    assert list(client.embeddings(MODEL, "one").embedding) == list(many.embeddings[0])
    assert 0 < client.embed(MODEL, "word " * 2000).prompt_eval_count <= 512
    with pytest.raises(ollama.ResponseError) as caught:
        client.embed(MODEL, "word " * 2000, truncate=False)
    assert caught.value.status_code == 400 and "too large" in caught.value.error


def test_the_front_door_speaks_ollama(start_server):
    one = start_server("-c", 1024, "--api-key", "k")
    status, reply, _ = request(one, "GET", "/api/tags")
    assert status == 401 and list(reply) == ["error"]
    allowed = ollama.Client(host=one.url, headers={"Authorization": "Bearer k"})
    assert len(allowed.list().models) == 1


def test_lines_of_a_stream_are_json(server):
    body = {"model": MODEL, "messages": user("hi"), "options": GREEDY}
    status, text, headers = request(server, "POST", "/api/chat", body)
    assert status == 200 and headers["Content-Type"] == "application/x-ndjson"
    lines = text.split("\n")
    assert lines.pop() == ""
    assert [json.loads(line)["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
