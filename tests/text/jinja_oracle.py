"""Python's jinja2, set up as the transformers library sets it up for chat templates."""

import datetime
import json
from functools import lru_cache

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

NOW = 1_760_000_000  # what strftime_now sees on both sides


class Refused(Exception):
    """raise_exception was called; the argument is the template's own words."""


class GenerationTag(jinja2.ext.Extension):
    """{% generation %} marks a model's own words in training data; here it changes nothing."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        call = self.call_method("_support")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _support(self, caller):
        return caller()


def _tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(
        x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise(message):
    raise Refused(str(message))


def _now(pattern):
    return datetime.datetime.fromtimestamp(NOW).strftime(pattern)


@lru_cache(maxsize=1)
def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[GenerationTag, jinja2.ext.loopcontrols],
    )
    env.filters["tojson"] = _tojson
    # Not in transformers; the DeepSeek templates of the corpus are written for engines that have it.
    env.filters["from_json"] = json.loads
    env.globals["raise_exception"] = _raise
    env.globals["strftime_now"] = _now
    return env


@lru_cache(maxsize=None)
def compiled(source):
    return environment().from_string(source)


def render(source, context):
    """(text, None), or (None, error): the template's own words, or None for any other refusal."""
    try:
        return compiled(source).render(**context), None
    except Refused as refused:
        return None, ("raised", str(refused))
    except Exception as error:  # whatever jinja2 and Python raise is a refusal
        return None, ("failed", f"{type(error).__name__}: {error}")
