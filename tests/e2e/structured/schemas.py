"""JSON schemas of the kinds people send: SCHEMAS maps a name to a schema, REFUSED those that no
grammar can enforce to the keyword that the refusal must name."""


def obj(required=None, **properties):
    return {"type": "object", "properties": properties,
            "required": list(properties) if required is None else required,
            "additionalProperties": False}


STR, INT, NUM, BOOL, NULL = ({"type": t} for t in ("string", "integer", "number", "boolean", "null"))
SHORT = {"type": "string", "maxLength": 24}


def arr(items, **more):
    return {"type": "array", "items": items, **more}


def enum(*values):
    return {"enum": list(values)}


def optional(schema):
    return {"anyOf": [schema, NULL]}


SCHEMAS = {}


def add(name, schema):
    assert name not in SCHEMAS, name
    SCHEMAS[name] = schema


# Single values.
for name, schema in {"string": SHORT, "integer": {"type": "integer", "minimum": -999, "maximum": 999},
                     "number": {"type": "number", "minimum": -10, "maximum": 10},
                     "boolean": BOOL, "null": NULL, "any_array": arr({}, maxItems=2),
                     "any_object": {"type": "object", "maxProperties": 2}}.items():
    add(f"value_{name}", schema)

# Objects with each kind of member, required and optional.
MEMBERS = {
    "string": SHORT, "integer": {"type": "integer", "minimum": 0, "maximum": 9999}, "number": {"type": "number", "minimum": 0, "maximum": 1},
    "boolean": BOOL, "null": NULL, "enum": enum("red", "green", "blue"), "const": {"const": "v1"},
    "array": arr(SHORT, maxItems=3), "nested": obj(a=SHORT, b=BOOL), "nullable": optional(SHORT),
    "types": {"type": ["string", "null"], "maxLength": 8},
}
for name, schema in MEMBERS.items():
    add(f"object_{name}", obj(value=schema))
    add(f"object_optional_{name}", obj(required=["id"], id={"type": "integer", "minimum": 1, "maximum": 99}, value=schema))
    add(f"array_of_{name}", arr(schema, minItems=1, maxItems=2))

# Enums.
for i, values in enumerate([["a"], ["yes", "no"], [1, 2, 3], [True, None, "x", 1.5], ["with space", "quo\"te", "back\\slash"],
                            ["\u00e9t\u00e9", "\u4f60\u597d", "\U0001f600"], [{"a": 1}, {"a": 2}], [["x", 1], []],
                            [f"option_{k}" for k in range(100)], ["", "nonempty"], [0, -1, 1000000], ["a/b", "c\td"]]):
    add(f"enum_{i}", obj(choice={"enum": values}))
    add(f"enum_typed_{i}", obj(choice={"enum": [v for v in values if isinstance(v, str)] or ["z"], "type": "string"}))
for i, value in enumerate(["text", 5, None, False, {"k": [1, {"z": "y"}]}, [1, "two"]]):
    add(f"const_{i}", obj(fixed={"const": value}))

# Numbers with bounds.
for i, bounds in enumerate([dict(minimum=0, maximum=10), dict(minimum=-5, maximum=5), dict(minimum=100, maximum=99999), dict(minimum=7, maximum=7),
                            dict(exclusiveMinimum=0, exclusiveMaximum=100), dict(maximum=-1, minimum=-1000), dict(minimum=1, maximum=31),
                            dict(minimum=1900, maximum=2100), dict(multipleOf=5, minimum=0, maximum=100), dict(multipleOf=7, minimum=-70, maximum=70),
                            dict(minimum=0.5, maximum=9.5), dict(minimum=0), dict(maximum=255, minimum=0), dict(minimum=18, exclusiveMinimum=20, maximum=65)]):
    add(f"integer_bounds_{i}", obj(n={"type": "integer", **bounds}))
for i, bounds in enumerate([dict(minimum=0, maximum=1), dict(minimum=-1, maximum=1), dict(exclusiveMinimum=0, maximum=5), dict(minimum=0.25, maximum=0.75),
                            dict(minimum=-273.15, maximum=1000), dict(exclusiveMinimum=-1, exclusiveMaximum=1), dict(minimum=3, maximum=4),
                            dict(minimum=99.5, maximum=100.5), dict(minimum=0, maximum=0.001), dict(multipleOf=2, minimum=0, maximum=50)]):
    add(f"number_bounds_{i}", obj(x={"type": "number", **bounds}))

