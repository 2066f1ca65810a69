"""`llama-box run` as a person has it, in a pseudo-terminal: the bar while loading, the line editor, answers that can be
stopped, the commands."""

import os
import re

import pexpect
import pytest

from conftest import SMOLLM2

ENTER, CTRL_C, CTRL_D, UP, ALT_ENTER = "\r", "\x03", "\x04", "\x1b[A", "\x1b\r"


@pytest.fixture
def chat(binary, models, tmp_path):
    """A function that starts a chat and waits for its first prompt."""
    children = []

    def start(*flags, columns=80):
        environment = {**os.environ, "HOME": str(tmp_path), "TERM": "xterm", "LC_ALL": "C.UTF-8"}
        environment.pop("XDG_STATE_HOME", None)
        child = pexpect.spawn(str(binary), ["run", "-m", str(models(SMOLLM2.name)), "-c", "2048", "--temp", "0", *flags],
                              env=environment, dimensions=(40, columns), timeout=60, encoding="utf-8")
        children.append(child)
        child.expect_exact(">>> ")
        return child

    yield start
    for child in children:
        child.close(force=True)


def say(child, text, key=ENTER):
    child.send(text + key)


def answer(child):
    """What came until the next prompt, without styles and the echo of what was typed."""
    child.expect_exact("\r\n")
    child.expect_exact("\x1b[?2004h")  # written before each prompt: what is pasted shall be marked
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", child.before).replace("\r", "")


def test_a_chat_remembers_answers_and_ends(chat):
    child = chat("-n", "24")
    assert "loading" in child.before and "%" in child.before
    say(child, "Why is the sky blue?")
    assert "sky" in answer(child)
    say(child, "", CTRL_D)
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 0
    # The next chat finds it in the history, and nobody else may read that.
    history = os.path.join(child.env["HOME"], ".local/state/llama-box/history")
    assert os.stat(history).st_mode & 0o077 == 0
    child = chat("-n", "4")
    child.send(UP)
    child.expect_exact("Why is the sky blue?")


def test_ctrl_c_stops_the_answer_and_not_the_program(chat):
    child = chat()
    say(child, "/set parameter num_predict 2000")
    assert "num_predict set" in answer(child)
    say(child, "Write a very long story.")
    child.expect("[a-z]+ [a-z]+ [a-z]+ [a-z]+ ")  # it has begun
    child.send(CTRL_C)
    answer(child)
    say(child, "/set parameter num_predict 5")
    assert "num_predict set" in answer(child)
    # At the prompt it drops what was typed.
    child.send("half a li")
    child.send(CTRL_C)
    child.expect_exact("/bye ends the chat")
    child.expect_exact(">>> ")
    say(child, "/bye")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 0


def test_commands(chat):
    child = chat("-n", "8", "--system", "Be brief.")
    say(child, "/help")
    assert "/set parameter NAME VALUE" in answer(child)
    say(child, "/show system")
    assert "Be brief." in answer(child)
    say(child, "/show info")
    assert "context: 2048 tokens of 8192 trained" in answer(child)
    say(child, "/set parameter top_p 7")
    assert re.search("error: .*top_p", answer(child))
    say(child, "/show parameters")
    assert "none but" in answer(child)
    say(child, "/set verbose")
    answer(child)
    say(child, "My name is Ada.")
    first = answer(child)
    assert re.search(r"prompt: (\d+) tokens, 0 of them cached", first)
    say(child, "And yours?")
    longer = re.search(r"prompt: (\d+) tokens, (\d+) of them cached", answer(child))
    say(child, "/clear")
    answer(child)
    say(child, "My name is Ada.")
    again = re.search(r"prompt: (\d+) tokens", answer(child))
    assert int(longer[1]) > int(again[1])  # the conversation was forgotten
    say(child, "/nonsense")
    assert "no command /nonsense" in answer(child)


def test_texts_of_several_lines(chat):
    child = chat("-n", "4")
    say(child, '"""/set is no command')
    child.expect_exact("... ")
    say(child, 'when it begins like this"""')
    assert "verbose" not in answer(child)
    for typed in ["/system one" + ALT_ENTER + "two", "\x1b[200~/system one\rtwo\x1b[201~", "/system one\\" + ENTER + "two"]:
        say(child, typed)
        child.expect_exact("system message set")
        child.expect_exact(">>> ")
        say(child, "/show system")
        child.expect_exact("one\r\ntwo\r\n")
        child.expect_exact(">>> ")


def test_one_question_is_answered_in_markdown_at_the_terminals_width(binary, models):
    child = pexpect.spawn(str(binary), ["run", "-m", str(models(SMOLLM2.name)), "-c", "2048", "--temp", "0", "-n", "60", "Why is the sky blue?"],
                          dimensions=(40, 40), timeout=60, encoding="utf-8")
    child.expect(pexpect.EOF)
    child.wait()
    text = re.sub(r"\x1b\[[0-9;]*[a-zA-Z]", "", child.before.split("\x1b[K")[-1])
    lines = text.replace("\r", "").strip().split("\n")
    assert len(lines) > 3 and max(map(len, lines)) <= 40
    assert child.exitstatus == 0


def test_thoughts_are_dim(chat, tmp_path):
    template = tmp_path / "thinks.jinja"
    template.write_text("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
                        "<|im_start|>assistant\n<think>\n{# </think> #}")
    child = chat("-n", "12", "--reasoning-budget", "6", "--chat-template-file", str(template))
    say(child, "Hello")
    child.expect_exact("\x1b[0;2m")  # dim
    child.expect_exact("\x1b[0m\r\n\r\n")  # the thought is over: six tokens, and then the answer
    child.expect_exact(">>> ")
    say(child, "/set verbose")
    answer(child)
    say(child, "Hello again")
    assert "answer: 12 tokens" in answer(child)


def test_ctrl_c_stops_while_a_long_prompt_is_read(chat):
    child = chat("-c", "8192", "-t", "1", "-n", "20")
    say(child, "/set verbose")
    answer(child)
    child.send("\x1b[200~" + "word " * 6000 + "\x1b[201~" + ENTER)
    child.expect(r"reading the prompt: \d+ of 6\d\d\d tokens")
    child.send(CTRL_C)
    child.expect(r"prompt: 6\d\d\d tokens")
    child.expect_exact("answer: 0 tokens")
    child.expect_exact(">>> ")
    say(child, "/clear")
    assert "forgotten" in answer(child)
