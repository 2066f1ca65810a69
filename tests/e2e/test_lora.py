"""LoRA adapters as clients and operators meet them: case C05 of our collection (a cached prefix must never
be that of another adapter), the endpoints, and files that are none of this model's.

The adapters are random ones of SmolLM2's size, which change its answers without spoiling them.
"""

import concurrent.futures
import itertools
import random
import subprocess

import gguf
import numpy as np
import pytest
from conftest import BINARY, SMOLLM2
from http_api import CHAT, GREEDY, TEXT, events, ok, post, request, text_of, user

WIDTH, KV_WIDTH, FFN, LAYERS = 576, 192, 1536, 30


def write_adapter(path, seed, rank=8, arch="llama", ffn=FFN, without=()):
    rng = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(str(path), arch)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 2.0 * rank)
    for layer in range(LAYERS):
        for name, rows, cols in (("attn_q", WIDTH, WIDTH), ("attn_v", KV_WIDTH, WIDTH),
                                 ("ffn_down", WIDTH, ffn)):
            halves = {"lora_a": rng.standard_normal((rank, cols)) / cols**0.5,
                      "lora_b": rng.standard_normal((rows, rank)) * 0.04}
            for half, data in halves.items():
                tensor = f"blk.{layer}.{name}.weight.{half}"
                if tensor not in without:
                    writer.add_tensor(tensor, data.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module")
def adapters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lora")
    return [write_adapter(folder / f"{name}.gguf", seed) for seed, name in enumerate("ab")]


def lora(*pairs):
    return {"lora": [{"id": adapter, "scale": scale} for adapter, scale in pairs]}


# None: the field is not there.
SETS = {"none": {}, "empty": lora(), "a": lora((0, 1)), "b": lora((1, 1)), "half a": lora((0, 0.5)),
        "both": lora((0, 1), (1, 1)), "zero": lora((0, 0), (1, 0))}
WITHOUT = {"none", "empty", "zero"}


def answer(server, prompt, more, **rest):
    """The text with its log probabilities, in which a wrong adapter shows where the words are the same."""
    reply = ok(server, TEXT, {"prompt": prompt, "max_tokens": 16, "logprobs": 1, **GREEDY, **more, **rest})
    return ([(choice["text"], *choice["logprobs"]["token_logprobs"]) for choice in reply["choices"]],
            reply["usage"]["prompt_tokens_details"]["cached_tokens"])


def test_c05_adapters_share_no_prefix(start_server, adapters):
    flags = ("-c", "8192", "--lora", adapters[0], "--lora", adapters[1], "--lora-init-without-apply")
    alone = start_server(*flags, "-np", "1", "--no-cache-prompt")
    words = random.Random(5)
    prompt = " ".join(words.choice(["sky", "tree", "runs", "blue", "and", "the"]) for _ in range(300))
    want = {name: answer(alone, prompt, more)[0] for name, more in SETS.items()}
    assert len({tuple(want[name]) for name in SETS if name not in WITHOUT}) == 4
    assert len({tuple(want[name]) for name in WITHOUT}) == 1
    assert tuple(want["none"]) not in {tuple(want[n]) for n in SETS if n not in WITHOUT}
    plain = start_server("-c", "8192", "-np", "2")
    assert answer(plain, prompt, {})[0] == want["none"]
    alone.stop()
    plain.stop()

    for order in (list(SETS), list(reversed(SETS))):
        server = start_server(*flags, "-np", "2")
        seen = set()
        for name in order + order[::2] + order:
            text, cached = answer(server, prompt, SETS[name])
            key = "none" if name in WITHOUT else name
            assert text == want[name], (order, name)
            assert (cached > 0) == (key in seen), (order, name, cached)
            seen.add(key)
        # Two at once, each pair, on a warm cache and (another prompt) on a cold one.
        for one, two in itertools.combinations(SETS, 2):
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                both = list(pool.map(lambda n: answer(server, prompt, SETS[n])[0], (one, two)))
            assert both == [want[one], want[two]], (one, two)
        server.stop()


def test_c05_unknown_adapters_are_named(start_server, adapters):
    server = start_server("-c", "2048", "--lora", f"{adapters[0]},{adapters[1]}")
    for value, param, words in (
            ([{"id": 9, "scale": 1}], "lora[0].id", "0 to 1"),
            ([{"id": -1, "scale": 1}], "lora[0].id", "0 to 1"),
            ([{"scale": 1}], "lora[0].id", "missing"),
            ([{"id": 0}], "lora[0].scale", "number"),
            ([{"id": 0, "scale": "x"}], "lora[0].scale", "number"),
            ([{"id": 0, "scale": 1e9}], "lora[0].scale", "10000"),
            ([{"id": 0, "scale": 1}, {"id": 0, "scale": 2}], "lora[1].id", "twice"),
            ([7], "lora[0]", "object"), ({"id": 0}, "lora", "list")):
        for path, body in ((TEXT, {"prompt": "x"}), (CHAT, {"messages": user("x")}),
                           ("/completion", {"prompt": "x"})):
            status, reply = post(server, path, {**body, "max_tokens": 1, "lora": value})
            assert status == 400, (path, value, reply)
            assert reply["error"]["param"] == param, reply
            assert words in reply["error"]["message"], reply
    bare = start_server("-c", "2048")
    assert request(bare, "GET", "/lora-adapters")[1] == []
    assert ok(bare, TEXT, {"prompt": "x", "max_tokens": 1, "lora": []})
    assert post(bare, TEXT, {"prompt": "x", "lora": [{"id": 0, "scale": 1}]})[0] == 400


def test_the_scales_of_the_server(start_server, adapters):
    server = start_server("-c", "4096", "--lora-scaled", adapters[0], "0.5", "--lora", adapters[1])
    prompt = text_of(server, 60, " tree and river")

    def listed():
        return {entry["id"]: entry["scale"] for entry in request(server, "GET", "/lora-adapters")[1]}

    listing = request(server, "GET", "/lora-adapters")[1]
    assert [entry["path"] for entry in listing] == [str(path) for path in adapters]
    assert listed() == {0: 0.5, 1: 1.0}
    assert answer(server, prompt, {}) [0] == answer(server, prompt, lora((0, 0.5), (1, 1)))[0]
    settings = ok(server, "/completion", {"prompt": "x", "n_predict": 1})["generation_settings"]
    assert settings["lora"] == [{"id": 0, "scale": 0.5}, {"id": 1, "scale": 1.0}]
    assert ok(server, "/lora-adapters", [{"id": 1, "scale": 0.25}]) == {"success": True}
    assert listed() == {0: 0.0, 1: 0.25}
    assert answer(server, prompt, {})[0] == answer(server, prompt, lora((1, 0.25)))[0]
    assert answer(server, prompt, {})[0] != answer(server, prompt, lora())[0]
    for bad in ({"id": 0, "scale": 1}, [{"id": 2, "scale": 1}], [{"id": 0, "scale": None}], [1], "x"):
        assert post(server, "/lora-adapters", bad)[0] == 400, bad
    assert listed() == {0: 0.0, 1: 0.25}
    assert ok(server, "/lora-adapters", []) == {"success": True}
    assert listed() == {0: 0.0, 1: 0.0}
    assert answer(server, prompt, {})[0] == answer(server, prompt, lora())[0]


def test_n_chats_streams_and_guesses_with_adapters(start_server, adapters):
    server = start_server("-c", "8192", "--lora", adapters[0], "--lora", adapters[1],
                          "--lookup-ngram-min", "2", "--model-draft", SMOLLM2)
    slow = start_server("-c", "8192", "--lora", adapters[0], "--lora", adapters[1], "-np", "1",
                        "--no-cache-prompt")
    body = {"messages": user("Name three rivers and say the names again."), "max_tokens": 24,
            "temperature": 1, "seed": 5}
    for more in (lora(), lora((0, 1)), lora((1, 0.75))):
        one = [ok(slow, CHAT, {**body, **more, "seed": 5 + i})["choices"][0]["message"]["content"]
               for i in range(3)]
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            three = pool.submit(ok, server, CHAT, {**body, **more, "n": 3})
            others = [pool.submit(ok, server, CHAT, {**body, **other}) for other in (lora(), lora((0, 1)))]
            assert [c["message"]["content"] for c in three.result()["choices"]] == one
            assert all(other.result()["choices"] for other in others)
        parts = [event["choices"][0]["delta"].get("content") or ""
                 for event in events(server, CHAT, {**body, **more}) if event["choices"]]
        assert "".join(parts) == one[0]


def test_a_prompt_cache_file_is_for_its_adapters(start_server, adapters, tmp_path):
    file = tmp_path / "prompts.cache"
    flags = ("-c", "2048", "--prompt-cache-file", file)
    first = start_server(*flags, "--lora", adapters[0])
    prompt = text_of(first, 200)
    want, cached = answer(first, prompt, {})
    assert cached == 0 and first.stop() == 0
    again = start_server(*flags, "--lora", adapters[0])
    assert answer(again, prompt, {}) == (want, 192)
    assert answer(again, prompt, lora())[1] == 0
    assert again.stop() == 0
    for other in (("--lora", adapters[1]), ("--lora-scaled", f"{adapters[0]}:0.5"), ()):
        server = start_server(*flags, *other)
        assert answer(server, prompt, {})[1] == 0
        server.process.kill()


def test_what_is_no_adapter_of_the_model_ends_the_start(adapters, tmp_path, models):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(adapters[0].read_bytes()[:5000])
    other_arch = write_adapter(tmp_path / "qwen.gguf", 3, arch="qwen2")
    other_shape = write_adapter(tmp_path / "wide.gguf", 3, ffn=2048)
    half = write_adapter(tmp_path / "half.gguf", 3, without=("blk.7.attn_q.weight.lora_b",))
    for flags, words in (
            (("--lora", tmp_path / "missing.gguf"), "missing.gguf"),
            (("--lora", broken), "broken.gguf"),
            (("--lora", SMOLLM2), "general.type is"),
            (("--lora", other_arch), 'general.architecture is "qwen2", not "llama"'),
            (("--lora", other_shape), "2048 x 8"),
            (("--lora", half), "blk.7.attn_q.weight: has .lora_a and no .lora_b"),
            (("--lora",), "--lora needs a file"),
            (("--lora-scaled", adapters[0]), "FILE SCALE"),
            (("--lora-scaled", adapters[0], "1e9"), "FILE SCALE")):
        done = subprocess.run([str(BINARY), "-m", str(SMOLLM2), "--port", "0", *map(str, flags)],
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1, (flags, done.stderr)
        assert words in done.stderr, (flags, done.stderr)
        assert "panic" not in done.stderr and len(done.stderr.splitlines()) < 12
