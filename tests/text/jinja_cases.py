"""Fills in jinja_cases.json: one small template per feature of the language, each with what
Python's jinja2 makes of it. To add a case, add a line with its feature and template, then run this.
jinja_cases_test.cc holds our engine to that file; test_jinja_cases.py holds the file to jinja2."""

import json
import pathlib

import jinja_oracle

FILE = pathlib.Path(__file__).with_name("jinja_cases.json")


def load():
    return json.loads(FILE.read_text(encoding="utf-8"))


def expectation(template, context):
    """{"text": ...}, or {"refused": the words of raise_exception, or true}."""
    text, refusal = jinja_oracle.render(template, context)
    if text is not None:
        return {"text": text}
    return {"refused": refusal[1] if refusal[0] == "raised" else True}


def filled(data):
    cases = [
        {"feature": c["feature"], "template": c["template"], **expectation(c["template"], data["context"])}
        for c in data["cases"]
    ]
    return {"now": jinja_oracle.NOW, "context": data["context"], "cases": cases}


def dump(data):
    head = json.dumps({"now": data["now"], "context": data["context"]}, ensure_ascii=False)[1:-1]
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in data["cases"])
    return "{" + head + ',\n"cases": [\n' + lines + "\n]}\n"


if __name__ == "__main__":
    FILE.write_text(dump(filled(load())), encoding="utf-8")
