"""The life of the process: loading, leaving clients, stopping, start-up errors, the terminal."""

import http.client
import json
import signal
import socket
import subprocess
import threading
import urllib.request

import pytest

from conftest import BINARY, SMOLLM2
from http_api import CHAT, open_request, wait_for


def post(server, body, path="/v1/chat/completions", timeout=120):
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as reply:
        return json.load(reply)


def long_chat(**more):
    return {"messages": [{"role": "user", "content": "Tell a long story."}], "max_tokens": 3000,
            "ignore_eos": True, "temperature": 0, **more}


def metric(server, name):
    with urllib.request.urlopen(server.url + "/metrics", timeout=5) as reply:
        for line in reply.read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
    raise AssertionError(f"no metric {name}")


def test_clients_that_leave_stop_their_generation(start_server):
    server = start_server("-c", "8192")
    cancelled = 0
    for way in ("close", "reset", "half-close"):
        for stream in (True, False):
            sock = open_request(server, CHAT, long_chat(stream=stream))
            assert wait_for(lambda: metric(server, "vllm:num_requests_running") == 1)
            if way == "reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            if way == "half-close":
                sock.shutdown(socket.SHUT_WR)
            else:
                sock.close()
            assert wait_for(lambda: metric(server, "vllm:num_requests_running") == 0), (way, stream)
            assert metric(server, "llamabox:requests_cancelled_total") == (cancelled := cancelled + 1)
            assert metric(server, "vllm:kv_cache_usage_perc") == 0
            sock.close()
    # The server is as good as new.
    assert post(server, {**long_chat(), "max_tokens": 4})["usage"]["completion_tokens"] == 4


def test_health_answers_while_prompts_are_computed(start_server):
    server = start_server("-c", "8192", "-b", "512")
    prompt = {"messages": [{"role": "user", "content": "word " * 3000}], "max_tokens": 1}
    worker = threading.Thread(target=post, args=(server, prompt))
    worker.start()
    meanwhile = 0
    while worker.is_alive():
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("GET", "/health")
        assert connection.getresponse().status == 200
        meanwhile += worker.is_alive()
    # A step takes 512 of its 3,000 tokens: were it waited for, there were an answer for each of six or seven.
    assert meanwhile > 14


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_stops_with_answers_running(start_server, signal_number):
    server = start_server("-c", "8192")
    stream = open_request(server, CHAT, long_chat(stream=True))
    plain = open_request(server, CHAT, long_chat(stream=False))
    received = b""
    while b"content" not in received:
        received += stream.recv(65536)
    # Both run: a request that nobody has read yet has no answer to lose.
    assert wait_for(lambda: metric(server, "vllm:num_requests_running") == 2)
    assert server.stop(signal_number) == 0
    for sock in (stream, plain):
        sock.settimeout(5)
    while chunk := stream.recv(65536):
        received += chunk
    assert b"the server is shutting down" in received
    assert received.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    reply = b""
    while chunk := plain.recv(65536):
        reply += chunk
    assert reply.startswith(b"HTTP/1.1 503")
    assert "stopped" in server.log()


def test_the_service_manager_is_told(start_server, tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        server = start_server("-c", "1024", "--alias", "tiny", wait=False)
        told = [manager.recv(4096).decode()]
        while not told[-1].startswith("READY=1"):
            told.append(manager.recv(4096).decode())
        assert told[-1] == "READY=1\nSTATUS=serving tiny"
        percents = [int(line.removeprefix("STATUS=loading, ").removesuffix(" %")) for line in told[:-1]]
        assert len(percents) > 5 and percents == sorted(set(percents)) and percents[-1] == 100
        server.wait_until_ready()
        assert server.stop() == 0
        assert manager.recv(4096) == b"STOPPING=1"


def test_stops_when_idle(start_server):
    server = start_server("-c", "1024")
    assert server.stop() == 0


def run(*arguments, **more):
    return subprocess.run([str(BINARY), *map(str, arguments)], capture_output=True, text=True,
                          timeout=120, **more)


def test_start_up_errors_are_one_line_and_exit_code_1(tmp_path, start_server):
    (tmp_path / "empty.gguf").write_bytes(b"")
    (tmp_path / "bad.jinja").write_text("{% for %}")
    busy = start_server("-c", "1024")
    for arguments, words in [
        (["-m", "/nonexistent.gguf"], "/nonexistent.gguf"),
        (["-m", tmp_path / "empty.gguf"], "empty.gguf"),
        ([], "no model"),
        (["-m", SMOLLM2, "--port", "99999"], "port"),
        (["-m", SMOLLM2, "--temp", "warm"], "temp"),
        (["-m", SMOLLM2, "--port", busy.port], str(busy.port)),
        (["-m", SMOLLM2, "-ctk", "q3"], "cache-type-k"),
        (["-m", SMOLLM2, "--kv-memory", "much"], "kv-memory"),
        (["-m", SMOLLM2, "--kv-host-memory", "auto"], "kv-host-memory must be 0 or a size"),
        (["-m", SMOLLM2, "--chat-template", "nosuch"], "nosuch"),
        (["-m", SMOLLM2, "--chat-template-file", tmp_path / "bad.jinja"], "bad.jinja"),
        (["inspect", "-m", "/nonexistent.gguf"], "/nonexistent.gguf"),
    ]:
        if "--port" not in arguments:
            arguments = [*arguments, "--port", "0"]
        result = run(*arguments)
        assert result.returncode == 1, (arguments, result.stderr)
        errors = [line for line in result.stderr.splitlines() if "] E " in line]
        assert len(errors) == 1 and words in errors[0], (arguments, result.stderr)


def test_flags_that_callers_rely_on(start_server):
    server = start_server("--ctx-size=512", "-c", "1024", "-np", "4", "--nonsense", "7", "-ngl", "99", "--no-mmap",
                          "--alias=my-model", "--seed", "-1", "--verbosity", "3")
    with urllib.request.urlopen(server.url + "/v1/models") as reply:
        model = json.load(reply)["data"][0]
    assert model["id"] == "my-model"
    assert model["meta"]["n_ctx"] == 1024  # the last one counts, and nothing divides it
    assert model["meta"]["n_slot_ctx"] == 1024
    assert model["meta"]["n_slot"] == 4
    assert "--nonsense 7" in server.log() and "--no-mmap has no effect" in server.log()


def test_help_and_version():
    for flag in ("--help", "-h"):
        result = run(flag)
        assert result.returncode == 0 and "--ctx-size" in result.stdout
    assert run("--version").stdout.startswith("llama-box ")


def test_run_answers_in_the_terminal():
    result = run("run", "-m", SMOLLM2, "-c", "1024", "--temp", "0", "-n", "12", "Why is the sky blue?")
    assert result.returncode == 0 and "light" in result.stdout
    assert result.stderr == ""
    chat = run("run", "-m", SMOLLM2, "-c", "1024", "--temp", "0", "-n", "8",
               input="My name is Ada.\nWhat is my name?\n")
    assert chat.returncode == 0 and len(chat.stdout.strip().splitlines()) >= 2


def test_api_key_and_unix_socket(start_server, tmp_path):
    server = start_server("-c", "1024", "--api-key", "secret")
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(server, {"messages": []})
    assert caught.value.code == 401
    assert "secret" not in server.log()
    path = tmp_path / "box.sock"
    local = start_server("-c", "1024", "--host", path, wait=False)
    assert wait_for(path.exists, 30)

    def health():
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return sock.recv(65536)

    assert wait_for(lambda: health().startswith(b"HTTP/1.1 200"), 60)
    assert local.stop() == 0
    assert not path.exists()
