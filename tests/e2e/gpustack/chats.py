"""One model through GPUStack's OpenAI API: answers, streams, counts, errors."""

import json

import httpx
import openai

PROMPTS = ["Why is the sky blue?", "Écris une phrase sur la mer, s'il te plaît. 🌊",
           "List five animals, one a line."]


def user(text):
    return [{"role": "user", "content": text}]


def usage_is_right(usage):
    """The counts agree with each other, and llama-box's own fields came through."""
    own = usage.model_extra
    return (usage.prompt_tokens > 0 and usage.completion_tokens > 0
            and usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
            and 0 <= usage.prompt_tokens_details.cached_tokens < usage.prompt_tokens
            and own["tokens_per_second"] > 0 and own["time_to_first_token_ms"] > 0
            and own["time_per_output_token_ms"] > 0 and own["prompt_tokens_per_second"] > 0)


def streamed(stream):
    """(text, finish reason, usage) of a stream of chat chunks or of text completions."""
    text, reason, usage = "", None, None
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            piece = choice.text if hasattr(choice, "text") else choice.delta.content
            text += piece or ""
            reason = choice.finish_reason or reason
    return text, reason, usage


def check_answers(report, client, name):
    """Returns requests, prompt tokens, completion tokens of all that was asked."""
    usages = []
    for prompt in PROMPTS:
        ask = {"model": name, "messages": user(prompt), "temperature": 0, "max_tokens": 40}
        plain = client.chat.completions.create(**ask)
        stream = streamed(client.chat.completions.create(stream=True, **ask))
        choice = plain.choices[0]
        report.check(f"there is an answer to {prompt!r}", choice.message.content)
        report.equal("it is the same streamed", stream[:2],
                     (choice.message.content, choice.finish_reason))
        report.check("usage of the plain answer", usage_is_right(plain.usage), plain.usage)
        report.check("usage of the streamed one", usage_is_right(stream[2]), stream[2])
        report.equal("both count the same",
                     (stream[2].prompt_tokens, stream[2].completion_tokens),
                     (plain.usage.prompt_tokens, plain.usage.completion_tokens))
        report.check("the model is called as in GPUStack", plain.model == name, plain.model)
        usages += [plain.usage, stream[2]]
    ask = {"model": name, "prompt": "One, two, three,", "temperature": 0, "max_tokens": 12}
    plain = client.completions.create(**ask)
    stream = streamed(client.completions.create(stream=True, **ask))
    report.equal("a text completion is the same streamed", stream[:2],
                 (plain.choices[0].text, plain.choices[0].finish_reason))
    usages += [plain.usage, stream[2]]
    return len(usages), sum(u.prompt_tokens for u in usages), sum(u.completion_tokens for u in usages)


def check_events(report, client, name):
    """What a browser gets: one data line an event, the usage, [DONE] last."""
    reply = httpx.post(str(client.base_url) + "chat/completions", timeout=300,
                       headers={"Authorization": f"Bearer {client.api_key}"},
                       json={"model": name, "messages": user(PROMPTS[0]), "max_tokens": 8,
                             "temperature": 0, "stream": True})
    events = [event for event in reply.text.split("\n\n") if event]
    report.equal("a stream's status and type", (reply.status_code, reply.headers["content-type"]),
                 (200, "text/event-stream"))
    report.check("each event is one line of data",
                 all(event.startswith("data: ") and "\n" not in event for event in events), events)
    report.equal("the last event", events[-1], "data: [DONE]")
    chunks = [json.loads(event[6:]) for event in events[:-1]]
    report.equal("chunks that carry the usage", sum(bool(c.get("usage")) for c in chunks), 1)


def error_of(ask):
    try:
        ask()
    except openai.APIStatusError as error:
        return error
    return None


def check_error(report, client, engine, what, status, code, param, **request):
    """Through GPUStack the error is the engine's own, plain and streamed."""
    body = {"model": engine.model["name"], "messages": user("Hi"), **request}
    own = httpx.post(engine.url + "/v1/chat/completions", json=body, timeout=300)
    report.equal(f"{what}: the engine's status", own.status_code, status)
    for stream in (False, True):
        # extra_body: the package itself would refuse some of these.
        error = error_of(lambda: client.chat.completions.create(
            model=body["model"], messages=body["messages"], stream=stream,
            extra_body={key: value for key, value in request.items() if key != "messages"}))
        how = "streamed" if stream else "plain"
        report.equal(f"{what}, {how}: type, status, code, field",
                     error and (type(error), error.status_code, error.code, error.param),
                     (openai.BadRequestError, status, code, param))
        report.equal(f"{what}, {how}: the body is the engine's", error and error.response.json(),
                     own.json())
    return own.json()["error"]["message"]


def check_errors(report, client, engine):
    words = "word " * 3000
    message = check_error(report, client, engine, "a prompt that is too long", 400,
                          "context_length_exceeded", "messages", messages=user(words))
    report.check("the message tells the limit", "2048" in message, message)
    report.note(f"it says: {message}")
    message = check_error(report, client, engine, "a field of the wrong type", 400, 400,
                          "temperature", temperature="hot")
    report.note(f"it says: {message}")
    check_error(report, client, engine, "a value out of range", 400, 400, "top_logprobs",
                logprobs=True, top_logprobs=99)
    unknown = error_of(lambda: client.chat.completions.create(model="nobody", messages=user("Hi")))
    report.check("an unknown model is GPUStack's own 404", isinstance(unknown, openai.NotFoundError))
    stranger = client.with_options(api_key="gpustack_0_0")
    refused = error_of(lambda: stranger.chat.completions.create(
        model=engine.model["name"], messages=user("Hi")))
    report.check("a wrong key is GPUStack's own 401",
                 isinstance(refused, openai.AuthenticationError), refused)


def check(report, stack, engine, client):
    name = engine.model["name"]
    report.check("GPUStack lists the model", name in [m.id for m in client.models.list()])
    asked = check_answers(report, client, name)
    report.equal("GPUStack's account: requests, prompt and completion tokens",
                 stack.recorded_usage(engine), asked)
    check_events(report, client, name)
    check_errors(report, client, engine)
    report.check("no key and no text of a user is in the log", not any(
        secret in engine.log() for secret in (client.api_key, "Bearer", "sky", "gpustack_session")))
