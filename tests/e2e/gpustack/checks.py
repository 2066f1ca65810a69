"""Runs in the environment that `run` prepares: all checks, in order, and their count."""

import signal
import sys
import time
import traceback

import httpx
import openai

import chats
import six_at_once
from environment import MODEL, WORK
from report import Report
from stack import GpuStack, wait_for

# What GPUStack's pages read of a model (docs/gpustack.md).
META = {
    "vocab_type", "n_vocab", "n_ctx_train", "n_embd", "n_params", "size", "n_ctx", "n_slot",
    "n_slot_ctx", "ctx_shift", "prompt_cache", "seed", "temperature", "dynatemp_range",
    "dynatemp_exponent", "top_k", "top_p", "min_p", "top_n_sigma", "xtc_probability",
    "xtc_threshold", "typical_p", "repeat_last_n", "repeat_penalty", "presence_penalty",
    "frequency_penalty", "dry_multiplier", "dry_base", "dry_allowed_length", "dry_penalty_last_n",
    "mirostat", "support_vision", "support_audio", "support_speculative", "support_tool_calls",
    "support_parallel_tool_calls", "support_reasoning"}


def check_start(report, engine, context):
    """The command line is GPUStack's own, and we know all of it."""
    command = engine.command[1:]
    expected = ["--host", "0.0.0.0", "--embeddings", "--gpu-layers", "0", "--parallel", "4",
                "--ctx-size", "8192", "--port", str(engine.instance["port"]), "--model",
                str(MODEL.resolve()), "--alias", engine.model["name"], "--no-mmap", "--no-warmup",
                "--ctx-size", str(context)]
    report.equal("the command line is as GPUStack builds it", command, expected)
    log = engine.log()
    report.check("the log shows the engine ready", "ready: http" in log, log)
    report.check("no flag is unknown", "unknown flag" not in log, log)
    warnings = [line for line in log.splitlines() if "] W " in line or "] E " in line]
    report.equal("no warning at the start", warnings, [])


def check_meta(report, stack, engine, context):
    own = httpx.get(engine.url + "/v1/models").json()["data"][0]
    report.equal("the engine's model is called as GPUStack calls it", own["id"],
                 engine.model["name"])
    # GPUStack asks for it once it has said that the instance runs.
    meta = wait_for("meta of the model", lambda: stack.model(engine)["meta"], seconds=30)
    report.equal("meta arrived on the model", meta, own["meta"])
    report.equal("nothing is missing in meta", sorted(META - meta.keys()), [])
    report.equal("meta tells the context", (meta["n_ctx"], meta["n_slot_ctx"]), (context, context))


def check_stop(report, stack, engine, client):
    """A model that is deleted while it answers: the engine ends before GPUStack would kill it."""
    stream = client.chat.completions.create(
        model=engine.model["name"], stream=True, max_tokens=1500, temperature=0,
        messages=chats.user("Count from one to one thousand."))
    next(stream)
    start = time.monotonic()
    stack.remove(engine)
    end = "no end"
    try:
        for chunk in stream:
            if chunk.choices and chunk.choices[0].finish_reason:
                end = chunk.choices[0].finish_reason
    except openai.APIError as error:
        end = error.message
    report.check("a stream that is cut off says why",
                 end in ("stop", "length") or "stopping" in end or "shut" in end, end)
    while engine.alive() and time.monotonic() - start < 10:
        time.sleep(0.02)
    seconds = time.monotonic() - start
    report.note(f"a deleted model's engine was gone after {seconds:.1f} s")
    report.check("it is gone within 3 s", seconds < 3, seconds)
    # GPUStack kills what remains after 3 s; only an engine that ended by itself writes this.
    report.check("it ended by itself", engine.log().endswith("] I stopped\n"), engine.log()[-500:])


def check_all(report, stack):
    try:
        engine = stack.deploy("chat", "--ctx-size=2048")
        check_start(report, engine, 2048)
        check_meta(report, stack, engine, 2048)
        client = openai.OpenAI(base_url=stack.url + "/v1-openai", api_key=stack.api_key("test"),
                               max_retries=0, timeout=300)
        chats.check(report, stack, engine, client)
        engines = [engine, *six_at_once.deploy(report, stack)]
        six_at_once.check(report, engines, client)
        check_stop(report, stack, engines.pop(0), client)
        left = stack.stop()
        report.check("GPUStack ended by itself", left)
        for other in engines:
            report.check(f"the engine of {other.model['name']} ended by itself",
                         not other.alive() and other.log().endswith("] I stopped\n"),
                         other.log()[-500:])
    finally:
        stack.stop()


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    report = Report()
    start = time.monotonic()
    try:
        stack = GpuStack()
        report.note(f"GPUStack is up after {time.monotonic() - start:.0f} s")
        check_all(report, stack)
    except Exception:
        report.check("the run came to its end", False, traceback.format_exc())
    report.note(f"{time.monotonic() - start:.0f} s in all; logs in {WORK}")
    return report.end()


if __name__ == "__main__":
    sys.exit(main())
