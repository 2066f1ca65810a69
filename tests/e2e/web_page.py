"""What the tests of the web page share: how a user finds his way on it."""

import json


def answer(page, state="done", index=-1):
    """The answer at that place, once it is in that state."""
    found = page.locator(".message.assistant .answer")
    found = found.last if index == -1 else found.nth(index)
    found.and_(page.locator(f'[data-state="{state}"]')).wait_for()
    return found


def send(page, text):
    page.get_by_label("Message the model").fill(text)
    page.keyboard.press("Enter")


def settings(page, **fields):
    """Fills fields of the settings; their names are the request's."""
    page.get_by_role("button", name="Settings", exact=True).click()
    fill_sheet(page, **fields)


def fill_sheet(page, **fields):
    for name, value in fields.items():
        page.locator(f'dialog [data-key="{name}"]').fill(str(value))
    page.keyboard.press("Escape")
    page.locator("dialog").wait_for(state="detached")


def say(page, text):
    """From now on the model can say nothing but `text`: a grammar of one literal, for it to keep to."""
    escaped = "".join(c if c.isalnum() or c in " .,:/" else f"\\U{ord(c):08X}" for c in text)
    settings(page, extra=json.dumps({"grammar": f'root ::= "{escaped}"'}), max_tokens=400)


def stream(*deltas, finish="stop"):
    """The body of a streamed chat reply, for what no small model can be made to say."""
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}],
                   "usage": {"prompt_tokens": 9, "completion_tokens": len(deltas)}})
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def answer_with(page, body, status=200, kind="text/event-stream"):
    """Chat requests of the page get this reply instead of the server's; returns the requests' bodies."""
    asked = []

    def reply(route):
        asked.append(route.request.post_data_json)
        route.fulfill(status=status, content_type=kind, body=body)

    page.route("**/v1/chat/completions", reply)
    return asked
