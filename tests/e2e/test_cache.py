"""The KV cache as clients and operators see it: a file that outlives the process, GET /kv, metrics, reuse,
context shift, sizes."""

import json
import re
import threading
import time
import urllib.error
import urllib.request

import pytest

from http_api import wait_for

STORY = "Once upon a time a fox lived in a wood with its seven cubs. " * 20


def post(server, body, path="/v1/chat/completions"):
    request = urllib.request.Request(server.url + path, json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as reply:
        return json.load(reply)


def get(server, path):
    with urllib.request.urlopen(server.url + path, timeout=10) as reply:
        return reply.read().decode()


def metrics(server):
    """Values by name with its labels, as the page has them."""
    lines = [line.rsplit(" ", 1) for line in get(server, "/metrics").splitlines() if line[0] != "#"]
    return {name: float(value) for name, value in lines}


def ask(server, text=STORY, **more):
    return post(server, {"messages": [{"role": "user", "content": text}], "max_tokens": 12,
                         "temperature": 0, **more})


def cached(reply):
    return reply["usage"]["prompt_tokens_details"]["cached_tokens"]


def words(reply):
    return [choice["message"]["content"] for choice in reply["choices"]]


def lines_with(server, text):
    return [line for line in server.log().splitlines() if text in line]


def test_prompt_cache_file_outlives_the_process(start_server, tmp_path):
    path = tmp_path / "prompts.cache"
    flags = ("-c", "2048", "--prompt-cache-file", path)
    first = start_server(*flags)
    before = ask(first)
    assert cached(before) == 0
    assert first.stop() == 0
    assert path.stat().st_size > 100_000

    second = start_server(*flags)
    after = ask(second)
    prompt = after["usage"]["prompt_tokens"]
    assert cached(after) == (prompt - 1) // 16 * 16
    assert words(after) == words(before)
    assert second.stop() == 0

    # Another KV type, and a flipped bit: one line, an empty cache, the same words.
    other = start_server(*flags, "-ctk", "q8_0")
    assert cached(ask(other)) == 0
    assert len(lines_with(other, "another model, KV type or version")) == 1
    other.process.kill()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    broken = start_server(*flags)
    answer = ask(broken)
    assert cached(answer) == 0 and words(answer) == words(before)
    assert len(lines_with(broken, "checksum")) == 1
    assert broken.stop() == 0
    mended = start_server(*flags)  # the damaged one was replaced
    assert cached(ask(mended)) > 0


def test_prompt_cache_file_never_writes_over_something_else(start_server, tmp_path):
    path = tmp_path / "thesis.txt"
    path.write_text("three years of work")
    server = start_server("-c", "1024", "--prompt-cache-file", path)
    ask(server, "Hello")
    assert server.stop() == 0
    assert path.read_text() == "three years of work"
    assert len(lines_with(server, "not a prompt cache")) == 1


def test_no_cache_prompt(start_server, tmp_path):
    server = start_server("-c", "2048", "--no-cache-prompt", "--prompt-cache-file", tmp_path / "x")
    assert cached(ask(server)) == 0
    assert cached(ask(server)) == 0
    assert json.loads(get(server, "/kv"))["tree"]["blocks"] == 0
    assert server.stop() == 0
    assert not (tmp_path / "x").exists()


def test_counters_of_known_requests(start_server):
    server = start_server("-c", "4096")
    whole = ask(server)
    prompt = whole["usage"]["prompt_tokens"]
    shared = (prompt - 1) // 16 * 16
    again = ask(server)
    assert cached(again) == shared
    private = ask(server, cache_prompt=False)  # neither reads ...
    assert cached(private) == 0
    ask(server, "A secret of nobody else's business, told at some length to fill a block or two.",
        cache_prompt=False)
    fresh = ask(server, "A secret of nobody else's business, told at some length to fill a block or two.")
    assert cached(fresh) <= 32  # ... nor feeds: no more than the beginning of the template
    assert words(whole) == words(again) == words(private)
    other = fresh["usage"]["prompt_tokens"]

    # Four answers to one prompt: one computes it, three wait for it and share its blocks.
    text = "Numbers: " + ", ".join(str(i) for i in range(150))
    four = ask(server, text, n=4)
    size = four["usage"]["prompt_tokens"]
    assert len(set(words(four))) == 1
    assert cached(four) < 64  # nobody had asked for it; the beginning of the template is known
    rest = size - (size - 1) // 16 * 16
    stop = ask(server, text, stop=[words(four)[0][8:16]])
    assert stop["choices"][0]["finish_reason"] == "stop"

    def finished():
        values = metrics(server)
        return [values[f'vllm:request_success_total{{finished_reason="{r}"}}'] for r in ("stop", "length")]

    # The reply to a stop string does not wait for the engine's step.
    assert wait_for(lambda: sum(finished()) == 10)
    assert finished()[0] >= 1 and sum(finished()) == 10
    values = metrics(server)
    answers = [r["usage"]["completion_tokens"] for r in (whole, again, private, fresh, fresh, four)]
    prompts = 3 * prompt + 2 * other + 5 * size
    computed = (prompt + (prompt - shared) + prompt + other + (other - cached(fresh)) +
                (size - cached(four)) + 3 * rest + rest)
    assert values["vllm:prompt_tokens_total"] == prompts
    assert values["llamabox:prompt_tokens_computed_total"] == computed
    assert values["llamabox:prompt_tokens_cached_total"] == prompts - computed
    assert values["vllm:prefix_cache_queries_total"] == prompts
    assert values["vllm:prefix_cache_hits_total"] == prompts - computed
    assert values["llamabox:requests_cancelled_total"] == 0
    assert values["vllm:generation_tokens_total"] >= sum(answers)
    assert values["vllm:num_requests_running"] == values["vllm:num_requests_waiting"] == 0
    for name in ("vllm:request_queue_time_seconds", "vllm:time_to_first_token_seconds",
                 "vllm:e2e_request_latency_seconds", "vllm:request_prefill_time_seconds"):
        assert values[name + "_count"] == 10, name
        assert values[name + '_bucket{le="+Inf"}'] == 10, name
    assert values["vllm:e2e_request_latency_seconds_sum"] >= values["vllm:time_to_first_token_seconds_sum"] > 0
    states = [values[f'llamabox:kv_blocks{{state="{s}"}}'] for s in ("free", "cached", "used")]
    assert sum(states) == 4096 / 16 and states[2] == 0

    kv = json.loads(get(server, "/kv"))
    assert kv["pool_tokens"] == 4096 and kv["block_tokens"] == 16
    assert kv["groups"][0]["blocks"] == {"total": 256, "free": states[0], "cached": states[1], "used": 0}
    assert kv["groups"][0]["bytes"] == 256 * kv["groups"][0]["bytes_per_block"]
    assert kv["sequences"] == []
    nodes = kv["tree"]["nodes"]
    assert sum(node["tokens"] for node in nodes) == kv["tree"]["tokens"] == 16 * states[1]
    for node in nodes:
        assert all(nodes[child]["parent"] == node["id"] for child in node["children"])
    assert max(node["hits"] for node in nodes) >= 3


def test_kv_answers_while_prompts_are_computed(start_server):
    server = start_server("-c", "8192", "--parallel", "1")
    bodies = ["".join(f"{i} words of story {j}. " for i in range(120)) for j in range(2)]
    workers = [threading.Thread(target=ask, args=(server, text), kwargs={"max_tokens": 100, "ignore_eos": True})
               for text in bodies]
    for worker in workers:
        worker.start()
    seen = set()
    while any(worker.is_alive() for worker in workers):
        kv = json.loads(get(server, "/kv"))
        for sequence in kv["sequences"]:
            seen.add(sequence["status"])
            assert sequence["computed"] <= sequence["tokens"]
            assert sequence["blocks"][0] * 16 >= sequence["computed"]
        used = sum(s["blocks"][0] for s in kv["sequences"])
        assert used == kv["groups"][0]["blocks"]["used"]
        assert "story" not in json.dumps(kv)
        time.sleep(0.02)
    assert seen == {"running", "waiting"}


def test_context_shift_only_when_asked_for_and_told(start_server):
    plain = start_server("-c", "256")
    body = {"max_tokens": 500, "ignore_eos": True}
    reply = ask(plain, "Count for ever.", **body)
    assert reply["choices"][0]["finish_reason"] == "length" and "context_shift" not in reply
    assert reply["usage"]["total_tokens"] == 256
    plain.stop()

    server = start_server("-c", "256", "--context-shift", "--keep", "20", "--verbosity", "3")
    reply = ask(server, "Count for ever.", **body)
    assert reply["usage"]["completion_tokens"] == 500
    # Full at 256 tokens, then again after each 118 that a shift has dropped.
    times = -(-(reply["usage"]["prompt_tokens"] + 500 - 256) // 118)
    assert reply["context_shift"] == {"times": times, "dropped_tokens": 118 * times}
    assert len(lines_with(server, "kv shift ")) == times
    assert metrics(server)["llamabox:context_shift_dropped_tokens_total"] == 118 * times
    with urllib.request.urlopen(server.url + "/v1/models") as models:
        assert json.load(models)["data"][0]["meta"]["ctx_shift"] is True

    request = urllib.request.Request(
        server.url + "/v1/chat/completions",
        json.dumps({"messages": [{"role": "user", "content": "Count for ever."}], "temperature": 0,
                    "stream": True, "n_keep": 20, **body}).encode())
    with urllib.request.urlopen(request, timeout=120) as stream:
        events = [json.loads(line[6:]) for line in stream if line.startswith(b"data: {")]
    told = [event["context_shift"] for event in events if "context_shift" in event]
    assert told == [reply["context_shift"]]
    text = "".join(e["choices"][0]["delta"].get("content") or "" for e in events if e["choices"])
    assert text == words(reply)[0]


def test_what_can_never_fit_is_refused_with_the_numbers(start_server):
    server = start_server("-c", "256")
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(server)
    assert caught.value.code == 400
    error = json.load(caught.value)["error"]
    assert error["code"] == "context_length_exceeded"
    assert re.search(r"the prompt has \d+ tokens.* 256 .*--ctx-size", error["message"]), error


def test_on_the_cpu_a_host_tier_is_none(start_server):
    server = start_server("-c", "512", "-ngl", "0", "--kv-host-memory", "100M")
    assert len(lines_with(server, "--kv-host-memory does nothing: on the CPU")) == 1
    assert json.loads(get(server, "/kv"))["host"]["total"] == 0
    assert "kv_host" not in get(server, "/metrics")


def test_sizes_that_cannot_work_are_refused_at_start(start_server):
    for flags, message in [
        (("-c", "100000000"), r"KV pool of 100000000 tokens of 23040 bytes .* this machine has"),
        (("-c", "8192", "--kv-memory", "90M"), r"8192 tokens .* 180.0 MiB, and --kv-memory allows 90.0 MiB"),
        (("--kv-memory", "100K"), r"--kv-memory of 0.1 MiB gives 0 KV tokens of 23040 bytes"),
    ]:
        server = start_server(*flags, wait=False)
        assert server.process.wait(60) == 1
        errors = [line for line in server.log().splitlines() if "] E " in line]
        assert len(errors) == 1 and re.search(message, errors[0]), server.log()
    server = start_server("-c", "8192", "-ctk", "q8_0", "-ctv", "q4_0")
    line = lines_with(server, "KV cache:")
    assert len(line) == 1 and "8192 tokens in 512 blocks" in line[0] and "longest request 8192" in line[0]
