"""Every command of README and docs/ runs, in the order of its page: each fenced block of sh or python, or the line above it says
why not. What the pages link to exists, and the tables of docs/migration.md are those of this program."""

import os
import pathlib
import re
import subprocess
import sys
import time

import pytest

from conftest import BINARY, SMOLLM2, free_port

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^(?:<!-- (not run by a test: \S[^\n]*|a server) -->\n)?```(\w*)\n(.*?)^```$", re.M | re.S)
# What a line of a command may begin with; where it stands without a fence no test would see it.
COMMAND = re.compile(r"^    (?:\$ )?(?:\./|llama-box |build/|bench/|tools/|packaging/|tests/|cmake |pip |curl |docker |export |apt)")


def blocks(page):
    """(marker or None, language, text) of each fenced block."""
    return [(marker or None, language, text) for marker, language, text in FENCE.findall(page.read_text())]


def name(page):
    return str(page.relative_to(ROOT))


@pytest.fixture
def environment(tmp_path):
    """PATH has the program, the current folder is the repository's, servers get a port of their own."""
    return {**os.environ, "PATH": f"{BINARY.parent}:{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
            "LLAMA_ARG_PORT": str(free_port()), "LLAMA_ARG_TEMPERATURE": "0", "LLAMA_ARG_N_PREDICT": "40", "HOME": str(tmp_path)}


def start_server(text, environment, log):
    server = subprocess.Popen(["bash", "-c", "exec " + text.split("#")[0]], cwd=ROOT, env=environment, stderr=log)
    for _ in range(600):
        if "ready: " in pathlib.Path(log.name).read_text():
            return server
        assert server.poll() is None, pathlib.Path(log.name).read_text()
        time.sleep(0.1)
    raise AssertionError("not ready: " + pathlib.Path(log.name).read_text())


@pytest.mark.parametrize("page", [page for page in PAGES if any(b[1] in ("sh", "python") for b in blocks(page))], ids=name)
def test_commands_of_a_page_run(page, environment, tmp_path):
    if not SMOLLM2.exists():
        pytest.skip(f"no model at {SMOLLM2}")
    servers = []
    try:
        for marker, language, text in blocks(page):
            if language not in ("sh", "python") or (marker and marker.startswith("not run")):
                continue
            text = text.replace("MODEL.gguf", str(SMOLLM2)).replace("127.0.0.1:8080", f"127.0.0.1:{environment['LLAMA_ARG_PORT']}")
            if marker == "a server":
                with open(tmp_path / "log", "w") as log:
                    servers.append(start_server(text, environment, log))
                continue
            command = ["bash", "-euo", "pipefail", "-c", text] if language == "sh" else [sys.executable, "-c", text]
            result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
            assert result.returncode == 0, f"{text}\n{result.stderr}"
            assert result.stdout.strip(), f"nothing was printed by:\n{text}"
    finally:
        for server in servers:
            server.kill()
            server.wait()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_stand_in_fences(page):
    bare = FENCE.sub("", page.read_text())
    assert "```" not in bare, "a fence that is not closed, or has another line above it"
    assert [line for line in bare.splitlines() if COMMAND.match(line)] == []


def test_this_file_sees_what_it_must():
    assert COMMAND.match("    llama-box -m x") and COMMAND.match("    ./demo.sh") and not COMMAND.match("    free + cached")
    found = FENCE.findall("<!-- a server -->\n```sh\nx\n```\n\n```python\ny\n```\n<!-- not run by a test: why -->\n```sh\nz\n```\n")
    assert found == [("a server", "sh", "x\n"), ("", "python", "y\n"), ("not run by a test: why", "sh", "z\n")]
    runnable = [b for page in PAGES for b in blocks(page) if b[1] in ("sh", "python") and not (b[0] or "").startswith("not run")]
    assert len(runnable) >= 4




@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_a_page_names_exist(page):
    missing = []
    for path in re.findall(r"`((?:docs|src|tests|tools|bench|packaging|cmake)/[\w./*-]+)`", page.read_text()):
        found = list(ROOT.glob(path.rstrip("/"))) if "*" in path else [ROOT / path]
        if re.search("FAMILY|TYPE|NAME", path):  # to be chosen
            continue
        # src/base/log stands for log.h and log.cc; src/engine/scheduler.* for both.
        if not any(file.exists() for file in found) and not list(ROOT.glob(path.rstrip(".") + ".*")):
            missing.append(path)
    assert missing == []


def test_the_tables_of_migration_are_this_programs(binary):
    printed = subprocess.run([str(ROOT / "tools" / "migration_table"), "--print"], capture_output=True, text=True, check=True,
                             env={**os.environ, "LLAMABOX_BUILD": str(binary.parent)}).stdout
    assert printed == (ROOT / "docs" / "migration.md").read_text(), "run tools/migration_table"