# Strings.
for i, limits in enumerate([dict(minLength=1, maxLength=5), dict(minLength=3, maxLength=3), dict(maxLength=1), dict(minLength=10, maxLength=40), dict(minLength=0, maxLength=12)]):
    add(f"string_length_{i}", obj(s={"type": "string", **limits}))
for i, pattern in enumerate(["^[a-z]+$", "^[A-Z]{2}[0-9]{4}$", "^\\d{3}-\\d{4}$", "^(yes|no|maybe)$", "^[^aeiou]{3,6}$", "^#[0-9a-fA-F]{6}$",
                             "^v\\d+\\.\\d+\\.\\d+$", "^\\+?[0-9 ]{6,12}$", "^[\\w.-]+@[\\w-]+\\.[a-z]{2,4}$", "^.{1,10}$", "^a?b*c+$",
                             "^(?:[01]\\d|2[0-3]):[0-5]\\d$", "^[\u00e0-\u00ff]{2,4}$", "^[\u4e00-\u9fff]{1,5}$", "^\\S+ \\S+$", "^\\$\\d+\\.\\d{2}$",
                             "^[a-z]+(-[a-z]+)*$", "^\\[[0-9]+\\]$", "^(a|b(c|d)){2}$", "^$|^x$"]):
    add(f"pattern_{i}", obj(s={"type": "string", "pattern": pattern}))
for name in ["date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri", "json-pointer"]:
    add(f"format_{name}", obj(s={"type": "string", "format": name}))

# Arrays.
for i, schema in enumerate([arr(INT, minItems=0, maxItems=3), arr(SHORT, minItems=2, maxItems=2), arr(BOOL, minItems=1, maxItems=5),
                            arr(arr({"type": "integer", "minimum": 0, "maximum": 9}, minItems=3, maxItems=3), minItems=3, maxItems=3),
                            arr(obj(x={"type": "integer", "minimum": 0, "maximum": 99}, y={"type": "integer", "minimum": 0, "maximum": 99}), minItems=1, maxItems=3),
                            {"type": "array", "prefixItems": [SHORT, BOOL], "items": False},
                            {"type": "array", "prefixItems": [enum("GET", "POST"), SHORT], "items": BOOL, "maxItems": 4},
                            arr(enum("a", "b"), minItems=4, maxItems=4), arr(optional(BOOL), minItems=1, maxItems=3),
                            {"$schema": "http://json-schema.org/draft-07/schema#", "type": "array", "items": [SHORT, NULL], "additionalItems": False},
                            arr({}, minItems=1, maxItems=1), {"type": "array", "uniqueItems": True, "maxItems": 1, "items": SHORT}]):
    add(f"array_{i}", schema)
    if "$schema" not in schema:  # one of an old draft stands alone
        add(f"object_array_{i}", obj(list=schema))

# Objects: open, patterns, names, counts.
for i, schema in enumerate([
        {"type": "object", "additionalProperties": BOOL, "maxProperties": 3},
        {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 9}, "minProperties": 1, "maxProperties": 2},
        {"type": "object", "patternProperties": {"^[a-z]{1,6}$": BOOL}, "additionalProperties": False, "maxProperties": 3},
        {"type": "object", "propertyNames": {"pattern": "^[A-Z]{2}$"}, "additionalProperties": SHORT, "maxProperties": 2, "minProperties": 1},
        {"type": "object", "propertyNames": {"enum": ["x", "y", "z"]}, "additionalProperties": BOOL},
        {"type": "object", "properties": {"a": BOOL, "b": BOOL, "c": BOOL}, "minProperties": 2, "additionalProperties": False},
        {"type": "object", "properties": {"a": BOOL, "b": BOOL, "c": BOOL}, "maxProperties": 1, "additionalProperties": False},
        obj(name=SHORT, size=enum("S", "M", "L")),
        obj(required=[], a=BOOL, b=BOOL, c=BOOL, d=BOOL), obj(required=["c"], a=BOOL, b=BOOL, c=BOOL, d=BOOL),
        obj(**{"key with space": SHORT, "quo\"te": BOOL, "\u00fcml\u00e4ut": BOOL, "a/b": BOOL, "$x": BOOL, "": BOOL}),
        obj(**{f"field_{k}": BOOL for k in range(30)}),
        {"properties": {"a": BOOL}, "required": ["a"]}, {"title": "T", "description": "D", "$schema": "https://json-schema.org/draft/2020-12/schema", **obj(a={**BOOL, "default": True})}]):
    add(f"object_{i}", schema)

