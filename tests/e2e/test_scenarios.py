"""The promises of the cache, by the scenarios of bench/scenarios made small: no request fails for
lack of room, the same prompt gives the same bytes, equal prompts are computed once."""

import sys

import pytest

from conftest import ROOT, SMOLLM2

sys.path.insert(0, str(ROOT / "bench" / "scenarios"))

import common  # noqa: E402
import identical_prompts  # noqa: E402
import pressure  # noqa: E402
import same_bytes  # noqa: E402

pytestmark = pytest.mark.skipif(not SMOLLM2.exists(), reason=f"no model at {SMOLLM2}")


def test_every_answer_is_full_in_a_pool_one_block_larger_than_the_request():
    with common.llama_box(SMOLLM2, "-c", common.blocks_up(60 + 40) + common.BLOCK) as server:
        full, others = pressure.run(server.url, clients=4, prompt=60, answer=40, rounds=1)
        assert full == 4, others
        assert common.leaked_blocks(server.url) == 0


def test_answers_are_the_same_bytes_with_pauses_and_without():
    texts = same_bytes.prompts(3)[::2]
    with common.llama_box(SMOLLM2, "-c", 8192, "--threads", 2, "--batch-size", 2048) as server:
        large = same_bytes.answers(server.url, texts, answer=12, num_neighbours=3)
        room = same_bytes.largest_request(server, texts, answer=12)
    small_pool = common.blocks_up(room) + common.BLOCK
    with common.llama_box(SMOLLM2, "-c", small_pool, "--threads", 1, "--batch-size", 32,
                          "--parallel", 8) as server:
        small = same_bytes.answers(server.url, texts, answer=12, num_neighbours=3)
        assert common.pauses(server.url) > 0, server.log()
        assert common.leaked_blocks(server.url) == 0
    for ways in (large, small):
        assert not any(same_bytes.differing(large["cold"], ways).values()), (large["cold"], ways)


def test_equal_prompts_that_arrive_together_are_computed_once():
    with common.llama_box(SMOLLM2, "-c", 4096) as server:
        ids = common.exact_prompt(server.url, "six", 400)
        _, computed, tokens = identical_prompts.seconds(server.url, ids, clients=6)
        assert len(tokens) == 1
        # The others compute what follows the last block that can be shared: here 16 tokens.
        assert computed == 400 + 5 * 16
