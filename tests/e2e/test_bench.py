"""`llama-box bench` on a real model: every row is there, with a limit, and the memory it took is what was promised."""

import json
import subprocess

from conftest import BINARY, SMOLLM2


def bench(*flags):
    return subprocess.run([BINARY, "bench", "-m", SMOLLM2, *flags], capture_output=True, text=True, timeout=120)


def test_rows_and_memory():
    done = bench("-p", "32", "-n", "2", "-r", "1", "--streams", "1,4", "--depth", "0,64", "--json")
    assert done.returncode == 0, done.stderr
    machine, load, *rows = (json.loads(line) for line in done.stdout.splitlines())
    assert machine["read_gbs"] > 0.1
    assert load["file_bytes"] == SMOLLM2.stat().st_size
    assert 0 < load["peak_bytes"] <= load["file_bytes"] + load["kv_bytes"] + 250 * 2**20
    assert [(r["test"], r["streams"], r["depth"]) for r in rows] == [
        ("prefill", 1, 0), ("decode", 1, 0), ("decode", 4, 0), ("decode", 1, 64)]
    for row in rows:
        assert row["min"] <= row["tokens_per_second"] <= row["max"]
        assert row["limit"] > 0 and row["wall"] in ("memory", "compute")


def test_bad_flags_are_one_line():
    for flags in (["--streams", "0"], ["--depth", "x"], ["--no-such-flag"], ["--cpu-mask", "0xzz"]):
        done = bench(*flags)
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "may not use CPU" in bench("--cpu-range", "900-901").stderr