# Alternatives.
for i, schema in enumerate([
        {"anyOf": [SHORT, {"type": "integer", "minimum": 0, "maximum": 99}]}, {"anyOf": [obj(a=BOOL), obj(b=BOOL)]}, {"anyOf": [enum(1, 2), enum("a")]},
        {"oneOf": [BOOL, NULL]}, {"oneOf": [obj(kind={"const": "cat"}, meow=BOOL), obj(kind={"const": "dog"}, bark=BOOL)]},
        {"oneOf": [{"type": "string", "enum": ["x"]}, {"type": "integer", "enum": [1]}]},
        {"allOf": [obj(required=["a"], a=BOOL, b=BOOL), {"required": ["b"]}]}, {"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 8}]},
        {"allOf": [{"$ref": "#/$defs/base"}], "$defs": {"base": obj(id={"type": "integer", "minimum": 0, "maximum": 9})}},
        {"type": "object", "properties": {"a": BOOL, "b": BOOL}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}], "additionalProperties": False},
        {"type": ["integer", "null"], "minimum": 0, "maximum": 5}, {"type": ["array", "string"], "items": BOOL, "maxItems": 2, "maxLength": 5},
        {"anyOf": [{"type": "string", "pattern": "^a{1,5}$"}, {"type": "null"}]},
        {"enum": ["a", "b", 3], "type": ["string", "integer"]}]):
    add(f"alternatives_{i}", schema)
    add(f"object_alternatives_{i}", {**obj(value={k: v for k, v in schema.items() if k != "$defs"}), **({"$defs": schema["$defs"]} if "$defs" in schema else {})})

# References and recursion.
for i, schema in enumerate([
        {"$ref": "#/$defs/point", "$defs": {"point": obj(x=BOOL, y=BOOL)}},
        {**obj(home={"$ref": "#/definitions/address"}, work={"$ref": "#/definitions/address"}), "definitions": {"address": obj(street=SHORT, zip={"type": "string", "pattern": "^[0-9]{5}$"})}},
        {"$defs": {"node": {"type": "object", "properties": {"v": {"type": "integer", "minimum": 0, "maximum": 9}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, NULL]}}, "required": ["v", "next"], "additionalProperties": False}}, "$ref": "#/$defs/node"},
        {"type": "object", "properties": {"name": SHORT, "kids": {"type": "array", "items": {"$ref": "#"}, "maxItems": 1}}, "required": ["name", "kids"], "additionalProperties": False},
        {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/c"}, "c": BOOL}, "$ref": "#/$defs/a"},
        {**obj(s={"$ref": "#/$defs/a~1b"}), "$defs": {"a/b": BOOL}},
        {**obj(e={"$ref": "#/$defs/e", "description": "d"}), "$defs": {"e": enum("p", "q")}},
        {"$defs": {"expr": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 9}, obj(op=enum("+", "-"), l={"type": "integer", "minimum": 0, "maximum": 9}, r={"$ref": "#/$defs/expr"})]}}, "$ref": "#/$defs/expr"},
        {**obj(n={"$ref": "#/$defs/n", "maximum": 5}), "$defs": {"n": {"type": "integer", "minimum": 0}}}]):
    add(f"reference_{i}", schema)

# As clients write them: pydantic, zod, OpenAI's examples.
add("pydantic_user", {"title": "User", "type": "object", "properties": {
    "name": {"title": "Name", "type": "string", "maxLength": 20}, "age": {"title": "Age", "type": "integer", "minimum": 0, "maximum": 150},
    "email": {"anyOf": [{"type": "string", "format": "email"}, {"type": "null"}], "default": None, "title": "Email"},
    "role": {"$ref": "#/$defs/Role"}}, "required": ["name", "age", "role"], "$defs": {"Role": {"enum": ["admin", "user"], "title": "Role", "type": "string"}}})
