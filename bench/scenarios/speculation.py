#!/usr/bin/env python3
"""What guessing gains: an answer that quotes its prompt, with and without guesses.

    bench/scenarios/speculation.py [--model A.gguf] [--ngram 2] [--draft B.gguf] [--draft-max 16]
                                   [--tokens 200] [--runs 5] [--threads N]

--ngram guesses from the text (--lookup-ngram-min; 0: not), --draft by a second model (--model-draft).

Two servers of ours, one that guesses and one that does not, answer the same prompts in turn. The
answers must be the same bytes (else the exit code is 1); medians of tokens per second, their ratio,
and how many guesses were right.
"""

import argparse
import contextlib
import os
import statistics
import sys

from common import MODELS, llama_box, machine, post

CODE = '''class Account:
    def __init__(self, owner, balance=0):
        self.owner = owner
        self.balance = balance
        self.history = []

    def deposit(self, amount):
        if amount <= 0:
            raise ValueError("the amount must be positive")
        self.balance += amount
        self.history.append(("deposit", amount))
        return self.balance

    def withdraw(self, amount):
        if amount <= 0:
            raise ValueError("the amount must be positive")
        if amount > self.balance:
            raise ValueError("not enough money")
        self.balance -= amount
        self.history.append(("withdraw", amount))
        return self.balance
'''
TEXT = ("The council met on Monday evening and heard three reports. The first said that the old bridge over the river "
        "must be closed to lorries before the winter, since two of its arches have moved. The second asked for a new "
        "school bus, as the present one has broken down eleven times since March. The third, read by the mayor herself, "
        "proposed to plant four hundred trees along the northern road, at a cost of ninety thousand crowns.")
PROMPTS = {
    "summary with quotes": f"Summarise the report below by quoting its most important sentences word for word.\n\n{TEXT}",
    "edit of code": f"Rename the method deposit to add_money and print the whole class again.\n\n```python\n{CODE}```",
    "free text": "Write a short story about a lighthouse keeper who learns to bake bread.",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default=str(MODELS / "Qwen2.5-Coder-1.5B-Instruct-Q4_K_M.gguf"))
    parser.add_argument("--ngram", type=int, default=2)
    parser.add_argument("--draft", help="a draft model")
    parser.add_argument("--draft-max", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    guesses = ["--lookup-ngram-min", args.ngram, "--draft-max", args.draft_max]
    if args.draft:
        guesses += ["--model-draft", args.draft]
    print(f"{args.model.rsplit('/', 1)[-1]}, {args.threads} threads, {' '.join(map(str, guesses))}, up to {args.tokens} tokens; {machine()}")
    same = True
    with contextlib.ExitStack() as stack:
        common = ("-c", 4096, "--threads", args.threads)
        plain = stack.enter_context(llama_box(args.model, *common))
        guessing = stack.enter_context(llama_box(args.model, *common, *guesses))
        for name, prompt in PROMPTS.items():
            body = {"messages": [{"role": "user", "content": prompt}], "temperature": 0, "max_tokens": args.tokens}
            speeds, texts = {plain: [], guessing: []}, {plain: set(), guessing: set()}
            for run in range(args.runs + 1):  # the first fills the cache
                for server in speeds:
                    reply = post(server.url, "/v1/chat/completions", body)
                    texts[server].add(reply["choices"][0]["message"]["content"])
                    if run > 0:
                        speeds[server].append(reply["timings"]["predicted_per_second"])
                    timings = reply["timings"]
            same &= texts[plain] == texts[guessing] and len(texts[plain]) == 1
            slow, fast = (statistics.median(speeds[s]) for s in (plain, guessing))
            tried, right = timings.get("draft_n", 0), timings.get("draft_n_accepted", 0)
            print(f"{name}: {slow:.1f} -> {fast:.1f} tokens/s, {fast / slow:.2f} x; {right} of {tried} guesses right; "
                  f"{'the same bytes' if texts[plain] == texts[guessing] else 'ANOTHER ANSWER'}", flush=True)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
