"""The pictures of docs/web.md, made anew on request:

    LLAMABOX_SCREENSHOTS=docs/images build/venv/bin/python -m pytest tests/e2e/test_web_screenshots.py
"""

import concurrent.futures
import os
import pathlib
import sys

import pytest
from playwright.sync_api import expect

from conftest import ROOT, SMOLLM2
from web_page import answer, fill_sheet, send, settings

sys.path.insert(0, str(ROOT / "bench" / "scenarios"))

import common  # noqa: E402

FOLDER = os.environ.get("LLAMABOX_SCREENSHOTS")
pytestmark = pytest.mark.skipif(not FOLDER, reason="LLAMABOX_SCREENSHOTS names no folder")
SIZE = {"width": 1180, "height": 760}
SCHEMES = ("light", "dark")
CODER = "Qwen2.5-Coder-0.5B-Instruct-Q4_K_M.gguf"


def take(page, name):
    """In light and in dark, nothing pointed at."""
    pathlib.Path(FOLDER).mkdir(parents=True, exist_ok=True)
    page.mouse.move(0, 0)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(150)
        page.screenshot(path=f"{FOLDER}/{name}-{scheme}.png")


@pytest.fixture
def coder(start_server, models):
    return start_server("-c", 8192, "--alias", "Qwen2.5-Coder-0.5B", model=models(CODER))


def test_chat(coder, open_page):
    page = open_page(coder.url, viewport=SIZE)
    settings(page, temperature=0, max_tokens=60)
    for text in ("Compare tea and coffee.", "Name three rivers of Norway."):
        send(page, text)
        answer(page)
        page.get_by_role("button", name="New chat").first.click()
    settings(page, max_tokens=400)
    send(page, "Write a short Python function that merges two sorted lists. Explain it in two sentences.")
    answer(page)
    page.locator(".scroller").evaluate("(element) => element.scrollTo(0, 0)")
    take(page, "chat")


def test_compare(coder, start_server, open_page):
    other = start_server("-c", 4096, "--cors", "localhost", "--alias", "SmolLM2-135M")
    page = open_page(coder.url + "/#/compare", viewport=SIZE)
    page.get_by_role("button", name="Add column").click()
    for index, fields in enumerate(({"temperature": 0}, {"temperature": 1.2, "seed": 7, "name": "warm"},
                                    {"temperature": 0, "server": other.url})):
        page.locator(".column").nth(index).get_by_role("button", name="Settings of this column").click()
        fill_sheet(page, max_tokens=150, **fields)
    page.get_by_label("Prompt for all columns").fill("What is a hash table good for? Answer in a short list.")
    page.keyboard.press("Enter")
    expect(page.locator('.column .answer[data-state="done"]')).to_have_count(3, timeout=60_000)
    take(page, "compare")


def test_cache(open_page):
    with common.llama_box(SMOLLM2, "-c", 6144, "--parallel", 6) as server:
        def ask(common_tokens, own, tokens, count):
            """A prompt whose front others have too."""
            front = common.exact_prompt(server.url, "front", 400)[:common_tokens]
            ids = front + common.exact_prompt(server.url, own, tokens)
            return common.post(server.url, "/v1/completions", {
                "prompt": ids, "max_tokens": count, "temperature": 0, "ignore_eos": True})

        page = open_page(f"http://{server.url}/#/cache", viewport={**SIZE, "height": 1090})
        for number, (shared, own) in enumerate(((256, 180), (256, 60), (384, 120), (384, 300), (256, 90))):
            ask(shared, f"early {number}", own, 4)
        with concurrent.futures.ThreadPoolExecutor(10) as pool:
            waits = [pool.submit(ask, shared, f"late {number}", own, 420) for number, (shared, own) in enumerate(
                ((384, 150), (256, 240), (384, 90), (0, 500), (256, 330), (0, 280), (384, 200), (0, 120)))]
            expect(page.locator(".state-running .tag.writing")).to_have_count(6, timeout=60_000)
            page.wait_for_timeout(6000)
            take(page, "cache")
            page.goto("about:blank")  # before the server ends
            for wait in waits:
                wait.result()
