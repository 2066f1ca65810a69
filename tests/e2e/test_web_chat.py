"""The page's chat in a real browser, on a real server: answers stream, stop, can be asked for again and
edited; settings reach the server; thoughts fold, tool calls show; the browser keeps it all and exports it."""

import json

import pytest
from playwright.sync_api import expect

import web_page
from http_api import request
from web_page import answer, answer_with, send, settings, stream

HELLO = {"temperature": 0, "max_tokens": 24}


@pytest.fixture
def page(server, open_page):
    page = open_page(server.url)
    expect(page.locator(".server[data-status=ready]")).to_contain_text("SmolLM2")
    return page


def test_an_answer_is_the_servers_and_is_kept(page, server):
    settings(page, **HELLO)
    send(page, "Say hello to the whole world.")
    shown = answer(page)
    _, reply, _ = request(server, "POST", "/v1/chat/completions", {
        "messages": [{"role": "user", "content": "Say hello to the whole world."}], **HELLO})
    text = reply["choices"][0]["message"]["content"]
    assert shown.locator(".said").inner_text().split() == text.split()
    expect(shown.locator(".speed")).to_contain_text("24 tokens")
    expect(shown.locator(".speed")).to_contain_text("cut at the token limit")
    page.reload()
    page.get_by_role("button", name="Say hello to the whole world.", exact=True).click()
    assert answer(page).locator(".said").inner_text().split() == text.split()


def test_an_answer_grows_and_stops_when_told(page, server):
    settings(page, extra='{"ignore_eos": true}')
    send(page, "Write a long story.")
    growing = answer(page, "answering")
    expect(growing.locator(".said")).to_contain_text(" ")
    assert request(server, "GET", "/kv")[1]["sequences"]
    page.get_by_role("button", name="Stop").click()
    stopped = answer(page, "stopped")
    assert stopped.locator(".said").inner_text().strip()
    expect(stopped.locator(".speed")).to_contain_text("stopped")
    for _ in range(100):
        if not request(server, "GET", "/kv")[1]["sequences"]:
            break
        page.wait_for_timeout(50)
    else:
        raise AssertionError("the server still writes")
    send(page, "Another one.")
    answer(page, "answering", index=1)
    page.keyboard.press("Escape")
    answer(page, "stopped", index=1)


def test_a_long_prompt_shows_how_far_it_is_read(page):
    settings(page, max_tokens=4)
    send(page, "word " * 2500)
    expect(page.locator(".wait")).to_contain_text("Reading the prompt")
    answer(page)
    expect(page.locator(".wait")).to_be_hidden()


def test_regenerating_keeps_both_versions(page):
    settings(page, temperature=1, seed=1, max_tokens=16)
    send(page, "Name an animal.")
    first = answer(page).locator(".said").inner_text()
    settings(page, seed=2)
    page.get_by_role("button", name="Regenerate answer").click()
    expect(page.locator(".versions")).to_contain_text("2 / 2")
    second = answer(page).locator(".said").inner_text()
    assert page.locator(".message").count() == 2
    page.get_by_role("button", name="Version before").click()
    expect(page.locator(".versions")).to_contain_text("1 / 2")
    assert answer(page).locator(".said").inner_text() == first
    page.get_by_role("button", name="Next version").click()
    assert answer(page).locator(".said").inner_text() == second


def test_an_edited_message_is_sent_in_place_of_what_followed(page):
    asked = answer_with(page, stream({"content": "Fine."}))
    send(page, "one")
    answer(page)
    send(page, "two")
    answer(page, index=1)
    page.get_by_label("Message the model").press("ArrowUp")  # the last one, from the empty box
    page.get_by_role("textbox", name="Edit message").fill("three")
    page.keyboard.press("Enter")
    expect(page.locator(".bubble").last).to_have_text("three")
    answer(page, index=1)
    page.locator(".message.user").first.get_by_role("button", name="Edit message").click()
    page.get_by_role("textbox", name="Edit message").fill("four")
    page.keyboard.press("Enter")
    expect(page.locator(".bubble")).to_have_text(["four"])
    answer(page)
    assert [[m["content"] for m in body["messages"]] for body in asked] == [
        ["one"], ["one", "Fine.", "two"], ["one", "Fine.", "three"], ["four"]]


def test_settings_reach_the_server(page):
    asked = answer_with(page, stream({"content": "ok"}))
    page.get_by_role("button", name="Settings", exact=True).click()
    page.locator('dialog [data-key="thinking"]').select_option("off")
    web_page.fill_sheet(page, system="Be brief.", temperature=0.5, top_k=7, seed=3, stop="END\nSTOP",
                        tools='[{"type": "function", "function": {"name": "f"}}]', extra='{"logit_bias": {"5": 1}}')
    send(page, "hi")
    answer(page)
    body = asked[0]
    assert body["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    wanted = {"temperature": 0.5, "top_k": 7, "seed": 3, "stop": ["END", "STOP"], "logit_bias": {"5": 1},
              "tools": [{"type": "function", "function": {"name": "f"}}], "stream": True,
              "chat_template_kwargs": {"enable_thinking": False}}
    assert {name: body.get(name) for name in wanted} == wanted
    assert "top_p" not in body  # the server's own default
    expect(page.locator(".composer .chip").first).to_have_text("Temperature 0.5")
    page.reload()
    expect(page.locator(".composer .chip").first).to_have_text("Temperature 0.5")
    settings(page, extra="{")
    send(page, "hi")
    expect(answer(page, "failed").get_by_role("alert")).to_contain_text("More fields")


