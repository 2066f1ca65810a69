"""`llama-box inspect` tells what is in a file, whether this program can run it, and what fits on this machine."""

import re
import subprocess

import gguf


def inspect(binary, path):
    result = subprocess.run([str(binary), "inspect", "-m", str(path)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_shape_template_and_what_fits(binary, models):
    text = inspect(binary, models("SmolLM2-135M-Instruct.Q4_1.gguf"))
    for words in ["Shape (llama)", "layers      30", "width       576, feed-forward 1536", "9 heads, 3 of keys and values, of 64 and 64 values",
                  "vocabulary  49152", "context     8192 tokens", "{{'<|im_start|>' + message['role']"]:
        assert words in text, words
    # A token's K and V: 30 layers of 3 heads of 64 values each, twice.
    rows = re.findall(r"^  (F16|Q8_0|Q4_0) +(\d+) +(\d+)  (\d+)$", text, re.M)
    assert [(name, int(size)) for name, size, _, _ in rows] == [("F16", 23040), ("Q8_0", 12240), ("Q4_0", 6480)]
    tokens = [int(count) for _, _, count, _ in rows]
    assert tokens == sorted(tokens) and all(count % 16 == 0 for count in tokens)
    cache = re.search(r"without -c a server here makes a cache of (\d+) tokens", text)
    assert int(cache[1]) <= tokens[0]


def test_windows_and_vectors(binary, models):
    assert "window      512 tokens in 15 of the layers" in inspect(binary, models("gemma-3-270m-q4_k_m.gguf"))
    encoder = inspect(binary, models("all-MiniLM-L6-v2.f16.gguf"))
    assert "it makes vectors of 384 values, no answers" in encoder and "texts of up to 512 tokens" in encoder


def test_a_model_that_cannot_be_run_is_shown_all_the_same(binary, tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "mamba.gguf", "mamba")
    writer.add_chat_template("line one\nand \x1b[2J two")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    text = inspect(binary, tmp_path / "mamba.gguf")
    assert "Chat template\n  line one\n  and \\x1b[2J two\n" in text
    assert re.search("This program cannot run it: .*mamba", text)
