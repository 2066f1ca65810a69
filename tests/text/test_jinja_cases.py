"""What jinja_cases.json expects of our engine is what Python's jinja2 does (run under TZ=UTC)."""

import os
import time

import jinja_cases


def test_expectations_are_those_of_jinja2(monkeypatch):
    monkeypatch.setitem(os.environ, "TZ", "UTC")
    time.tzset()
    data = jinja_cases.load()
    assert len(data["cases"]) > 1000
    wrong = [a for a, b in zip(data["cases"], jinja_cases.filled(data)["cases"]) if a != b]
    assert not wrong, f"{len(wrong)} differ, the first: {wrong[0]}"
