#!/usr/bin/env python3
"""A chat of many turns: what is taken from the cache, and how long each turn's first token takes.

    bench/scenarios/multi_turn.py [--model models/SmolLM2-135M-Instruct.Q4_1.gguf] [--turns 20]
                                  [--runs 3] [--threads N] [--context 8192] [--no-peer] [--no-uncached]
                                  [--png docs/plots/multi_turn.png | --png ""]

The model must be one whose chats are written in ChatML (SmolLM2, Qwen2.5).

Each turn sends the whole chat so far. What can be reused is computed here by hand from the tokens:
the common prefix of this prompt with the turn before (its prompt, and its answer as it was
sampled), as far as that was computed, in whole blocks, at most to the token before the last.
`cached_tokens` must be exactly that. Ours, ours with caching off, and llama.cpp's server answer
turn by turn in turn. The exit code is 1 if a turn's cached_tokens is not what was computed, or if
the last five turns take more than twice the processor time of turns 2 to 6: what a turn adds
is the same, only attention looks back on more (docs/cache.md says what that makes).
"""

import argparse
import contextlib
import os
import pathlib
import statistics
import sys

from common import BLOCK, ROOT, SMOLLM2, llama_box, machine, notes, plot, post, stream

SYSTEM = "You are a helpful assistant who tells stories."


def render(messages):
    """ChatML, as the templates of SmolLM2 and Qwen2.5 write it."""
    return "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n"
                   for m in messages) + "<|im_start|>assistant\n"


def pieces(url, text):
    """The bytes of each token of a rendered chat."""
    body = {"content": text, "add_special": False, "parse_special": True, "with_pieces": True}
    return [bytes(p) if isinstance(p, list) else p.encode()
            for p in (token["piece"] for token in post(url, "/tokenize", body)["tokens"])]


