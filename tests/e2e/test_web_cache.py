"""The live picture of the cache in a real browser, while clients press for more than the pool holds: what it
shows adds up, follows what happens, and costs nothing once nobody looks."""

import re
import sys

from playwright.sync_api import expect

from conftest import ROOT, SMOLLM2
from http_api import TEXT, open_request

sys.path.insert(0, str(ROOT / "bench" / "scenarios"))

import common  # noqa: E402

POOL = 4096  # tokens: 256 blocks, less than six prompts of 700 tokens and what follows them


def blocks(page):
    """in use, cached, free, as the map says to who cannot see it."""
    label = page.locator(".pool-map").get_attribute("aria-label")
    total, used, cached, free = map(int, re.fullmatch(
        r"Blocks: of (\d+) blocks (\d+) are in use, (\d+) cached, (\d+) free", label).groups())
    assert used + cached + free == total
    return used, cached, free


def painted(page):
    """How many colours the map's pixels have, the gaps included."""
    return page.locator(".pool-map").evaluate("""(canvas) => {
        const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return new Set(new Uint32Array(data.buffer)).size;
    }""")


def test_the_map_lives_while_clients_press(open_page):
    with common.llama_box(SMOLLM2, "-c", POOL, "--parallel", 8) as server:
        page = open_page(f"http://{server.url}/#/cache", may_log=["willReadFrequently"])  # we do, the page does not
        expect(page.locator(".live")).to_have_text("live")
        expect(page.locator(".pool-map")).to_have_attribute("aria-label", re.compile("of 256 blocks 0 are in use"))
        idle_colours = painted(page)
        # Their answers are long: all of this is looked at while they run, however fast or busy the machine.
        clients = [open_request(server, TEXT, {
            "prompt": common.exact_prompt(server.url, str(i), 700), "max_tokens": 3300, "ignore_eos": True,
            "stream": True}) for i in range(6)]
        expect(page.locator(".requests tbody tr")).to_have_count(6)
        expect(page.locator(".state-running").first).to_be_visible()
        expect(page.locator(".pool-map")).not_to_have_attribute("aria-label", re.compile(" 0 are in use"))
        assert blocks(page)[0] > 0
        assert painted(page) > idle_colours
        speed = page.locator(".tile", has_text="Generated").locator(".tile-value")
        expect(speed).not_to_have_text("0.0")
        expect(page.locator(".tag.writing").first).to_be_visible()
        progress = page.get_by_role("progressbar").first
        before = int(progress.get_attribute("aria-valuenow"))
        expect(progress).not_to_have_attribute("aria-valuenow", str(before))
        expect(page.locator(".tile", has_text="Time to first token").locator(".tile-value")).to_contain_text("s")
        for client in clients:
            client.close()
        expect(page.locator(".requests")).to_contain_text("Nobody asks anything now.")
        used, cached, _ = blocks(page)
        assert used == 0 and cached > 0
        assert page.locator(".tree-picture .run").count() > 1
        page.get_by_text("As a table").click()
        expect(page.locator(".tree-table tbody tr")).to_have_count(page.locator(".tree-picture .run").count())
        # The same again: found in the cache, and the hit rate says so.
        common.post(server.url, "/v1/completions", {
            "prompt": common.exact_prompt(server.url, "hit", 64), "max_tokens": 1})
        common.post(server.url, "/v1/completions", {
            "prompt": common.exact_prompt(server.url, "hit", 64), "max_tokens": 1})
        expect(page.locator(".tile", has_text="Hit rate").locator(".tile-value")).to_have_text(re.compile("[1-9]"))
        # Nobody looks: the stream is gone.
        page.get_by_role("link", name="Chat").click()
        for _ in range(100):
            if re.search(r"GET /kv/events .*client=gone", server.log()):
                return
            page.wait_for_timeout(50)
        raise AssertionError(server.log())


def test_a_server_that_starts_anew_is_found_again(start_server, open_page):
    server = start_server("-c", 512)
    page = open_page(server.url + "/#/cache", may_log=["ERR_"])
    expect(page.locator(".live")).to_have_text("live")
    server.stop()
    expect(page.locator(".live")).to_have_text("The server does not answer.")
    start_server("-c", 512, "--port", server.port, wait=False)
    expect(page.locator(".live")).to_have_text("live")
