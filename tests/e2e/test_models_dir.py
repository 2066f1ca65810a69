"""Several models in one server: each is loaded when a request asks for it, within one budget of memory; the
one used longest ago makes room; requests wait; what cannot be loaded is an error of its own.
"""

import concurrent.futures
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
from conftest import BINARY, SMOLLM2
from http_api import CHAT, GREEDY, TEXT, events, ok, open_request, post, request, user, wait_for

GEMMA = "gemma-3-270m-q4_k_m"
SMOL = "SmolLM2-135M-Instruct.Q4_1"


@pytest.fixture
def folder(tmp_path, models):
    """SmolLM2 twice (once in a folder of its own), Gemma, a file that is none, an adapter, a projector."""
    place = tmp_path / "models"
    (place / "second").mkdir(parents=True)
    (place / SMOLLM2.name).symlink_to(SMOLLM2.resolve())
    (place / "second" / "model.gguf").symlink_to(SMOLLM2.resolve())
    (place / f"{GEMMA}.gguf").symlink_to(models(f"{GEMMA}.gguf").resolve())
    (place / "broken.gguf").write_bytes(SMOLLM2.read_bytes()[:100_000])
    (place / "mmproj-x.gguf").write_bytes(b"x")
    (place / "notes.txt").write_text("no model")
    return place


def start(start_server, folder, *flags):
    return start_server("--models-dir", folder, "-c", "1024", *flags, model=None)


def states(server):
    return {entry["id"]: entry["status"]["value"] for entry in request(server, "GET", "/v1/models")[1]["data"]}


def say(server, model, **more):
    return ok(server, TEXT, {"model": model, "prompt": "The sky is", "max_tokens": 8, **GREEDY, **more})


def memory(server):
    """Of the process, in kB, without mapped files."""
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="utf-8")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")))


def test_models_are_listed_and_loaded_when_asked_for(start_server, folder):
    server = start(start_server, folder)
    assert states(server) == dict.fromkeys([SMOL, "broken", GEMMA, "second"], "unloaded")
    entries = {e["id"]: e for e in request(server, "GET", "/models")[1]["data"]}
    assert entries["broken"]["status"]["failed"] and "broken.gguf" in entries["broken"]["status"]["error"]
    assert entries[GEMMA]["meta"]["n_embd"] == 640
    alone = start_server("-c", "1024")
    want = ok(alone, TEXT, {"prompt": "The sky is", "max_tokens": 8, **GREEDY})["choices"]
    alone.stop()
    reply = say(server, SMOL)
    assert reply["choices"] == want and reply["model"] == SMOL
    assert say(server, SMOL + ".gguf")["choices"] == want
    assert say(server, "second")["choices"] == want
    assert say(server, GEMMA)["choices"] != want
    assert states(server) == {SMOL: "loaded", GEMMA: "loaded", "second": "loaded", "broken": "unloaded"}
    health = request(server, "GET", "/health")
    assert health[0] == 200 and health[1]["models"][SMOL]["status"] == "loaded"

    # Streams, chats and other APIs find their model the same way.
    assert events(server, CHAT, {"model": "second", "messages": user("hi"), "max_tokens": 4})
    assert ok(server, "/tokenize", {"model": GEMMA, "content": "hi"})["model"] == GEMMA
    assert ok(server, "/api/chat", {"model": SMOL, "messages": user("hi"), "stream": False,
                                    "options": {"num_predict": 4}})["model"] == SMOL
    assert {m["name"] for m in request(server, "GET", "/api/tags")[1]["models"]} == set(entries)
    assert len(request(server, "GET", "/api/ps")[1]["models"]) == 3
    assert request(server, "GET", f"/props?model={GEMMA}")[1]["model_alias"] == GEMMA
    assert request(server, "GET", "/props")[1]["role"] == "router"
    assert request(server, "GET", f"/metrics?model={SMOL}")[0] == 200
    assert server.stop() == 0


def test_what_is_not_there_is_told(start_server, folder):
    server = start(start_server, folder)
    status, reply = post(server, TEXT, {"model": "gpt-5", "prompt": "x"})
    assert status == 404 and SMOL in reply["error"]["message"] and reply["error"]["param"] == "model"
    status, reply = post(server, TEXT, {"prompt": "x"})
    assert status == 400 and reply["error"]["param"] == "model"
    for _ in range(2):
        status, reply = post(server, TEXT, {"model": "broken", "prompt": "x"})
        assert status == 500 and "broken.gguf" in reply["error"]["message"], reply
    assert request(server, "POST", TEXT, b"{nonsense")[0] == 400
    assert post(server, "/models/load", {"model": "gpt-5"})[0] == 404
    assert post(server, "/models/load", {"model": "broken"})[0] == 500
    assert post(server, "/models/load", {})[0] == 400
    assert request(server, "GET", f"/props?model={SMOL}")[0] == 503
    assert say(server, SMOL)["choices"][0]["text"]


def test_load_and_unload_by_hand(start_server, folder):
    server = start(start_server, folder, "--no-models-autoload")
    status, reply = post(server, TEXT, {"model": SMOL, "prompt": "x"})
    assert status == 503 and "not loaded" in reply["error"]["message"]
    assert ok(server, "/models/load", {"model": SMOL}) == {"success": True}
    assert wait_for(lambda: states(server)[SMOL] == "loaded")
    first = say(server, SMOL)
    assert ok(server, TEXT + "?autoload=true", {"model": "second", "prompt": "x", "max_tokens": 1})
    # An answer that runs is finished first.
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(say, server, SMOL, max_tokens=400, ignore_eos=True)
        assert wait_for(lambda: "\nvllm:num_requests_running 1\n" in request(server, "GET", f"/metrics?model={SMOL}")[1])
        assert ok(server, "/models/unload", {"model": SMOL}) == {"success": True}
        assert running.result()["usage"]["completion_tokens"] == 400
    assert wait_for(lambda: states(server)[SMOL] == "unloaded")
    assert request(server, "GET", f"/props?model={SMOL}")[1]["is_sleeping"] is True
    assert post(server, TEXT, {"model": SMOL, "prompt": "x"})[0] == 503
    ok(server, "/models/load", {"model": SMOL})
    assert wait_for(lambda: states(server)[SMOL] == "loaded")
    assert say(server, SMOL)["choices"] == first["choices"]


