"""The report that began this project: six models at once, the same long prompt again and again
(gpustack/gpustack#1442). There, decoding failed and cached tokens went below zero."""

import collections
import concurrent.futures
import re
import time

import httpx
import openai

from chats import streamed, usage_is_right, user
from environment import BINARY

CONTEXT = 2048
LINES = 139  # of the prompt: three answers at once do not fit in the pool beside it
ANSWER = 24
CLIENTS = 3  # of each engine; with more, GPUStack runs out of connections to its own database
ROUNDS = 5
VERSION = "v9.9.9"  # any that GPUStack does not know

# `refused` counts GPUStack's own refusals before the answer.
Reply = collections.namedtuple("Reply", "model text usage error refused")


def deploy(report, stack):
    """Five more; one in the way of a user who keeps GPUStack's own llama-box beside ours."""
    (stack.version_folder() / f"llama-box_{VERSION}").symlink_to(BINARY.resolve())
    engines = []
    for i in range(2, 7):
        more = {"backend_version": VERSION} if i == 2 else {}
        engines.append(stack.deploy(f"six-{i}", f"--ctx-size={CONTEXT}", **more))
    report.check("backend_version starts the binary of the version folder",
                 engines[0].command[0].endswith(f"/llama-box_{VERSION}"), engines[0].command)
    return engines


def long_prompt(kind):
    return "Here is a list.\n" + "".join(
        f"Item {i} of the {kind} costs {7 * i % 97} coins.\n" for i in range(LINES)
    ) + "Tell me about the list."


def is_gpustacks_own(error):
    """Whether no engine saw the request: no connection to the database was free in time (it then
    says that the key is wrong), or a busy worker did not answer its probe in time."""
    return (isinstance(error, openai.AuthenticationError)
            or "No running instances available" in str(error))


def ask_once(client, request, stream):
    if stream:
        text, _, usage = streamed(client.chat.completions.create(stream=True, **request))
        return text, usage
    reply = client.chat.completions.create(**request)
    return reply.choices[0].message.content, reply.usage


def ask(client, model, prompt, stream):
    request = {"model": model, "messages": user(prompt), "temperature": 0, "max_tokens": ANSWER}
    for refused in range(20):
        try:
            return Reply(model, *ask_once(client, request, stream), None, refused)
        except openai.OpenAIError as error:
            last = error
            if not is_gpustacks_own(error):
                break
            time.sleep(2)
    return Reply(model, "", None, f"{model}: {last!r}", refused)


def one_round(client, engines, prompts):
    """All clients of all engines at once, client i with the i-th prompt; the first client of each
    engine asks plainly, the others stream. Returns the replies of client 0, of client 1, ..."""
    with concurrent.futures.ThreadPoolExecutor(len(engines) * CLIENTS) as pool:
        futures = [[pool.submit(ask, client, engine.model["name"], prompts[i], i > 0)
                    for engine in engines] for i in range(CLIENTS)]
        return [[future.result() for future in row] for row in futures]


def check_round(report, what, replies, warm):
    """The good ones of the replies."""
    report.equal(f"{what}: errors in {len(replies)} requests",
                 [reply.error for reply in replies if reply.error], [])
    good = [reply for reply in replies if not reply.error]
    report.equal(f"{what}: usages that are wrong",
                 [reply for reply in good if not (reply.usage and usage_is_right(reply.usage))], [])
    cached = [reply.usage.prompt_tokens_details.cached_tokens for reply in good]
    if warm:
        report.check(f"{what}: each prompt was found in the cache", min(cached, default=0) > 0, cached)
    report.note(f"{what}: {min(cached, default=0)} to {max(cached, default=0)} prompt tokens from the "
                f"cache; GPUStack refused {sum(reply.refused for reply in replies)} itself")
    return good


def same(report, what, replies, text, count):
    report.equal(f"{what}: answers", {reply.text for reply in replies}, {text})
    report.equal(f"{what}: prompt tokens", {reply.usage.prompt_tokens for reply in replies}, {count})


def statuses(engine):
    """How often the engine answered a chat with which status."""
    return collections.Counter(re.findall(r"POST /v1/chat/completions status=(\d+)", engine.log()))


def metric(engine, name):
    text = httpx.get(engine.url + "/metrics").text
    return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE).group(1))


def check_rounds(report, engines, client):
    """The number of requests that each engine has answered."""
    prompt = long_prompt("shop")
    alone = ask(client, engines[0].model["name"], prompt, stream=False)
    if alone.error:
        raise RuntimeError(f"the long prompt alone: {alone.error}")
    count = alone.usage.prompt_tokens
    report.check("it and its answer take most of the pool",
                 0.9 * CONTEXT < count + ANSWER <= CONTEXT, count)
    report.note(f"a prompt of {count} tokens, a pool of {CONTEXT}, {len(engines)} engines, "
                f"{CLIENTS} clients each, {ROUNDS} rounds")
    answered = collections.Counter([alone.model])
    for number in range(1, ROUNDS + 1):
        start = time.monotonic()
        what = f"round {number}"
        good = check_round(report, what, sum(one_round(client, engines, [prompt] * CLIENTS), []),
                           warm=number > 1)
        same(report, what, good, alone.text, count)
        report.note(f"{what}: {time.monotonic() - start:.0f} s")
        answered.update(reply.model for reply in good)
    # Prompts that do not fit together: they take turns, nobody fails, nothing is mixed up. Only half
    # of the engines, for here prompts have to be computed anew.
    start = time.monotonic()
    rows = one_round(client, engines[::2], [prompt, long_prompt("museum"), prompt])
    good = check_round(report, "two prompts", sum(rows, []), warm=False)
    first = [reply for reply in rows[0] + rows[2] if not reply.error]
    second = [reply for reply in rows[1] if not reply.error]
    same(report, "two prompts, the first", first, alone.text, count)
    if second:
        same(report, "two prompts, the second", second, second[0].text, second[0].usage.prompt_tokens)
    report.note(f"two prompts: {time.monotonic() - start:.0f} s")
    answered.update(reply.model for reply in good)
    return answered


def check(report, engines, client):
    report.equal("engines that run", [engine.alive() for engine in engines], [True] * 6)
    before = [statuses(engine) for engine in engines]
    answered = check_rounds(report, engines, client)
    time.sleep(1)  # the last lines of the logs
    for engine, old in zip(engines, before):
        name = engine.model["name"]
        report.equal(f"{name}: what the engine itself answered", dict(statuses(engine) - old),
                     {"200": answered[name]})
        kv = httpx.get(engine.url + "/kv").json()
        report.equal(f"{name}: blocks in use when all is answered",
                     [group["blocks"]["used"] for group in kv["groups"]], [0])
        claim = engine.instance["computed_resource_claim"]["ram"]
        report.check(f"{name}: memory is within what GPUStack set aside",
                     engine.peak_memory() <= claim, (engine.peak_memory(), claim))
    pauses = sum(metric(engine, "vllm:num_preemptions_total") for engine in engines)
    report.note(f"{pauses:.0f} times a request paused for lack of cache and went on; most memory of an "
                f"engine {max(engine.peak_memory() for engine in engines) >> 20} MiB, set aside "
                f"{engines[0].instance['computed_resource_claim']['ram'] >> 20} MiB")
