"""Plain HTTP for tests that look at what is sent, byte by byte."""

import json
import socket
import time
import urllib.error
import urllib.request

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
GREEDY = {"temperature": 0}


def request(server, method, path, body=None, timeout=120):
    """(status, parsed body, headers); the body is text where it is not JSON. Bytes are sent as is."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    call = urllib.request.Request(server.url + path, data, {"Content-Type": "application/json"},
                                  method=method)
    try:
        with urllib.request.urlopen(call, timeout=timeout) as reply:
            status, raw, headers = reply.status, reply.read(), reply.headers
    except urllib.error.HTTPError as error:
        status, raw, headers = error.code, error.read(), error.headers
    text = raw.decode()  # every byte we send is UTF-8
    is_json = headers.get("Content-Type", "").startswith("application/json")
    return status, json.loads(text) if is_json else text, headers


def post(server, path, body):
    status, reply, _ = request(server, "POST", path, body)
    return status, reply


def ok(server, path, body):
    status, reply = post(server, path, body)
    assert status == 200, reply
    return reply


def events(server, path, body):
    """The JSON of each event of a stream; its framing is checked."""
    status, text, headers = request(server, "POST", path, {**body, "stream": True})
    assert status == 200, text
    assert headers["Content-Type"] == "text/event-stream"
    parts = text.split("\n\n")
    assert parts[-1] == ""
    parts = [part for part in parts[:-1] if not part.startswith(":")]
    assert all(part.startswith("data: ") and "\n" not in part for part in parts)
    if path not in ("/completion", "/completions", "/infill"):
        assert parts.pop() == "data: [DONE]"
    return [json.loads(part[6:]) for part in parts]


def open_request(server, path, body):
    """A socket with a request sent and nothing read."""
    raw = json.dumps(body).encode()
    sock = socket.create_connection(("127.0.0.1", server.port))
    sock.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                 f"Content-Length: {len(raw)}\r\n\r\n".encode() + raw)
    return sock


def wait_for(condition, seconds=60):
    """Until it holds; whether it did in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def user(text):
    return [{"role": "user", "content": text}]


def tokens(server, text, **more):
    return ok(server, "/tokenize", {"content": text, **more})["tokens"]


def text_of(server, count, word=" word"):
    """A text of exactly that many tokens."""
    text = word * count
    while len(tokens(server, text)) > count:
        text = text[:-1]
    assert len(tokens(server, text)) == count
    return text


def chat(server, text, **more):
    return ok(server, CHAT, {"messages": user(text), **GREEDY, **more})


def content(reply):
    return reply["choices"][0]["message"]["content"]
