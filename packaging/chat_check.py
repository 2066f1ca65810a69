#!/usr/bin/env python3
"""Starts a server by a command, waits until it is ready, chats with it, ends it.

Usage: chat_check.py NAME MODEL COMMAND...     the model as the command sees it
"""
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(server, url, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.poll() is not None:
            sys.exit(f"the server ended with code {server.returncode}")
        try:
            with urllib.request.urlopen(url + "/health", timeout=5) as reply:
                if reply.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    sys.exit("the server was not ready in time")


def main():
    name, model, command = sys.argv[1], sys.argv[2], sys.argv[3:]
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log = tempfile.TemporaryFile()
    server = subprocess.Popen([*command, "-m", model, "-c", "2048", "--port", str(port)], stderr=log)
    try:
        wait_until_ready(server, url)
        body = {"messages": [{"role": "user", "content": "Why is the sky blue?"}], "max_tokens": 24, "temperature": 0}
        request = urllib.request.Request(url + "/v1/chat/completions", json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as reply:
            answer = json.load(reply)
        text = answer["choices"][0]["message"]["content"]
        if answer["usage"]["completion_tokens"] != 24 or "sky" not in text:
            sys.exit(f"{name} answered {answer}")
        server.send_signal(signal.SIGTERM)
        if server.wait(10) != 0:
            sys.exit(f"{name} ended with code {server.returncode}")
        print(f"{name} chats: {text!r}", flush=True)
    except SystemExit:
        log.seek(0)
        print(log.read().decode(errors="replace"), file=sys.stderr)
        raise
    finally:
        if server.poll() is None:
            server.kill()


main()
