"""One prompt to several servers and settings, side by side, in a real browser. Two servers of the same model
give the same bytes, and the page says so."""

from playwright.sync_api import expect

from conftest import free_port
from web_page import fill_sheet


def column(page, index):
    return page.locator(".column").nth(index)


def set_up(page, index, **fields):
    column(page, index).get_by_role("button", name="Settings of this column").click()
    fill_sheet(page, **fields)


def ended(page, count, state="done"):
    expect(page.locator(f'.column .answer[data-state="{state}"]')).to_have_count(count)


def ask(page, text):
    page.get_by_label("Prompt for all columns").fill(text)
    page.keyboard.press("Enter")


def test_servers_and_settings_side_by_side(server, start_server, open_page):
    other = start_server("-c", 2048, "--cors", "localhost", "--alias", "the-other")
    page = open_page(server.url + "/#/compare")
    expect(column(page, 0).get_by_role("heading")).to_contain_text("SmolLM2")
    set_up(page, 0, temperature=0, max_tokens=24)
    set_up(page, 1, temperature=0, max_tokens=24, server=other.url)
    expect(column(page, 1).get_by_role("heading")).to_have_text("the-other")
    page.get_by_role("button", name="Add column").click()
    set_up(page, 2, server="", temperature=1, seed=5, name="warm")
    ask(page, "Tell me about rivers.")
    ended(page, 3)
    expect(column(page, 1).locator(".likeness")).to_have_text("same text as the first")
    expect(column(page, 2).locator(".likeness")).to_contain_text("differs from the first at character")
    for index in range(3):
        expect(column(page, index).locator(".speed")).to_contain_text("24 tokens")
    texts = [column(page, index).locator(".said").inner_text() for index in range(3)]
    assert texts[0] == texts[1] != texts[2]
    page.reload()  # columns are kept
    expect(column(page, 2).get_by_role("heading")).to_have_text("warm")
    column(page, 0).get_by_role("button", name="Remove this column").click()
    expect(page.locator(".column")).to_have_count(2)


def test_stop_ends_every_column(server, open_page):
    page = open_page(server.url + "/#/compare")
    for index in range(2):
        set_up(page, index, extra='{"ignore_eos": true}')
    ask(page, "Count to a million.")
    expect(page.locator('.column .answer[data-state="answering"]')).to_have_count(2)
    page.keyboard.press("Escape")
    ended(page, 2, "stopped")


def test_a_server_that_is_not_there_is_told(server, open_page):
    page = open_page(server.url + "/#/compare", may_log=["ERR_CONNECTION_REFUSED"])
    set_up(page, 0, max_tokens=4)
    set_up(page, 1, server=f"http://127.0.0.1:{free_port()}")
    expect(column(page, 1).locator(".where")).to_contain_text("does not answer")
    ask(page, "hi")
    ended(page, 1)
    ended(page, 1, "failed")