add("pydantic_union", {"title": "Pet", "type": "object", "properties": {"pet": {"discriminator": {"mapping": {"cat": "#/$defs/Cat", "dog": "#/$defs/Dog"}, "propertyName": "kind"},
    "oneOf": [{"$ref": "#/$defs/Cat"}, {"$ref": "#/$defs/Dog"}], "title": "Pet"}}, "required": ["pet"], "$defs": {
    "Cat": {"type": "object", "properties": {"kind": {"const": "cat", "title": "Kind", "type": "string"}, "lives": {"type": "integer", "minimum": 1, "maximum": 9}}, "required": ["kind", "lives"], "title": "Cat"},
    "Dog": {"type": "object", "properties": {"kind": {"const": "dog", "title": "Kind", "type": "string"}, "good": BOOL}, "required": ["kind", "good"], "title": "Dog"}}})
add("openai_math", obj(steps=arr(obj(explanation=SHORT, output=SHORT), maxItems=2), final_answer=SHORT))
add("openai_event", obj(name=SHORT, date={"type": "string", "format": "date"}, participants=arr(SHORT, maxItems=3)))
add("zod_config", {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "properties": {
    "mode": {"type": "string", "enum": ["dark", "light"]}, "size": {"type": "number", "exclusiveMinimum": 0, "maximum": 100},
    "tags": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 8}, "maxItems": 2}}, "required": ["mode", "size"], "additionalProperties": False})
add("openapi_product", {"type": "object", "properties": {"id": {"type": "integer", "format": "int32", "minimum": 1}, "price": {"type": "number", "format": "double", "minimum": 0, "maximum": 1000},
    "sku": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{3}$", "example": "ABC-123"}, "kind": {"type": "string", "enum": ["a", "b"], "nullable": True}}, "required": ["id", "price", "sku"]})
add("geojson_point", obj(type={"const": "Point"}, coordinates=arr({"type": "number", "minimum": -180, "maximum": 180}, minItems=2, maxItems=2)))
add("deep", obj(a=obj(b=obj(c=obj(d=obj(e=obj(f=BOOL)))))))

REFUSED = {
    "not": ({"not": STR}, "not"), "unique_items": (obj(tags=arr(STR, uniqueItems=True)), "uniqueItems"),
    "contains": (arr(INT, contains={"const": 1}), "contains"), "if": ({"type": "object", "if": {"required": ["a"]}, "then": {"required": ["b"]}}, "if"),
    "dependent_required": ({"type": "object", "dependentRequired": {"a": ["b"]}}, "dependentRequired"),
    "dependent_schemas": ({"type": "object", "dependentSchemas": {"a": {"required": ["b"]}}}, "dependentSchemas"),
    "overlapping_one_of": ({"oneOf": [INT, NUM]}, "oneOf"), "float_multiple": (obj(x={"type": "number", "multipleOf": 0.01}), "multipleOf"),
    "remote_ref": ({"$ref": "https://example.org/s.json"}, "$ref"), "lookahead": (obj(s={"type": "string", "pattern": "^(?=a).*$"}), "lookahead"),
    "pattern_with_a_quote": (obj(s={"type": "string", "pattern": "^\"q\"$"}), "a quote"), "pattern_with_a_backslash": (obj(s={"type": "string", "pattern": "^a\\\\b$"}), "a backslash"),
    "backreference": (obj(s={"type": "string", "pattern": "^(a|b)\\1$"}), "backreference"), "format": (obj(s={"type": "string", "format": "shoe-size"}), "shoe-size"),
    "pattern_and_length": (obj(s={"type": "string", "pattern": "^a+$", "maxLength": 5}), "maxLength"),
    "unevaluated": ({"type": "object", "unevaluatedProperties": False}, "unevaluatedProperties"), "unknown": ({"type": "string", "colour": "red"}, "colour"),
    "two_patterns": ({"type": "object", "patternProperties": {"^a": INT, "^b": STR}}, "patternProperties"),
    "endless": ({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "finite"), "empty_enum": ({"enum": []}, "instance"),
    "false": (False, "false"), "bad_type": ({"type": "text"}, "text"), "dynamic_ref": ({"$dynamicRef": "#x"}, "$dynamicRef"),
}
