"""Starts the real binary on a free port, as a user would.

LLAMABOX_BUILD (default build/release) has the binary, LLAMABOX_MODELS (default models) the model.
"""

import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("LLAMABOX_BUILD", ROOT / "build" / "release")) / "llama-box"
MODELS = pathlib.Path(os.environ.get("LLAMABOX_MODELS", ROOT / "models"))
SMOLLM2 = MODELS / "SmolLM2-135M-Instruct.Q4_1.gguf"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """One process; `log()` is what it wrote."""

    def __init__(self, *flags, model=SMOLLM2, tmp_path, wait=True):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = tmp_path / f"server-{self.port}.log"
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(
                [str(BINARY), *(() if model is None else ("-m", str(model))), "--port", str(self.port),
                 *map(str, flags)],
                stdout=log, stderr=log)
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self, seconds=120):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log()
            try:
                with urllib.request.urlopen(self.url + "/health", timeout=5) as reply:
                    if reply.status == 200:
                        return
            except (OSError, urllib.error.URLError):
                pass
            time.sleep(0.05)
        raise AssertionError("not ready in time:\n" + self.log())

    def log(self):
        return self._log.read_text(errors="replace")

    def stop(self, signal_number=signal.SIGTERM, seconds=10):
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        return self.process.wait(seconds)


@pytest.fixture
def start_server(tmp_path):
    """A function that starts servers; all of them end with the test."""
    assert BINARY.exists(), f"no binary at {BINARY}; build it or set LLAMABOX_BUILD"
    if not SMOLLM2.exists():
        pytest.skip(f"no model at {SMOLLM2} (tools/get_models.py fetches it)")
    servers = []

    def start(*flags, **more):
        servers.append(Server(*flags, tmp_path=tmp_path, **more))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


@pytest.fixture(scope="module")
def serve_module(tmp_path_factory):
    """A function that starts servers which live as long as the module's tests."""
    assert BINARY.exists(), f"no binary at {BINARY}; build it or set LLAMABOX_BUILD"
    servers = []

    def start(*flags, model):
        servers.append(Server(*flags, model=model, tmp_path=tmp_path_factory.mktemp("server")))
        return servers[-1]

    yield start
    for one in servers:
        one.stop()


@pytest.fixture(scope="module")
def server(serve_module):
    """One server for the tests of a module that do not need their own."""
    if not SMOLLM2.exists():
        pytest.skip(f"no model at {SMOLLM2} (tools/get_models.py fetches it)")
    return serve_module("-c", "4096", model=SMOLLM2)


@pytest.fixture(scope="session")
def models():
    """A function from a model's file name to its path; the test is skipped where it is missing."""

    def find(name):
        if not (MODELS / name).exists():
            pytest.skip(f"no model at {MODELS / name} (tools/get_models.py fetches it)")
        return MODELS / name

    return find


@pytest.fixture(scope="session")
def binary():
    assert BINARY.exists(), f"no binary at {BINARY}; build it or set LLAMABOX_BUILD"
    return BINARY


# ---- a real browser: Debian's chromium, headless, driven by playwright

CHROMIUM = os.environ.get("LLAMABOX_CHROMIUM", "/usr/bin/chromium")


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import expect, sync_playwright
    expect.set_options(timeout=60_000)
    with sync_playwright() as driver:
        # No sandbox: root has none, and the page is ours.
        yield driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture
def open_page(browser):
    """A function that opens an address in a fresh profile. Whatever the pages log as an error (a script that
    threw, something that the content security policy refused) fails the test; `may_log` names exceptions."""
    contexts, faults = [], []

    def open_page(url, may_log=(), **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning")
                and not any(text in message.text for text in may_log) else None)
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults, faults
