#!/usr/bin/env python3
"""How long a server takes from its start to a first token, with the model's file in the page cache.

Usage: bench/start_time.py MODEL.gguf [--runs 5] [-- FLAGS...]
Prints the median over the runs: until the socket is open, until /health says 200, until the first token of a chat
that was sent right then.
"""
import argparse
import http.client
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BINARY = pathlib.Path(os.environ.get("LLAMABOX_BUILD", ROOT / "build" / "release")) / "llama-box"
BODY = json.dumps({"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 1, "temperature": 0, "stream": True})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def status(port):
    """Of /health; None while nobody listens."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/health")
        return connection.getresponse().status
    except OSError:
        return None


def run_once(model, flags):
    port = free_port()
    start = time.monotonic()
    server = subprocess.Popen([str(BINARY), "-m", model, "--port", str(port), *flags], stderr=subprocess.DEVNULL)
    times = {}
    try:
        while "ready" not in times:
            if server.poll() is not None:
                raise SystemExit(f"the server ended with code {server.returncode}")
            seen = status(port)
            if seen is not None:
                times.setdefault("socket", time.monotonic() - start)
            if seen == 200:
                times["ready"] = time.monotonic() - start
            time.sleep(0.002)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        connection.request("POST", "/v1/chat/completions", BODY, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        while b'"content":"' not in (line := reply.readline()) or b'"content":""' in line:
            if not line:
                raise SystemExit("the stream ended without a token")
        times["first token"] = time.monotonic() - start
    finally:
        server.kill()
        server.wait()
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--runs", type=int, default=5)
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    args, flags = parser.parse_args(words[:split]), words[split + 1:]
    with open(args.model, "rb") as file:  # into the page cache
        while file.read(1 << 24):
            pass
    runs = [run_once(args.model, flags) for _ in range(args.runs)]
    for name in runs[0]:
        values = [run[name] for run in runs]
        print(f"{name:<12} {statistics.median(values):6.2f} s   ({min(values):.2f} to {max(values):.2f}, {len(values)} runs)")


main()
