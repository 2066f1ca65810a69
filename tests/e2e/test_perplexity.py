"""`llama-box perplexity` on a real model: flags of the cache and of the size of a chunk count, and mistakes are one line."""

import re
import subprocess

from conftest import BINARY, SMOLLM2

TEXT = " ".join(f"In {1900 + i} the {name} of the town was painted {colour} and stayed so for {i} years."
                for i, (name, colour) in enumerate([("bridge", "red"), ("tower", "blue"), ("old mill", "green"), ("school", "white"),
                                                    ("town hall", "grey"), ("station", "brown"), ("harbour gate", "black")]))


def perplexity(tmp_path, *flags):
    text = tmp_path / "text"
    text.write_text(TEXT)
    return subprocess.run([BINARY, "perplexity", "-m", SMOLLM2, "-f", text, *flags], capture_output=True, text=True, timeout=120)


def value(done):
    assert done.returncode == 0, done.stderr
    number, tokens = re.fullmatch(r"perplexity (\S+) \+- \S+ over (\d+) tokens\n", done.stdout).groups()
    return float(number), int(tokens)


def test_the_cache_has_the_type_that_was_asked_for(tmp_path):
    of = {kind: value(perplexity(tmp_path, "-c", "64", "-ctk", kind, "-ctv", kind))[0] for kind in ("f32", "q8_0", "fp8", "q4_0")}
    assert len(set(of.values())) == 4, of
    # What is rounded more is further from what is not rounded; SmolLM2 bears eight bits.
    off = {kind: abs(number / of["f32"] - 1) for kind, number in of.items()}
    assert off["q8_0"] < 0.02 and off["fp8"] < 0.1 and off["q8_0"] < off["q4_0"], of


def test_chunks_are_as_long_as_c_says(tmp_path):
    assert value(perplexity(tmp_path, "-c", "32"))[1] % 15 == 0
    short = perplexity(tmp_path)
    assert short.returncode == 1 and "needs a chunk of 512" in short.stderr


def test_mistakes_are_one_line(tmp_path):
    for flags in (["-ctk", "fp7"], ["-f", "/no/such/text"]):
        done = perplexity(tmp_path, *flags)
        assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1, done.stderr
