#!/usr/bin/env python3
"""Calls that must come: how many of many requests with `tool_choice` required are answered by valid calls.

    bench/scenarios/tool_calls.py [--model A.gguf] [--requests 50] [--temperature 1] [--clients 4] [--threads N]

Every request gets some of the tools of tests/e2e/structured/tools.py and one of its questions, half of them
streamed, every fifth names the function. An answer is valid when it has calls, each of a tool that was given, whose
arguments follow the tool's schema by the `jsonschema` package, and the finish_reason says so.
The exit code is 1 if one is not.
"""

import argparse
import concurrent.futures
import json
import os
import random
import sys

from common import MODELS, ROOT, llama_box, machine, post, stream

sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from structured.tools import QUESTIONS, TOOLS, invalid  # noqa: E402


def body_of(index, temperature):
    pick = random.Random(index)
    tools = pick.sample(list(TOOLS.values()), pick.randint(1, len(TOOLS)))
    choice = "required"
    if index % 5 == 4:
        choice = {"type": "function", "function": {"name": pick.choice(tools)["function"]["name"]}}
    return {"messages": [{"role": "user", "content": QUESTIONS[index % len(QUESTIONS)]}], "tools": tools,
            "tool_choice": choice, "parallel_tool_calls": index % 3 == 0, "temperature": temperature,
            "seed": index, "max_tokens": 600, "stream": index % 2 == 1}


def calls_of(url, body):
    """([(name, arguments)], finish_reason), streamed or not."""
    if not body["stream"]:
        choice = post(url, "/v1/chat/completions", body)["choices"][0]
        calls = [call["function"] for call in choice["message"].get("tool_calls", [])]
        return [(call["name"], call["arguments"]) for call in calls], choice["finish_reason"]
    calls, reason = [], None
    for _, event in stream(url, "/v1/chat/completions", body):
        for choice in event["choices"]:
            reason = choice["finish_reason"] or reason
            for part in choice["delta"].get("tool_calls", []):
                if part["index"] == len(calls):
                    calls.append((part["function"]["name"], ""))
                name, arguments = calls[part["index"]]
                calls[part["index"]] = name, arguments + part["function"]["arguments"]
    return calls, reason


def judge(url, body):
    """What is wrong with the answer, or ""."""
    calls, reason = calls_of(url, body)
    if reason != "tool_calls":
        return f"finish_reason {reason}: {calls}"
    if not calls or (len(calls) > 1 and not body["parallel_tool_calls"]):
        return f"{len(calls)} calls"
    if isinstance(body["tool_choice"], dict):
        named = body["tool_choice"]["function"]["name"]
        if any(name != named for name, _ in calls):
            return f"{calls} instead of {named}"
    return "; ".join(filter(None, (invalid(call, body["tools"]) for call in calls)))


def run(url, requests, temperature, clients):
    """What was wrong with each request."""
    bodies = [body_of(i, temperature) for i in range(requests)]
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        return [fault for fault in pool.map(lambda body: judge(url, body), bodies) if fault]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default=str(MODELS / "Qwen2.5-Coder-0.5B-Instruct-Q4_K_M.gguf"))
    parser.add_argument("--requests", type=int, default=50)
    parser.add_argument("--temperature", type=float, default=1)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    print(f"{args.requests} requests at temperature {args.temperature}, {args.model.rsplit('/', 1)[-1]}; {machine()}")
    with llama_box(args.model, "-c", 16384, "--threads", args.threads) as server:
        faults = run(server.url, args.requests, args.temperature, args.clients)
    for fault in faults:
        print(f"  {json.dumps(fault, ensure_ascii=False)[:400]}")
    print(f"{args.requests - len(faults)} of {args.requests} answered by valid calls")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
