"""Structured output from a real model through the real server: what comes back is an instance by the
jsonschema package, streamed or not, and what cannot be enforced is refused by name (case C22)."""

import concurrent.futures
import json

import jsonschema
import openai
import pytest
import requests
from structured.schemas import REFUSED, SCHEMAS


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0, timeout=300)


def ask(server, **fields):
    body = {"messages": [{"role": "user", "content": "Give me an example, short."}], "max_tokens": 400,
            "temperature": 1, "seed": 3, **fields}
    return requests.post(server.url + "/v1/chat/completions", json=body, timeout=300)


def json_schema(schema):
    return {"type": "json_schema", "json_schema": {"name": "it", "strict": True, "schema": schema}}


def text_of(reply):
    assert reply.status_code == 200, reply.text
    return reply.json()["choices"][0]["message"]["content"]


def test_there_are_enough_schemas():
    assert len(SCHEMAS) >= 200
    for schema in SCHEMAS.values():
        jsonschema.validators.validator_for(schema).check_schema(schema)


# Every third here; bench/scenarios/json_schemas.py asks for all of them, of other models and servers too.
@pytest.mark.parametrize("part", range(4))
def test_answers_are_instances(server, part):
    names = sorted(SCHEMAS)[part::12]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        replies = pool.map(lambda name: ask(server, response_format=json_schema(SCHEMAS[name])), names)
        for name, reply in zip(names, replies):
            assert reply.status_code == 200, (name, reply.text)
            choice = reply.json()["choices"][0]
            if choice["finish_reason"] == "length":
                continue
            jsonschema.validate(json.loads(choice["message"]["content"]), SCHEMAS[name])


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_enforced_is_refused_by_name(server, name):
    schema, keyword = REFUSED[name]
    reply = ask(server, response_format=json_schema(schema))
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert keyword in error["message"]
    assert error["param"] == "response_format.json_schema.schema"


def test_client_with_pydantic(client):
    from pydantic import BaseModel, Field

    class Event(BaseModel):
        name: str = Field(max_length=20)
        day: int = Field(ge=1, le=31)

    reply = client.chat.completions.parse(
        model="any", messages=[{"role": "user", "content": "A party on the 5th."}],
        response_format=Event, max_tokens=400, seed=3)
    event = reply.choices[0].message.parsed
    assert 1 <= event.day <= 31 and len(event.name) <= 20


def test_streamed_is_the_same(client):
    schema = SCHEMAS["object_nested"]
    more = {"model": "any", "messages": [{"role": "user", "content": "An example."}], "temperature": 0,
            "max_tokens": 100, "response_format": json_schema(schema)}
    whole = client.chat.completions.create(**more).choices[0].message.content
    parts = [chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(stream=True, **more)
             if chunk.choices]
    assert "".join(parts) == whole and len(parts) > 3
    jsonschema.validate(json.loads(whole), schema)


def test_json_object(server):
    text = text_of(ask(server, response_format={"type": "json_object", "schema": {"type": "object", "maxProperties": 2}}))
    assert isinstance(json.loads(text), dict)
    reply = ask(server, response_format={"type": "json_object"}, max_tokens=60)
    assert text_of(reply).startswith("{")


def test_answers_of_n_are_each_bound(server):
    reply = ask(server, n=4, response_format=json_schema(SCHEMAS["enum_1"]))
    texts = [choice["message"]["content"] for choice in reply.json()["choices"]]
    assert len(texts) == 4
    for text in texts:
        jsonschema.validate(json.loads(text), SCHEMAS["enum_1"])


def test_grammar_regex_and_choices(server):
    assert text_of(ask(server, grammar='root ::= "yes" | "no"')) in ("yes", "no")
    assert text_of(ask(server, guided_choice=["Paris", 'a "b" \\'])) in ("Paris", 'a "b" \\')
    text = text_of(ask(server, structured_outputs={"regex": "[A-Z]{3}-\\d{2}"}))
    assert len(text) == 6 and text[3] == "-"
    text = text_of(ask(server, guided_json=json.dumps(SCHEMAS["value_boolean"])))
    assert json.loads(text) in (True, False)
    reply = requests.post(server.url + "/completion", timeout=300, json={
        "prompt": "x", "seed": 3, "n_predict": 200, "json_schema": SCHEMAS["object_boolean"], "ignore_eos": True})
    jsonschema.validate(json.loads(reply.json()["content"]), SCHEMAS["object_boolean"])
    # Text of any length, forced: what other tests make a small model say.
    words = 'He said: "no" \u00e9\u4f60\n' * 3
    escaped = words.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    assert text_of(ask(server, grammar=f'root ::= "{escaped}"')) == words


@pytest.mark.parametrize("fields,param,words", [
    ({"grammar": 'root ::= "a" | what'}, "grammar", "line 1, column 16"),
    ({"grammar": "root ::= root"}, "grammar", "left recursion"),
    ({"guided_regex": "(?=x)"}, "guided_regex", "lookahead"),
    ({"guided_choice": []}, "guided_choice", "at least one"),
    ({"response_format": {"type": "xml"}}, "response_format.type", "json_schema"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "object"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format.json_schema.schema", "schema"),
    ({"grammar": 'root ::= "a"', "guided_regex": "b"}, "guided_regex", "only one"),
    ({"json_schema": "{nonsense"}, "json_schema", "JSON"),
    ({"grammar_lazy": True}, "grammar_lazy", "beginning"),
])
def test_errors(server, fields, param, words):
    reply = ask(server, **fields)
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert error["param"] == param and words in error["message"], error


def test_hostile_schemas_are_quick_and_harm_nobody(server):
    deep = {"type": "integer"}
    for _ in range(40):
        deep = {"type": "array", "items": deep, "maxItems": 2}
    hostile = [deep, {"type": "string", "maxLength": 20000}, {"type": "array", "items": {"type": "string", "maxLength": 1000}, "maxItems": 1000},
               {"enum": [f"value {i}" for i in range(3000)]}, {"anyOf": [{"const": i} for i in range(1500)]},
               {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(1000)}},
               {"type": "string", "pattern": "^((a|b){0,50}){0,100}$"}, {"type": "array", "maxItems": 100000000, "items": {"type": "string"}}]
    for schema in hostile:
        reply = ask(server, response_format=json_schema(schema), max_tokens=2)
        assert reply.status_code in (200, 400), reply.text
        assert requests.get(server.url + "/health", timeout=10).status_code == 200
