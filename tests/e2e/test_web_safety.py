"""Nobody trusts what a model writes: HTML, script links, pictures and the like stay text on the page; and were
something to slip through, the policy that is sent with the page would not let it run."""

import pytest
from playwright.sync_api import expect

from http_api import request
from web_page import answer, answer_with, say, send, stream

HOSTILE = [
    '<script>window.hacked = 1</script>',
    '<img src=x onerror="window.hacked = 1">',
    '<svg onload="window.hacked = 1"></svg>',
    '[click](javascript:window.hacked=1)',
    '[click](data:text/html;base64,PHNjcmlwdD4=)',
    '[click](JaVaScRiPt&#58;window.hacked=1)',
    '![picture](http://127.0.0.1:9/leak.png)',
    '![p](javascript:window.hacked=1)',
    '<a href="javascript:window.hacked=1">x</a>',
    '<iframe src="/"></iframe>',
    '<style>body{display:none}</style>',
    '<form action="http://127.0.0.1:9/"><button>x</button></form>',
    '```html"><img src=x onerror=window.hacked=1>\n<script>window.hacked = 1</script>\n```',
    '<http://127.0.0.1:9/" onclick="window.hacked=1>',
    '| a |\n|---|\n| <img src=x onerror=window.hacked=1> |',
]


def inert(page, requests):
    """Nothing ran, nothing was fetched from elsewhere, no element came of it that could do either."""
    assert page.evaluate("window.hacked") is None
    strange = page.locator("main").locator(
        "script, img, iframe, object, embed, style, link, base, video, audio, [onerror], [onload], [onclick], .markdown form")
    expect(strange).to_have_count(0)
    for link in page.locator(".answer a").all():
        assert link.get_attribute("href").startswith(("http://", "https://", "mailto:")), link.get_attribute("href")
    assert all(url.startswith(page.url.split("#")[0]) for url in requests), requests


@pytest.fixture
def watched(server, open_page):
    page = open_page(server.url)
    requests = []
    page.on("request", lambda made: requests.append(made.url))
    return page, requests


def test_what_the_model_says_stays_text(watched):
    """A grammar makes the real model say it, token by token, through the whole server."""
    page, requests = watched
    text = HOSTILE[0] + " " + HOSTILE[1] + " " + HOSTILE[3]
    say(page, text)
    send(page, "Go on.")
    expect(answer(page).locator(".said")).to_contain_text('<img src=x onerror="window.hacked = 1">')
    inert(page, requests)
    page.reload()  # and from the history
    page.get_by_role("button", name="Go on.", exact=True).click()
    expect(answer(page).locator(".said")).to_contain_text("<script>window.hacked = 1</script>")
    inert(page, requests)


def test_every_way_in_stays_text(watched):
    page, requests = watched
    for text in HOSTILE:
        page.unroute("**/v1/chat/completions")
        middle = len(text) // 2  # cut where a stream may cut it
        answer_with(page, stream(
            {"reasoning_content": text}, {"content": text[:middle]}, {"content": text[middle:]},
            {"tool_calls": [{"index": 0, "id": text, "function": {"name": text, "arguments": text}}]}))
        page.get_by_role("button", name="New chat").first.click()
        send(page, text)  # also as the title
        answer(page)
        page.get_by_text("Thought").click()
        inert(page, requests)
    page.unroute("**/v1/chat/completions")
    answer_with(page, stream({"error": 1}).replace('"choices"', '"x"').replace(
        "data: {", 'data: {"error": {"message": "<img src=x onerror=window.hacked=1>"}, ', 1))
    page.get_by_role("button", name="New chat").first.click()
    send(page, "error")
    expect(answer(page, "failed").get_by_role("alert")).to_contain_text("<img src=x")
    inert(page, requests)


def test_links_open_elsewhere_and_tell_nothing(watched):
    page, _ = watched
    answer_with(page, stream({"content": "[a](https://example.org/x?a=1&b=2 \"t\") and <https://example.org/y>"}))
    send(page, "links")
    links = answer(page).locator("a")
    assert [link.get_attribute("href") for link in links.all()] == ["https://example.org/x?a=1&b=2", "https://example.org/y"]
    for link in links.all():
        assert link.get_attribute("target") == "_blank"
        assert link.get_attribute("rel") == "noopener noreferrer nofollow"


def test_the_policy_is_sent_and_kept(server, open_page):
    _, _, headers = request(server, "GET", "/")
    policy = headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy and "unsafe" not in policy and "default-src 'none'" in policy
    page = open_page(server.url, may_log=["Content Security Policy", "TrustedHTML", "TrustedScript", "violates the following"])
    page.evaluate("""() => {
        const script = document.createElement('script');
        try { script.textContent = 'window.hacked = 1'; } catch {}
        document.body.append(script);
        const image = document.createElement('img');
        try { image.setAttribute('onerror', 'window.hacked = 1'); } catch {}
        image.src = 'data:,x';
        document.body.append(image);
    }""")
    page.wait_for_timeout(200)
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("""() => {
        try { document.body.innerHTML = '<b>x</b>'; return 'made'; } catch (error) { return error.name; }
    }""") == "TypeError"
    assert page.evaluate("fetch('http://192.0.2.1/').then(() => 'fetched', () => 'refused')") == "refused"


def test_the_page_can_be_left_out_or_replaced(start_server, tmp_path):
    assert request(start_server("--no-webui"), "GET", "/")[0] == 404
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("mine")
    server = start_server("--path", tmp_path / "site")
    status, text, headers = request(server, "GET", "/")
    assert (status, text) == (200, "mine") and "Content-Security-Policy" not in headers
    assert request(server, "GET", "/app.js")[0] == 404