def test_a_model_is_chosen_where_there_are_several(server, open_page):
    page = open_page("about:blank")
    page.route("**/v1/models", lambda route: route.fulfill(json={"data": [{"id": "small"}, {"id": "large"}]}))
    page.goto(server.url)
    asked = answer_with(page, stream({"content": "ok"}))
    page.get_by_label("Model", exact=True).select_option("large")
    send(page, "hi")
    answer(page)
    page.reload()
    expect(page.get_by_label("Model", exact=True)).to_have_value("large")
    assert asked[0]["model"] == "large"


def test_thoughts_are_folded(page):
    answer_with(page, stream({"reasoning_content": "Let me "}, {"reasoning_content": "see."}, {"content": "42"}))
    send(page, "What is it?")
    shown = answer(page)
    expect(shown.locator(".said")).to_have_text("42")
    thought = shown.get_by_text("Let me see.")
    expect(thought).to_be_hidden()
    shown.get_by_text("Thought").click()
    expect(thought).to_be_visible()


def test_tool_calls_are_shown_and_answered(page):
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"ci'}}
    asked = answer_with(page, stream({"tool_calls": [call]}, {"tool_calls": [
        {"index": 0, "function": {"arguments": 'ty":"Oslo"}'}}]}, finish="tool_calls"))
    send(page, "How is the weather in Oslo?")
    card = answer(page).locator(".tool-call")
    expect(card.locator("code")).to_have_text("get_weather")
    expect(card.locator("pre")).to_have_text('{\n  "city": "Oslo"\n}')
    page.unroute("**/v1/chat/completions")
    asked = answer_with(page, stream({"content": "It rains."}))
    page.get_by_label("Result of get_weather").fill("rain, 7 degrees")
    page.get_by_role("button", name="Send result").click()
    expect(answer(page, index=1).locator(".said")).to_have_text("It rains.")
    expect(page.get_by_role("button", name="Send result")).to_have_count(0)
    assert asked[0]["messages"][1:] == [
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "rain, 7 degrees"}]


def test_code_is_coloured_and_copied(server, open_page):
    page = open_page(server.url, permissions=["clipboard-read", "clipboard-write"])
    code = 'def f(x):\n    return x < 1 and "a&b"\n'
    answer_with(page, stream({"content": f"See:\n\n```python\n{code}```\n\n| a | b |\n|---|--:|\n| 1 | `x` |\n"}))
    send(page, "code")
    shown = answer(page)
    expect(shown.locator(".code .tok-keyword").first).to_have_text("def")
    assert shown.locator(".code pre").text_content() == code.rstrip("\n")
    shown.get_by_role("button", name="Copy code").click()
    expect(shown.get_by_role("button", name="Copy code")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == code.rstrip("\n")
    expect(shown.locator("td.align-right code")).to_have_text("x")


def test_export_and_delete(page):
    answer_with(page, stream({"reasoning_content": "hm"}, {"content": "**Hello**"}))
    send(page, "Greet me")
    answer(page)
    saved = {}
    for kind in ("JSON", "Markdown"):
        page.get_by_label("Export").click()
        with page.expect_download() as download:
            page.get_by_role("button", name=kind).click()
        saved[kind] = download.value.path().read_text()
        assert download.value.suggested_filename == {"JSON": "Greet-me.json", "Markdown": "Greet-me.md"}[kind]
    whole = json.loads(saved["JSON"])
    assert [(m["role"], m["content"]) for m in whole["messages"]] == [("user", "Greet me"), ("assistant", "**Hello**")]
    assert "# Greet me\n" in saved["Markdown"] and "> hm" in saved["Markdown"] and "**Hello**" in saved["Markdown"]
    page.get_by_role("button", name="Delete Greet me").click()
    expect(page.locator(".chats .chat")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".chats .chat")).to_have_text(["Greet me"])


def test_errors_are_told(server, open_page):
    page = open_page(server.url, may_log=["status of 400"])
    settings(page, max_tokens=5)
    send(page, "word " * 5000)  # more than the context of 4096
    expect(answer(page, "failed").get_by_role("alert")).to_contain_text("4096")


def test_a_key_is_asked_for_and_kept(start_server, open_page):
    server = start_server("-c", 512, "--api-key", "secret")
    page = open_page(server.url, may_log=["status of 401"])
    page.get_by_label("API key").fill("wrong")
    page.get_by_role("button", name="Use").click()
    expect(page.locator(".server")).to_contain_text("needs a key")
    page.get_by_label("API key").fill("secret")
    page.get_by_role("button", name="Use").click()
    expect(page.locator(".key-banner")).to_be_hidden()
    page.reload()
    settings(page, max_tokens=4)
    send(page, "hi")
    answer(page)
    page.get_by_role("link", name="Cache").click()
    expect(page.locator(".live")).to_have_text("live")
