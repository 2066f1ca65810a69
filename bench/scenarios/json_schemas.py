#!/usr/bin/env python3
"""Structured output of many schemas: how many answers are instances, ours and llama.cpp's server.

    bench/scenarios/json_schemas.py [--model A.gguf] [--seeds 1] [--temperature 1] [--clients 8]
                                  [--threads N] [--limit 60] [--no-peer] [--list]

Asks each server for an answer to each schema of tests/e2e/structured/schemas.py, and judges it by the
`jsonschema` package: an instance, no instance (`wrong`), refused, cut off by the token limit, or `late`:
no answer within --limit seconds of its request, which is then given up.
The exit code is 1 if an answer of ours is wrong. --list names what was wrong or refused.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import json
import os
import sys

import jsonschema
import referencing.exceptions
from common import ROOT, SMOLLM2, Refused, machine, post
from peer import side_by_side

sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from structured.schemas import REFUSED, SCHEMAS  # noqa: E402


def judge(url, schema, seed, temperature, max_tokens, limit):
    body = {"messages": [{"role": "user", "content": "Give me an example, short."}], "seed": seed,
            "temperature": temperature, "max_tokens": max_tokens,
            "response_format": {"type": "json_schema", "json_schema": {"name": "it", "schema": schema}}}
    try:
        choice = post(url, "/v1/chat/completions", body, limit)["choices"][0]
    except Refused as refusal:
        return "refused", str(refusal)
    except TimeoutError:
        return "late", ""
    if choice["finish_reason"] == "length":
        return "cut off", choice["message"]["content"][-60:]
    try:
        jsonschema.validate(json.loads(choice["message"]["content"]), schema)
    except (jsonschema.ValidationError, json.JSONDecodeError, referencing.exceptions.Unresolvable) as fault:
        return "wrong", f"{choice['message']['content'][:200]}: {str(fault).splitlines()[0]}"
    return "instance", ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default=str(SMOLLM2))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--temperature", type=float, default=1)
    parser.add_argument("--max-tokens", type=int, default=400)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of both servers")
    parser.add_argument("--limit", type=float, default=3600, help="seconds that one answer may take")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--list", action="store_true", help="what was wrong or refused")
    args = parser.parse_args()
    # False is a schema, but no JSON object: llama.cpp's server takes it for none.
    cases = [(name, schema, "can be kept") for name, schema in SCHEMAS.items()]
    cases += [(name, schema, "cannot") for name, (schema, _) in REFUSED.items() if isinstance(schema, dict)]
    print(f"{len(cases)} schemas, {args.seeds} answers each at temperature {args.temperature}, "
          f"{args.model.rsplit('/', 1)[-1]}; {machine()}")
    bad = 0
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(args.clients) as pool:
        for server in side_by_side(stack, args, ctx=8192, parallel=args.clients):
            jobs = {}
            for name, schema, kind in cases:
                for seed in range(args.seeds):
                    jobs[pool.submit(judge, server.url, schema, seed, args.temperature,
                                     args.max_tokens, args.limit)] = (name, kind)
            counts = collections.Counter()
            for job in concurrent.futures.as_completed(jobs):
                name, kind = jobs[job]
                verdict, words = job.result()
                counts[kind, verdict] += 1
                if verdict == "wrong" and server.name == "llama-box":
                    bad += 1
                if verdict in ("wrong", "refused", "late") and args.list:
                    print(f"  {server.name}: {name}: {verdict}: {words[:300]}")
            for kind in ("can be kept", "cannot"):
                words = ", ".join(f"{counts[kind, v]} {v}" for v in ("instance", "wrong", "refused", "cut off", "late"))
                print(f"{server.name}, schemas that {kind}: {words}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
