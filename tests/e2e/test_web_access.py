"""Everybody can use the page: axe finds nothing serious in light and dark, the keyboard reaches all, a phone's
width is enough; and it is light."""

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from http_api import request
from web_page import answer, answer_with, send, stream

PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}
RICH = ("# Title\n\nText with `code`, a [link](https://example.org) and **weight**.\n\n```python\n# note\n"
        "def f(x: int) -> str:\n    return \"a\" * 10\n```\n\n> quoted\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- one\n- two\n")


def grave(page):
    """What axe calls serious or critical: the rule and where."""
    violations = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}).response["violations"]
    return [(v["id"], [node["target"] for node in v["nodes"]]) for v in violations if v["impact"] in ("serious", "critical")]


def talk(page):
    answer_with(page, stream({"reasoning_content": "hm"}, {"content": RICH}, {"tool_calls": [
        {"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]}))
    send(page, "hi")
    answer(page)
    expect(page.locator(".tok-keyword").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "phone"])
def test_axe_finds_nothing_serious(server, open_page, scheme, size):
    page = open_page(server.url, color_scheme=scheme, reduced_motion="reduce", **(PHONE if size == "phone" else {}))
    expect(page.locator(".server[data-status=ready]")).to_be_attached()
    assert grave(page) == []
    talk(page)
    page.get_by_text("Thought").click()
    assert grave(page) == []
    page.get_by_role("button", name="Settings", exact=True).click()
    assert grave(page) == []
    page.keyboard.press("Escape")
    for view, seen in (("Compare", ".column"), ("Cache", ".tree-picture .run")):
        if view == "Cache":
            request(server, "POST", "/v1/completions", {"prompt": "word " * 40, "max_tokens": 2})
        page.get_by_role("link", name=view).click()
        expect(page.locator(seen).first).to_be_visible()
        assert grave(page) == []


@pytest.mark.parametrize("view,seen", [("chat", ".message.assistant"), ("compare", ".column"), ("cache", ".tile")])
def test_a_phone_shows_it_without_scrolling_sideways(server, open_page, view, seen):
    page = open_page(f"{server.url}/#/{view}", **PHONE)
    if view == "chat":
        talk(page)
    expect(page.locator(seen).first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["viewport"]["width"]
    for box in page.locator("main button:visible, header button:visible").all():
        assert min(box.bounding_box()[side] for side in ("width", "height")) >= 24


def test_a_phone_opens_and_closes_the_list(server, open_page):
    page = open_page(server.url, **PHONE)
    listed = page.get_by_role("complementary", name="Conversations")
    expect(listed).to_be_hidden()
    page.get_by_role("button", name="Conversations").click()
    expect(listed).to_be_visible()
    page.keyboard.press("Escape")
    expect(listed).to_be_hidden()


def test_the_keyboard_reaches_everything(server, open_page):
    page = open_page(server.url)
    talk(page)
    page.locator("#skip").focus()
    reached = []
    for _ in range(40):
        name = page.evaluate("""() => {
            const e = document.activeElement;
            return e === document.body ? '' : e.getAttribute('aria-label') || e.placeholder || e.textContent.trim().slice(0, 40);
        }""")
        if not name:
            break
        reached.append(name)
        page.keyboard.press("Tab")
    wanted = ["Skip to content", "Chat", "Compare", "Cache", "Theme: as the system. Change", "New chat", "Export",
              "Edit message", "Copy code", "Copy answer", "Regenerate answer", "Message the model", "Settings", "Send"]
    places = [reached.index(name) for name in wanted]
    assert places == sorted(places), reached
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("/")
    expect(page.get_by_label("Message the model")).to_be_focused()


def test_dark_mode_follows_the_system_or_the_choice(server, open_page):
    page = open_page(server.url, color_scheme="dark")

    def light():
        return page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")[0] > 128

    assert not light()
    page.emulate_media(color_scheme="light")
    page.wait_for_timeout(50)
    assert light()
    for name, is_light in (("light", True), ("dark", False)):
        page.get_by_role("button", name="Theme").click()
        expect(page.get_by_role("button", name=f"Theme: {name}")).to_be_visible()
        assert light() == is_light
    page.reload()
    assert not light()


def test_the_page_is_light_and_asks_nobody_else(server, open_page):
    """Bytes over the wire, packed; the library that colours code comes with the first code."""
    page = open_page("about:blank")
    made = []
    page.on("requestfinished", lambda done: made.append((done.url, done.sizes()["responseBodySize"])))
    page.goto(server.url)
    expect(page.locator(".server[data-status=ready]")).to_be_attached()
    expect(page.locator(".welcome")).to_be_visible()
    page.wait_for_load_state("networkidle")
    files = {url: size for url, size in made if "/v1/" not in url and "/props" not in url}
    assert all(url.startswith(server.url) for url, _ in made)
    assert "prism" not in json.dumps(list(files))
    assert 20_000 < sum(files.values()) < 60_000, files
    for view in ("Compare", "Cache"):
        page.get_by_role("link", name=view).click()
    expect(page.locator(".live")).to_have_text("live")
    assert sum(size for url, size in made if "/v1/" not in url and "/props" not in url) < 80_000, made
