"""The clients of soak.py. Each `..._once` function does one thing to the server and returns None, or what was wrong."""

import http.client
import json
import random
import socket
import struct

from common import Refused, notes, post, stream

# (path, body, statuses that are right); the server must refuse each and go on.
NONSENSE = [
    ("/v1/chat/completions", b"{", {400}),
    ("/v1/chat/completions", b"", {400}),
    ("/v1/chat/completions", b"[]", {400}),
    ("/v1/chat/completions", b"\xff\xfe\x00", {400}),
    ("/v1/chat/completions", b"[" * 5000, {400}),
    ("/v1/chat/completions", b'{"messages": 7}', {400}),
    ("/v1/chat/completions", b'{"messages": []}', {400}),
    ("/v1/chat/completions", b'{"messages": [{"role": "user", "content": 5}]}', {400}),
    ("/v1/chat/completions", b'{"messages": [{"role": "user", "content": "a"}], "temperature": "hot"}', {400}),
    ("/v1/chat/completions", b'{"messages": [{"role": "user", "content": "a"}], "max_tokens": -7}', {400}),
    ("/v1/chat/completions", b'{"messages": [{"role": "user", "content": "a"}], "n": 100000}', {400}),
    ("/v1/completions", b'{"prompt": [1, 2, 999999999]}', {400}),
    ("/v1/completions", b'{"prompt": {"a": 1}}', {400}),
    ("/v1/completions", b'{"prompt": "a", "logit_bias": {"x": "y"}}', {400}),
    ("/v1/nothing", b"{}", {404}),
    ("/health", b"{}", {405}),
]


class Known:
    """Requests whose greedy answers were taken while nothing else ran."""

    def __init__(self, url, count, answer):
        self._items = []
        for i in range(count):
            length = answer // 4 + answer * i // count  # from short to long
            text = notes(500 + i % (count // 2), (3, 10, 25, 50)[i % 4])
            if i % 2:
                path, body = "/v1/completions", {"prompt": text}
            else:
                path, body = "/v1/chat/completions", {"messages": [{"role": "user", "content": text}]}
            body |= {"max_tokens": length, "temperature": 0}
            self._items.append((path, body, texts_of(post(url, path, body))[0]))

    def pick(self, rng):
        return rng.choice(self._items)


def texts_of(reply):
    return [choice["text"] if "text" in choice else choice["message"]["content"]
            for choice in reply["choices"]]


def answer_once(url, known, rng):
    """A whole answer, in one of the ways in which clients ask; its bytes are known."""
    path, body, right = known.pick(rng)
    way = rng.choice(("plain", "plain", "stream", "stream", "two", "uncached"))
    if way == "two":
        body = {**body, "n": 2}
    if way == "uncached":
        body = {**body, "cache_prompt": False}
    if way == "stream":
        got = [""]
        for _, event in stream(url, path, body):
            for choice in event.get("choices", []):
                got[0] += (choice.get("text") or choice.get("delta", {}).get("content") or "")
    else:
        got = texts_of(post(url, path, body))
    if any(text != right for text in got):
        return f"{way} {path}: {got!r} in place of {right!r}"
    return None


def connect(url):
    host, port = url.split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def raw(path, body, length=None):
    return (f"POST {path} HTTP/1.1\r\nHost: soak\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body) if length is None else length}\r\n\r\n").encode() + body


def cut_once(url, known, rng):
    """A client that leaves: while it waits, while it is prefilled, in the middle of its answer."""
    path, body, _ = known.pick(rng)
    body = {**body, "stream": rng.random() < 0.7, "max_tokens": 1000, "ignore_eos": True}
    with connect(url) as sock:
        sock.sendall(raw(path, json.dumps(body).encode()))
        sock.settimeout(rng.choice((0.001, 0.05, 0.3, 1, 3)))
        try:
            for _ in range(rng.choice((0, 1, 5, 30))):
                if not sock.recv(4096):
                    break
        except TimeoutError:
            pass
        way = rng.choice(("close", "reset", "half"))
        if way == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if way == "half":
            sock.shutdown(socket.SHUT_WR)
            sock.settimeout(30)
            try:
                while sock.recv(65536):
                    pass
            except TimeoutError:
                return "half-closed connection still open after 30 s"
            except ConnectionResetError:
                pass
    return None


def status_of(url, data):
    """The status of the reply to these bytes; None if the connection was closed without one."""
    with connect(url) as sock:
        try:
            sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all was read; the answer may be there all the same
        reply = http.client.HTTPResponse(sock)
        try:
            reply.begin()
            reply.read()
        except (http.client.HTTPException, ConnectionResetError):
            return None
        return reply.status


def nonsense_once(url, known, rng):
    """What no client should send; never 200, never 500, and the next one is served."""
    kind = rng.choice(("wrong", "wrong", "wrong", "half", "garbage", "long prompt", "huge"))
    if kind == "wrong":
        path, body, right = rng.choice(NONSENSE)
        status = status_of(url, raw(path, body))
        return None if status in right else f"{path} {body[:60]!r}: {status} in place of {right}"
    if kind == "half":
        body = json.dumps({"prompt": "half a request"}).encode()
        with connect(url) as sock:
            whole = raw("/v1/completions", body)
            sock.sendall(whole[:rng.randrange(1, len(whole))])
        return None
    if kind == "garbage":
        status = status_of(url, rng.randbytes(rng.randrange(1, 3000)) + b"\r\n\r\n")
        return None if status in (None, 400, 431) else f"garbage: {status}"
    if kind == "long prompt":
        body = json.dumps({"prompt": "far too long " * 40000, "max_tokens": 5}).encode()
        status = status_of(url, raw("/v1/completions", body))
        return None if status == 400 else f"prompt of 520 kB: {status} in place of 400"
    status = status_of(url, raw("/v1/completions", b"x" * 100000, length=10**9))
    return None if status in (None, 413) else f"a body of 1 GB: {status} in place of 413"


def client(url, known, once, seed, stop, counts, misses):
    """Does `once` again and again until `stop` is set."""
    rng = random.Random(seed)
    while not stop.is_set():
        try:
            wrong = once(url, known, rng)
        except (Refused, OSError, http.client.HTTPException, KeyError, ValueError) as error:
            wrong = f"{once.__name__}: {error!r}"
        counts[once.__name__] += 1
        if wrong:
            misses.append(wrong)
        stop.wait(rng.choice((0, 0, 0.1, 0.5)))
