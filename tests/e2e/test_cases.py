"""What users of servers like this one have met: one test for each case of our collection, by its
number, cut down to seconds. Cases whose subject has tests of its own are not repeated here. Those
about texts and chats are in test_cases_chat.py."""

import concurrent.futures
import random

from http_api import (CHAT, GREEDY, TEXT, chat, content, events, ok, post, request, text_of, tokens,
                      user)


def meta(server):
    return request(server, "GET", "/v1/models")[1]["data"][0]["meta"]


def test_c02_a_full_cache_is_no_end(start_server):
    server = start_server("-c", "512", "-np", "2")
    limit = meta(server)["n_slot_ctx"]
    probe = chat(server, "hi", max_tokens=8)
    assert post(server, TEXT, {"prompt": text_of(server, limit + 1)})[0] == 400
    long = text_of(server, limit * 6 // 10)
    body = {"prompt": long, "max_tokens": limit, "ignore_eos": True, **GREEDY}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: ok(server, TEXT, body), range(2)))
    assert [reply["choices"][0]["finish_reason"] for reply in both] == ["length"] * 2
    for i in range(8):
        ok(server, TEXT, {"prompt": f"{i} " + text_of(server, limit * 3 // 10), "max_tokens": 2})
    assert content(chat(server, "hi", max_tokens=8)) == content(probe)


def test_c03_answers_depend_on_the_request_only(start_server):
    server = start_server("-c", "4096", "-np", "8")
    words = random.Random(3)
    prompt = " ".join(words.choice(["sky", "tree", "runs", "blue", "and", "the"]) for _ in range(300))
    alone = start_server("-c", "4096", "-np", "1", "--no-cache-prompt")
    for more in ({}, {"temperature": 1, "top_p": 0.95, "seed": 7}):
        body = {"prompt": prompt, "max_tokens": 24, "logprobs": 1, **GREEDY, **more}
        want = ok(alone, TEXT, body)["choices"][0]
        for cut in (37, 256):
            ok(server, TEXT, {"prompt": prompt[:cut], "max_tokens": 2})
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            others = [pool.submit(ok, server, TEXT, {"prompt": f"Tale {i}", "max_tokens": 24})
                      for i in range(4)]
            same = [pool.submit(ok, server, TEXT, body) for _ in range(3)]
            got = [f.result()["choices"][0] for f in same]
            assert [f.result()["choices"][0]["finish_reason"] for f in others]
        for choice in got:
            assert choice["text"] == want["text"]
            assert choice["logprobs"] == want["logprobs"]


def test_c04_cached_tokens_are_never_odd(server):
    rng = random.Random(4)
    base = text_of(server, 200, " tree")
    answer = ok(server, TEXT, {"prompt": base, "max_tokens": 20, **GREEDY})["choices"][0]["text"]
    prompts = [base, base, base + answer + " and so on", base[:-1], base[:60], " tree", "", "other"]
    for i in range(24):
        prompt = rng.choice(prompts)
        body = {"prompt": prompt, "max_tokens": rng.choice([0, 1, 5]), **GREEDY}
        plain = ok(server, TEXT, body)["usage"]
        assert 0 <= plain["prompt_tokens_details"]["cached_tokens"] < plain["prompt_tokens"]
        assert plain["total_tokens"] == plain["prompt_tokens"] + plain["completion_tokens"]
        assert plain["prompt_tokens"] == max(1, len(tokens(server, prompt)))
        if i % 6 == 0:
            streamed = events(server, TEXT, {**body, "stream_options": {"include_usage": True}})
            for key in ("prompt_tokens", "completion_tokens", "total_tokens"):
                assert streamed[-1]["usage"][key] == plain[key]


def test_c06_sliding_windows_reuse_exactly(start_server, models):
    gemma = models("gemma-3-270m-q4_k_m.gguf")
    alone = start_server("-c", "2048", "-np", "1", "--no-cache-prompt", model=gemma)
    server = start_server("-c", "4096", "-np", "4", model=gemma)
    base = " ".join(f"{i} and" for i in range(260))
    count = len(tokens(server, base, add_special=True))
    assert count > 2 * 512  # windows
    cut = len(base) * 2 // 3
    prompts = [base, base + " then more", base[:cut] + " another way", base[:cut // 2]]
    for place, prompt in enumerate(prompts):
        body = {"prompt": prompt, "max_tokens": 8, **GREEDY}
        reply = ok(server, TEXT, body)
        assert reply["choices"][0]["text"] == ok(alone, TEXT, body)["choices"][0]["text"]
        cached = reply["usage"]["prompt_tokens_details"]["cached_tokens"]
        assert 0 <= cached < reply["usage"]["prompt_tokens"]
        if place == 1:
            assert cached > 0.9 * count


def test_c09_the_limit_is_told_and_exact(start_server):
    server = start_server("-c", "512", "-np", "4")
    limit, pool = meta(server)["n_slot_ctx"], meta(server)["n_ctx"]
    assert "512" in server.log()
    for count in (limit - 1, limit, limit + 1, pool, pool + 1, 10 * pool):
        prompt = text_of(server, count)
        for stream in (False, True):
            status, reply = post(server, TEXT, {"prompt": prompt, "max_tokens": 1, "stream": stream})
            if count < limit:
                assert status == 200
                if not stream:
                    assert reply["usage"]["prompt_tokens"] == count
                continue
            assert status == 400 and reply["error"]["code"] == "context_length_exceeded"
            assert reply["error"]["type"] == "exceed_context_size_error"
            assert reply["error"]["n_prompt_tokens"] >= reply["error"]["n_ctx"] > 0
            assert str(limit) in reply["error"]["message"]
            assert "ctx-size" in reply["error"]["message"]


def test_c10_the_end_of_the_context_is_an_ordinary_end(start_server):
    server = start_server("-c", "256", "-np", "1")
    limit = meta(server)["n_slot_ctx"]
    prompt = text_of(server, limit - 40)
    for wish in (None, 0, 1, 39, 40, 41, 100000, -1):
        body = {"prompt": prompt, "ignore_eos": True, **GREEDY}
        if wish is not None:
            body["max_tokens"] = wish
        plain = ok(server, TEXT, body)
        want = 40 if wish is None or wish < 0 else min(wish, 40)
        assert plain["usage"]["completion_tokens"] == want
        assert plain["choices"][0]["finish_reason"] == "length"
        streamed = events(server, TEXT, body)
        assert "".join(e["choices"][0]["text"] for e in streamed) == plain["choices"][0]["text"]


NUMBERS = ["max_tokens", "max_completion_tokens", "n_predict", "n", "seed", "top_k", "top_p", "min_p",
           "typical_p", "temperature", "repeat_penalty", "repeat_last_n", "presence_penalty",
           "frequency_penalty", "dry_multiplier", "dry_base", "dry_allowed_length",
           "dry_penalty_last_n", "mirostat", "mirostat_tau", "mirostat_eta", "top_logprobs",
           "top_n_sigma", "xtc_probability", "xtc_threshold", "dynatemp_range", "dynatemp_exponent",
           "n_keep", "n_discard", "n_probs", "thinking_budget", "t_max_predict_ms", "id_slot"]
ODD = [-1, 0, 1, -2**31, 2**31 - 1, 2**63, 1e308, -0.0, 0.5, "5", True, None, []]


def test_c11_no_number_hurts(start_server):
    server = start_server("-c", "256")
    before = chat(server, "hi", max_tokens=8)

    def one(case):
        name, value, path = case
        body = {"messages": user("hi"), "prompt": "hi", "max_tokens": 2, "n_predict": 2, name: value}
        if name in ("max_completion_tokens", "n"):
            body["max_tokens"] = 2
        status, reply = post(server, path, body)
        assert status in (200, 400), (case, reply)
        if status == 400:
            assert reply["error"]["param"] == name, (case, reply)
            assert name in reply["error"]["message"]

    cases = [(name, value, CHAT if name != "n_probs" else "/completion")
             for name in NUMBERS for value in ODD if not (name == "n" and value == 1)]
    for path, body in [("/detokenize", {"tokens": [10**9]}), ("/detokenize", {"tokens": [-1]}),
                       (TEXT, {"prompt": [10**9]}), (TEXT, {"prompt": [2**63]}),
                       (CHAT, {"messages": user("hi"), "logit_bias": {str(2**70): 1}}),
                       (CHAT, {"messages": user("hi"), "logit_bias": {"5": 1e308}})]:
        assert post(server, path, body)[0] == 400
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(one, cases))
    assert content(chat(server, "hi", max_tokens=8)) == content(before)
    # Each off switch is one: hot and uncut, nearly every draw is another token.
    hot = {"temperature": 1e6, "top_k": 0, "top_p": 1, "min_p": 0, "repeat_penalty": 1}
    reply = ok(server, "/completion", {"prompt": "A", "n_predict": 60, "n": 2, "seed": 1,
                                       "return_tokens": True, **hot})
    assert len({token for one in reply for token in one["tokens"]}) > 100
    greedy = ok(server, TEXT, {"prompt": "A", "max_tokens": 6, **GREEDY})
    for more in ({"top_p": 0, "temperature": 1}, {"top_k": 1, "temperature": 1}):
        assert ok(server, TEXT, {"prompt": "A", "max_tokens": 6, **more})["choices"][0]["text"] == \
            greedy["choices"][0]["text"]


def test_c12_n_is_independent_of_parallel(start_server):
    server = start_server("-c", "2048", "-np", "2")
    body = {"messages": user("Tell me a story."), "n": 5, "seed": 1, "temperature": 1,
            "max_tokens": 12}
    one, two = ok(server, CHAT, body), ok(server, CHAT, body)
    texts = [choice["message"]["content"] for choice in one["choices"]]
    assert [choice["index"] for choice in one["choices"]] == list(range(5))
    assert texts == [choice["message"]["content"] for choice in two["choices"]]
    assert len(set(texts)) >= 4
    single = ok(server, CHAT, {**body, "n": 1})
    assert one["usage"]["prompt_tokens"] == single["usage"]["prompt_tokens"]
    assert one["usage"]["completion_tokens"] == 60
    equal = ok(server, CHAT, {**body, "temperature": 0})
    assert len({choice["message"]["content"] for choice in equal["choices"]}) == 1
    streamed = {}
    ends = []
    for event in events(server, CHAT, body):
        for choice in event["choices"]:
            streamed.setdefault(choice["index"], "")
            streamed[choice["index"]] += choice["delta"].get("content") or ""
            if choice["finish_reason"]:
                ends.append(choice["index"])
    assert [streamed[i] for i in range(5)] == texts and sorted(ends) == list(range(5))
    many = ok(server, TEXT, {"prompt": ["a", "b", "c"], "n": 2, "max_tokens": 3, **GREEDY})
    alone = [ok(server, TEXT, {"prompt": p, "max_tokens": 3, **GREEDY})["choices"][0]["text"]
             for p in "abc"]
    assert [choice["text"] for choice in many["choices"]] == [t for t in alone for _ in range(2)]


def test_c13_characters_are_whole(server):
    # A prompt that a small model goes on repeating.
    prompt = "ab😀👍🏽你好é ab😀👍🏽你好é ab😀👍🏽你好é ab"
    for count in (*range(1, 12), 17, 25):
        body = {"prompt": prompt, "max_tokens": count, "logprobs": 0, **GREEDY}
        plain = ok(server, TEXT, body)["choices"][0]
        streamed = events(server, TEXT, body)
        assert "".join(e["choices"][0]["text"] for e in streamed) == plain["text"]
        assert all("\ufffd" not in e["choices"][0]["text"] for e in streamed[:-2])
        assert "\ufffd" not in plain["text"].rstrip("\ufffd")
        spelled = b""
        for token in plain["logprobs"]["tokens"]:
            spelled += (bytes(int(x, 16) for x in token[6:].split("\\x")[1:])
                        if token.startswith("bytes:\\x") else token.encode())
        assert spelled.decode(errors="replace") == plain["text"]
    whole = ok(server, TEXT, {"prompt": prompt, "max_tokens": 30, **GREEDY})["choices"][0]["text"]
    assert "😀" in whole
    cut = ok(server, TEXT, {"prompt": prompt, "max_tokens": 30, "stop": ["😀"], **GREEDY})
    assert cut["choices"][0]["text"] == whole[:whole.index("😀")]
    assert cut["choices"][0]["finish_reason"] == "stop"


def test_c14_stop_strings_straddle_tokens(server):
    body = {"prompt": "The capital of France is", "max_tokens": 24, "ignore_eos": True, **GREEDY}
    whole = ok(server, TEXT, body)["choices"][0]["text"]
    stops = [[whole[7:13]], ["zzz", whole[4:9]], [whole + "!"], [whole[3]], [""], [whole],
             [whole[5:10], whole[8:14]], ["x" * 400]]
    for stop in stops:
        ends = [(whole.index(s) + len(s), -len(s)) for s in stop if s and s in whole]
        want = whole if not ends else whole[:min(ends)[0] + min(ends)[1]]
        plain = ok(server, TEXT, {**body, "stop": stop})["choices"][0]
        assert plain["text"] == want
        assert plain["finish_reason"] == ("stop" if ends else "length")
        streamed = events(server, TEXT, {**body, "stop": stop})
        assert "".join(e["choices"][0]["text"] for e in streamed) == want
    assert post(server, TEXT, {**body, "stop": ["x"] * 65})[0] == 400
    assert post(server, TEXT, {**body, "stop": ["x" * 4097]})[0] == 400
