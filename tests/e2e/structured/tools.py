"""Tools and questions about them: what tests/e2e/test_tools.py and bench/scenarios/tool_calls.py ask."""

import json

import jsonschema


def function(name, description, properties, required=None, **more):
    parameters = {"type": "object", "properties": properties,
                  "required": list(properties) if required is None else required, **more}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


CITY = {"type": "string", "description": "Name of the city"}
TOOLS = {tool["function"]["name"]: tool for tool in (
    function("get_weather", "Weather of a city", {"city": CITY, "unit": {"enum": ["celsius", "fahrenheit"]}}, ["city"]),
    function("get_time", "Time of day in a time zone", {"tz": {"type": "string", "description": "as CET"}}),
    function("calculate", "Computes a sum of numbers",
             {"numbers": {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 5}}),
    function("create_event", "Writes an event into the calendar",
             {"title": {"type": "string", "maxLength": 40}, "day": {"type": "string", "format": "date"},
              "guests": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
              "place": {"type": ["string", "null"]}, "online": {"type": "boolean"}},
             ["title", "day", "online"], additionalProperties=False),
    function("search", "Searches the web", {"query": {"type": "string"}, "limit": {"type": "integer", "minimum": 1,
                                                                                   "maximum": 10}}, ["query"]),
    function("restart", "Restarts the machine", {}),
)}
QUESTIONS = (
    "What is the weather in Paris?", "What time is it in Tokyo?", "Add 3, 4 and 5.5.",
    "Plan a meeting with Ann and Bob on 2026-03-05.", "Find pages about otters.", "Restart it, please.",
    "Hello!", "Ist es in Berlin gerade kalt?", "Tell me a joke.", "Sum up everything you know.",
)


def invalid(call, tools):
    """Why a call (name, arguments) is none of `tools`; "" when it is one."""
    name, arguments = call
    known = {tool["function"]["name"]: tool["function"]["parameters"] for tool in tools}
    if name not in known:
        return f"there is no tool {name}"
    try:
        jsonschema.validate(json.loads(arguments), known[name])
    except (jsonschema.ValidationError, json.JSONDecodeError) as fault:
        return f"{name}({arguments}): {str(fault).splitlines()[0]}"
    return ""