@pytest.mark.parametrize("limit", [("--models-max", "1"), ("--models-memory", "300M")])
def test_the_one_used_longest_ago_makes_room(start_server, folder, limit):
    server = start(start_server, folder, *limit)
    want = {}
    for name in (SMOL, "second", SMOL):
        want[name] = say(server, name)["choices"]
        assert [n for n, state in states(server).items() if state == "loaded"] == [name]
    # Many at once, to both: all are answered, none while the other holds the place.
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        jobs = [(name, pool.submit(say, server, name, stream=False)) for name in [SMOL, "second"] * 6]
        for name, job in jobs:
            assert job.result()["choices"] == want[name]
    stream = events(server, TEXT, {"model": "second", "prompt": "The sky is", "max_tokens": 8, **GREEDY})
    assert "".join(e["choices"][0]["text"] for e in stream if e["choices"]) == want["second"][0]["text"]
    assert server.stop() == 0


def test_a_model_that_cannot_fit_is_refused_with_the_numbers(start_server, folder):
    server = start(start_server, folder, "--models-memory", "250M")
    assert say(server, SMOL)["choices"]
    status, reply = post(server, TEXT, {"model": GEMMA, "prompt": "x"})
    assert status == 500 and "MiB" in reply["error"]["message"] and "--models-memory" in reply["error"]["message"]
    assert say(server, SMOL)["choices"]
    entry = next(e for e in request(server, "GET", "/models")[1]["data"] if e["id"] == GEMMA)
    assert entry["status"]["failed"] is True


def test_idle_models_sleep_and_wake(start_server, folder):
    server = start(start_server, folder, "--sleep-idle-seconds", "1")
    want = say(server, SMOL)["choices"]

    def answers():
        with urllib.request.urlopen(f"{server.url}/metrics?model={SMOL}", timeout=30) as reply:
            lines = reply.read().decode().splitlines()
        values = dict(line.rsplit(" ", 1) for line in lines if line[0] != "#")
        names = ("llamabox:prompt_tokens_computed_total", "llamabox:steps_total", "vllm:e2e_request_latency_seconds_count")
        return [float(values[name]) for name in names]

    once = answers()
    assert once[2] == 1
    assert wait_for(lambda: states(server)[SMOL] == "sleeping")
    assert request(server, "GET", "/health")[0] == 200
    assert answers() == once, "asleep, its figures are as they were"
    assert say(server, SMOL)["choices"] == want
    assert answers() == [2 * figure for figure in once], "awake, they count on"


def test_who_looks_on_keeps_no_model_awake(start_server):
    server = start_server("-c", "1024", "--sleep-idle-seconds", "1")
    ok(server, TEXT, {"prompt": "x", "max_tokens": 1})
    with urllib.request.urlopen(server.url + "/kv/events?interval_ms=60000", timeout=30) as stream:
        assert b"the model is unloaded" in stream.read()
    assert wait_for(lambda: list(states(server).values()) == ["sleeping"])
    assert ok(server, TEXT, {"prompt": "x", "max_tokens": 1})


def test_the_only_model_sleeps_and_wakes(start_server, tmp_path):
    cache = tmp_path / "prompts.cache"
    server = start_server("-c", "1024", "--sleep-idle-seconds", "1", "--prompt-cache-file", cache)
    body = {"prompt": "The sky is blue and " * 20, "max_tokens": 8, **GREEDY}
    want = ok(server, TEXT, body)
    awake = memory(server)

    def asleep():
        return request(server, "GET", "/props")[1]["is_sleeping"]

    assert wait_for(lambda: list(states(server).values()) == ["sleeping"])
    assert memory(server) < awake - 90_000, "weights (94 MB) and cache are given back"
    assert request(server, "GET", "/health")[:2] == (200, {"status": "ok"})
    assert request(server, "GET", "/v1/models")[1]["data"][0]["status"]["value"] == "sleeping"
    assert asleep()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda _: ok(server, TEXT, body), range(4)))
    assert [reply["choices"] for reply in again] == [want["choices"]] * 4
    # What was cached has come back with it.
    assert again[0]["usage"]["prompt_tokens_details"]["cached_tokens"] > 0
    assert not asleep()
    assert server.stop() == 0


def test_a_client_that_leaves_while_its_model_loads(start_server, folder):
    server = start(start_server, folder, "--models-max", "1")
    for _ in range(5):
        for name in (SMOL, "second"):
            sock = open_request(server, TEXT, {"model": name, "prompt": "x", "max_tokens": 1})
            time.sleep(0.01)  # it may have been read by then, or not, and be loading
            sock.close()
    assert say(server, SMOL)["choices"]
    assert server.stop() == 0


def test_flags_for_one_model_are_refused(folder):
    for flags in (("--lora", "x.gguf"), ("-md", "x.gguf"), ("--alias", "x"), ("--prompt-cache-file", "x")):
        done = subprocess.run([str(BINARY), "--models-dir", str(folder), *flags], capture_output=True,
                              text=True, timeout=60, check=False)
        assert done.returncode == 1 and "is for one model" in done.stderr
    done = subprocess.run([str(BINARY), "--models-dir", str(folder / "nowhere")], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 1 and "no such folder" in done.stderr
