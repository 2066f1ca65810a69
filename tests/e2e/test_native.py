"""What users of llama.cpp's server ask of this one, where it takes a real engine to see it."""

from http_api import GREEDY, TEXT, events, request, text_of


def test_progress_of_a_prompt_counts_to_its_end(start_server):
    server = start_server("-c", "2048", "-b", "64")
    body = {"prompt": text_of(server, 300), "max_tokens": 2, "return_progress": True, **GREEDY}
    for cached in (False, True):
        told = [event["prompt_progress"] for event in events(server, TEXT, body)
                if "prompt_progress" in event]
        done = [one["processed"] for one in told]
        assert done == sorted(set(done)) and done[-1] == told[0]["total"] == 300
        assert done[0] == told[0]["cache"] and (told[0]["cache"] > 250) == cached
        assert cached or len(told) >= 6  # what was cached, and a step for each 64 tokens


def test_flags_that_take_something_away(start_server):
    server = start_server("-c", "512", "--no-slots", "--dry-sequence-breaker", "none")
    assert request(server, "GET", "/slots")[0] == 501
    defaults = request(server, "GET", "/props")[1]["default_generation_settings"]["params"]
    assert defaults["dry_sequence_breakers"] == []