class Chat:
    """One chat with one server; its lists have an entry per turn."""

    def __init__(self, server, label, run, answer, options=None):
        self.server, self.label, self.answer, self.options = server, label, answer, options or {}
        self.messages = [{"role": "system", "content": f"{SYSTEM} Chat {run}."}]
        self.times, self.processor = [], []  # seconds to the first token
        self.cached, self.by_hand, self.lengths = [], [], []
        self._before = []  # pieces whose keys and values are in the cache

    def turn(self, text, **more):
        self.messages.append({"role": "user", "content": text})
        body = {"messages": self.messages, "max_tokens": self.answer, "temperature": 0,
                "stream_options": {"include_usage": True}, **self.options, **more}
        said, sampled, first, usage, reason = "", [], None, None, None
        before = self.server.cpu_seconds()
        for seconds, event in stream(self.server.url, "/v1/chat/completions", body):
            usage = event.get("usage") or usage
            for choice in event["choices"]:
                reason = choice.get("finish_reason") or reason
                delta = choice["delta"].get("content") or ""
                if delta and first is None:
                    first = seconds, self.server.cpu_seconds() - before
                said += delta
                listed = (choice.get("logprobs") or {}).get("content") or []
                sampled += [bytes(token["bytes"]) for token in listed]
        self.messages.append({"role": "assistant", "content": said})
        self.times.append(first[0])
        self.processor.append(first[1])
        self.lengths.append(usage["prompt_tokens"])
        self.cached.append(usage["prompt_tokens_details"]["cached_tokens"])
        return sampled, usage, reason

    def checked_turn(self, text):
        """turn(), and what must have been cached."""
        prompt = pieces(self.server.url, render(self.messages + [{"role": "user", "content": text}]))
        common = len(os.path.commonprefix([self._before, prompt]))
        self.by_hand.append(min(common, len(prompt) - 1) // BLOCK * BLOCK)
        # Only here: what is measured of the others does not pay for log probabilities.
        sampled, usage, reason = self.turn(text, logprobs=True)
        if usage["prompt_tokens"] != len(prompt) or usage["completion_tokens"] != len(sampled):
            raise RuntimeError(f"the server counts {usage}, here are {len(prompt)} and {len(sampled)}")
        # The last token of an answer that was cut was sampled but never computed.
        self._before = prompt + (sampled[:-1] if reason == "length" else sampled)


def question(run, turn):
    return f"Part {turn}: {notes(run * 100 + turn, 4)} Go on with the story."


def run_chats(servers, run, args):
    ours = servers[0]
    chats = [Chat(ours, "llama-box", run, args.answer)]
    if not args.no_uncached:
        chats.append(Chat(ours, "llama-box, cache off", run, args.answer, {"cache_prompt": False}))
    chats += [Chat(server, server.name, run, args.answer) for server in servers[1:]]
    for turn in range(args.turns):
        for chat in chats:
            text = question(run, turn)
            chat.checked_turn(text) if chat is chats[0] else chat.turn(text)
    wrong = 0
    for turn in range(args.turns):
        first = chats[0]
        right = first.cached[turn] == first.by_hand[turn]
        wrong += not right
        cells = "   ".join(f"{c.label} {1000 * c.times[turn]:.1f} ms, processor "
                           f"{1000 * c.processor[turn]:.1f} ms ({c.cached[turn]} of "
                           f"{c.lengths[turn]} cached)" for c in chats)
        print(f"  turn {turn + 1:2}: by hand {first.by_hand[turn]:4} "
              f"{'' if right else 'WRONG '}  {cells}", flush=True)
    return chats, wrong


def report(chats, args):
    """Draws and prints the medians; by label how much more processor time the late turns take."""
    labels = list(dict.fromkeys(chat.label for chat in chats))

    def medians(label, what):
        return [1000 * statistics.median(getattr(chat, what)[turn] for chat in chats
                                         if chat.label == label) for turn in range(args.turns)]

    def panel(what, title):
        def draw(axes):
            for label in labels:
                axes.plot(range(1, args.turns + 1), medians(label, what), marker="o", markersize=3,
                          label=label)
            axes.set(xlabel=f"turn (the last has {chats[0].lengths[-1]} tokens)", ylabel="ms",
                     ylim=(0, None), title=title)
        return draw

    if args.png:
        plot(args.png, panel("times", f"Time to first token, {args.model.stem}, {args.threads} thread(s)"),
             panel("processor", "Processor time to first token"))
    growth = {}
    for label in labels:
        for what in ("times", "processor"):
            per_turn = medians(label, what)
            early, late = statistics.median(per_turn[1:6]), statistics.median(per_turn[-5:])
            growth[label] = late / early
            print(f"{label}, {what}: turns 2 to 6 {early:.1f} ms, last five {late:.1f} ms, "
                  f"{growth[label]:.2f} times")
    return growth


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, default=SMOLLM2)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--answer", type=int, default=48)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of both servers")
    parser.add_argument("--context", type=int, default=8192, help="tokens; must hold all chats of a run at once")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--no-uncached", action="store_true", help="leave out the one with caching off")
    parser.add_argument("--png", default=str(ROOT / "docs/plots/multi_turn.png"))
    args = parser.parse_args()
    print(f"{args.turns} turns, answers up to {args.answer} tokens, {args.threads} threads, "
          f"{args.model.name}; {machine()}")
    chats, wrong = [], 0
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(llama_box(args.model, "-c", args.context, "--threads", args.threads))]
        if not args.no_peer:
            import peer
            print(peer.version())
            servers.append(stack.enter_context(
                peer.llama_cpp(args.model, ctx=args.context, parallel=4, threads=args.threads)))
        for server in servers:
            Chat(server, "", "warm up", 8).turn("Hello.")
        for run in range(args.runs):
            more, bad = run_chats(servers, run, args)
            chats, wrong = chats + more, wrong + bad
    growth = report(chats, args)
    print(f"cached_tokens differ from the hand computation in {wrong} of {args.runs * args.turns} turns")
    return 1 if wrong or growth["llama-box"] > 2 else 0


if __name__ == "__main__":
    sys.exit(main())
