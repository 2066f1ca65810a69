"""/openapi.json is true: real replies of every endpoint, plain, streamed and refused, are what it says
they are, and the requests that our tests send are what it allows."""

import json

import jsonschema
import pytest

from http_api import events, request, user


@pytest.fixture(scope="module")
def document(server):
    status, document, _ = request(server, "GET", "/openapi.json")
    assert status == 200
    return document


def validate(document, schema, value):
    # References are to the whole document's components.
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(value)


def operation(document, method, path):
    return document["paths"][path][method.lower()]


def check(server, document, method, path, body=None):
    """Sends a request and holds body, status and reply against the document."""
    described = operation(document, method, path.split("?")[0])
    if body is not None:
        validate(document, described["requestBody"]["content"]["application/json"]["schema"], body)
    status, reply, headers = request(server, method, path, body)
    return replied(document, described, status, reply, headers)


def replied(document, described, status, reply, headers):
    answer = described["responses"][str(status)]
    if "$ref" in answer:
        answer = document["components"]["responses"][answer["$ref"].rsplit("/", 1)[1]]
    kind = headers["Content-Type"].split(";")[0]
    validate(document, answer["content"][kind]["schema"], reply)
    return status, reply


GREEDY = {"temperature": 0, "max_tokens": 4}
CHAT = {"messages": user("hi"), **GREEDY}
OLLAMA = {"messages": user("hi"), "options": {"temperature": 0, "num_predict": 3, "num_ctx": 2048}}
REQUESTS = [
    ("/v1/chat/completions", CHAT),
    ("/chat/completions", {**CHAT, "n": 2, "logprobs": True, "top_logprobs": 3, "verbose": True}),
    ("/v1/chat/completions", {**CHAT, "stop": ["e"], "logit_bias": {"5": -100}, "seed": None}),
    ("/v1/chat/completions", {"max_tokens": 2, "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "one"}, "two"]},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "r"}]}),
    ("/v1/chat/completions/input_tokens", CHAT),
    ("/v1/completions", {"prompt": ["a", [5, 6], [7, "b"]], "echo": True, **GREEDY}),
    ("/v1/completions", {"prompt": "One two", "logprobs": 2, **GREEDY}),
    ("/completion", {"prompt": "One two", "n_predict": 3, "n_probs": 2, "return_tokens": True}),
    ("/completion", {"prompt": "One two", "n_predict": 3, "n_probs": 2, "post_sampling_probs": True}),
    ("/completions", {"prompt": ["a", {"prompt_string": "b"}], "n_predict": 2, "stop": "x"}),
    ("/completion", {"prompt": "a", "n_predict": 1, "response_fields": ["content"]}),
    ("/tokenize", {"content": ["a", 5, "é"], "with_pieces": True}),
    ("/detokenize", {"tokens": [1, 2]}),
    ("/apply-template", CHAT),
    ("/v1/responses", {"input": "hi", "max_output_tokens": 3, "instructions": "s", "metadata": {"a": "b"}}),
    ("/responses", {"max_output_tokens": 3, "include": ["message.output_text.logprobs"], "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "t"}]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "r"}]}),
    ("/v1/responses/input_tokens", {"input": "hi"}),
    ("/v1/messages", {"model": "m", **CHAT, "system": "s", "stop_sequences": ["x"]}),
    ("/v1/messages", {"max_tokens": 3, "thinking": {"type": "disabled"}, "messages": [
        {"role": "user", "content": [{"type": "text", "text": "a"}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "i", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "i", "content": "r"}]}]}),
    ("/v1/messages/count_tokens", {"system": [{"type": "text", "text": "s"}], **CHAT}),
    ("/api/chat", {"model": "m", "stream": False, **OLLAMA, "logprobs": True, "top_logprobs": 1}),
    ("/api/chat", {"stream": False, "think": False, "keep_alive": "5m", **OLLAMA}),
    ("/api/generate", {"prompt": "hi", "system": "s", "stream": False, "options": {"num_predict": 2}}),
    ("/api/generate", {"stream": False, "keep_alive": 0}),
    ("/api/show", {"model": "m"}),
]


def test_vectors(start_server, document, models):
    server = start_server(model=models("all-MiniLM-L6-v2.q8_0.gguf"))
    for path, body in [
            ("/v1/embeddings", {"input": "a", "dimensions": 3}),
            ("/v1/embeddings", {"input": [[101, 102], [101, "b"]], "encoding_format": "base64"}),
            ("/embedding", {"content": ["a", "b"], "embd_normalize": -1}),
            ("/embeddings", {"input": [101, 102]})]:
        assert check(server, document, "POST", path, body)[0] == 200
    for path in ("/v1/rerank", "/v1/reranking", "/rerank", "/reranking"):
        body = {"query": "q", "documents": ["a", {"text": "b"}], "top_n": 1}
        assert check(server, document, "POST", path, body)[0] == 400  # it has no score head


@pytest.mark.parametrize("path,body", REQUESTS)
def test_answers(server, document, path, body):
    status, reply = check(server, document, "POST", path, body)
    assert status == 200, reply


@pytest.mark.parametrize("path", ["/v1/models", "/models", "/health", "/v1/health", "/props", "/slots",
                                  "/slots?fail_on_no_slot=1", "/metrics", "/openapi.json", "/api/tags", "/api/ps",
                                  "/api/version"])
def test_information(server, document, path):
    assert check(server, document, "GET", path)[0] == 200


@pytest.mark.parametrize("path,event,more", [
    ("/v1/chat/completions", "ChatCompletionChunk", {"messages": user("hi")}),
    ("/v1/chat/completions", "ChatCompletionChunk",
     {"messages": user("hi"), "stream_options": {"include_usage": True}, "timings_per_token": True,
      "logprobs": True, "top_logprobs": 2}),
    ("/v1/completions", "Completion", {"prompt": "One two", "echo": True}),
    ("/v1/completions", "Completion", {"prompt": "One two", "logprobs": 1}),
    ("/completion", "NativeChunk", {"prompt": "One two", "n_probs": 1, "timings_per_token": True}),
])
def test_streams(server, document, path, event, more):
    schemas = document["components"]["schemas"]
    got = events(server, path, {**GREEDY, **more})
    if event == "NativeChunk":
        validate(document, schemas["NativeCompletion"], got.pop())
    assert got
    for one in got:
        validate(document, schemas[event], one)


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
def test_lines(server, document, path):
    status, text, _ = request(server, "POST", path, {"prompt": "hi", **OLLAMA})
    assert status == 200
    for line in text.splitlines():
        validate(document, document["components"]["schemas"]["OllamaReply"], json.loads(line))


@pytest.mark.parametrize("path,body", [
    ("/v1/chat/completions", {}), ("/v1/chat/completions", {"messages": user("hi"), "top_p": 2}),
    ("/v1/completions", {"prompt": "word " * 9000}), ("/completion", {"prompt": []}),
    ("/infill", {"input_prefix": "a", "input_suffix": "b"}), ("/tokenize", {"content": 5}),
    ("/detokenize", {"tokens": [-1]}), ("/apply-template", {"messages": []}),
    ("/v1/responses", {}), ("/responses", {"input": "x", "store": True}),
    ("/v1/messages", {}), ("/v1/messages/count_tokens", {"messages": user(5)}),
    ("/api/chat", {"messages": 5}), ("/api/generate", {"prompt": "x", "think": 2}), ("/api/show", b"5"),
    ("/api/embed", {"input": "x"}), ("/api/embeddings", {}),
])
def test_refusals(server, document, path, body):
    described = operation(document, "POST", path)
    assert replied(document, described, *request(server, "POST", path, body))[0] == 400


def test_the_document_is_sound(document):
    """Every reference leads somewhere, and the schemas are schemas."""
    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                found = document
                for part in node["$ref"].removeprefix("#/").split("/"):
                    found = found[part]
            node = node.values()
        if isinstance(node, (list, type({}.values()))):
            for child in node:
                walk(child)

    walk(document)
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
