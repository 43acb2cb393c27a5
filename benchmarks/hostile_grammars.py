"""Hostile grammars by the thousand, from a seed: what to send to an engine that must not be delayed by it.

Each family varies its sizes below, around and far beyond the limits, so that both what is refused at the door and what
is costly inside the limits are there. A family is a function of a random generator to a grammar; `FAMILIES` names them.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from ramify.grammar.spec import Choices, GrammarSpec, JsonSchema, Lark, Regex

STRING: dict[str, Any] = {"type": "string"}
Family = Callable[[random.Random], GrammarSpec]


def hostile_grammars(count: int, seed: int = 0) -> Iterator[tuple[str, GrammarSpec]]:
    """`count` pairs of a family's name and a grammar: first what has brought public engines down, then the families in
    turn."""
    rng = random.Random(seed)
    names = list(FAMILIES)
    for name, known in list(KNOWN.items())[:count]:
        yield name, known if isinstance(known, Regex | Lark) else _schema(rng, known)
    for index in range(count - len(KNOWN)):
        name = names[index % len(names)]
        yield name, FAMILIES[name](rng)


def _schema(rng: random.Random, schema: Any) -> JsonSchema:
    text = schema if isinstance(schema, str) else json.dumps(schema)
    return JsonSchema(text, any_whitespace=rng.random() < 0.2, strict=rng.random() < 0.7)


def _size(rng: random.Random, low: int, high: int) -> int:
    """Spread over the orders of magnitude between."""
    return int(low * (high / low) ** rng.random())


def _name(rng: random.Random) -> str:
    return rng.choice(["a", "é", "日本", "\u0000", "a/b~c", "$ref", "\U0001f600", '"', "\\", "x" * 500, ""]) + str(
        rng.randrange(100)
    )


def _objects(count: int) -> dict[str, Any]:
    return {"type": "object", "properties": {f"p{index}": STRING for index in range(count)}}


def _tower(levels: int, keyword: str) -> dict[str, Any]:
    schema: dict[str, Any] = STRING
    for level in range(levels):
        schema = {keyword: [{"properties": {f"a{level}": schema}, "required": [f"a{level}"]}, {"items": schema}]}
    return schema


def _nested(levels: int) -> str:
    return '{"type": "object", "properties": {"a": ' * levels + '{"type": "string"}' + '}, "required": ["a"]}' * levels


KNOWN: dict[str, Any] = {
    "500 nested objects": _nested(500),
    "100,000 nested objects": _nested(100_000),
    "25 nested objects": _nested(25),
    "pattern of 50,000 nested groups": {**STRING, "pattern": "(" * 50_000 + ")" * 50_000},
    "pattern (a{1,100}){1,100}": {**STRING, "pattern": "(a{1,100}){1,100}"},
    "pattern (.*a){20}": {**STRING, "pattern": "(.*a){20}"},
    "pattern of 1,300 .*a": {**STRING, "pattern": ".*a" * 1_300},
    "maxLength 100,000": {**STRING, "maxLength": 100_000},
    "minLength = maxLength = 10,000": {**STRING, "minLength": 10_000, "maxLength": 10_000},
    "maxItems 10,000 of objects": {"type": "array", "items": _objects(5), "maxItems": 10_000},
    "enum of 20,000 strings": {"enum": [f"value {index}" for index in range(20_000)]},
    "enum of 2,000 strings": {"enum": [f"value {index}" for index in range(2_000)]},
    "200 optional properties": _objects(200),
    "2,000 optional properties": _objects(2_000),
    "anyOf tower, depth 12": _tower(12, "anyOf"),
    "oneOf tower, depth 8": _tower(8, "oneOf"),
    "negation of 200 enums": {
        "not": {"anyOf": [{"properties": {f"k{i}": {"enum": [f"x{j}" for j in range(20)]}}} for i in range(200)]}
    },
    "$ref to itself": {"$ref": "#"},
    "$ref in a two-cycle": {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
    "NUL in a pattern": {**STRING, "pattern": "a\x00b"},
    "regex of 5,000 groups": Regex("(" * 5_000),
    "grammar of 500 nested groups": Lark("start: " + "(" * 500 + '"a"' + ")" * 500),
}
"""What hung or crashed a public library when it was asked."""


# ---- nesting ------------------------------------------------------------------------------------------------------


def nested_objects(rng: random.Random) -> GrammarSpec:
    levels = _size(rng, 20, 20_000)
    required = ', "required": ["a"]' if rng.random() < 0.5 else ""
    return _schema(
        rng, '{"type": "object", "properties": {"a": ' * levels + '{"type": "string"}' + f"}}{required}}}" * levels
    )


def nested_arrays(rng: random.Random) -> GrammarSpec:
    levels = _size(rng, 20, 100_000)
    if rng.random() < 0.5:
        return _schema(rng, "[" * levels + "]" * levels)
    return _schema(rng, '{"type": "array", "items": ' * levels + "{}" + "}" * levels)


def deep_constants(rng: random.Random) -> GrammarSpec:
    levels = _size(rng, 20, 50_000)
    keyword = rng.choice(['"const": ', '"enum": [', '"default": ', '"examples": ['])
    end = "]" if keyword.endswith("[") else ""
    return _schema(rng, "{" + keyword + '{"a": [' * levels + "1" + "]}" * levels + end + "}")


def towers(rng: random.Random) -> GrammarSpec:
    schema: Any = rng.choice([STRING, {"type": "integer", "minimum": 3}, True])
    for level in range(_size(rng, 3, 13)):
        keyword = rng.choice(["anyOf", "oneOf", "allOf"])
        first = {"properties": {f"a{level}": schema}, "required": [f"a{level}"]}
        schema = {keyword: [first, rng.choice([{"items": schema}, {"properties": {"b": schema}}, first])]}
    return _schema(rng, schema)


def flat_towers(rng: random.Random) -> GrammarSpec:
    schema: Any = STRING
    keyword = rng.choice(["anyOf", "oneOf", "allOf"])
    for _ in range(_size(rng, 10, 60)):
        schema = {keyword: [schema, rng.choice([{"type": "null"}, {"minLength": 2}, STRING])]}
    return _schema(rng, schema)


def negations(rng: random.Random) -> GrammarSpec:
    schema: Any = {"enum": list(range(rng.randrange(1, 200)))}
    for level in range(_size(rng, 3, 50)):
        choice = rng.randrange(4)
        if choice == 0:
            schema = {"not": schema}
        elif choice == 1:
            schema = {"not": {"anyOf": [schema, {"properties": {f"k{level}": {"const": level}}}]}}
        elif choice == 2:
            schema = {"if": schema, "then": {"required": [f"k{level}"]}, "else": {"maxProperties": level}}
        else:
            schema = {"oneOf": [schema, {"not": schema}, {"type": "string", "pattern": "a" * level}]}
        if len(json.dumps(schema)) > 100_000:
            break
    return _schema(rng, schema)


def products(rng: random.Random) -> GrammarSpec:
    """Alternatives multiplied with alternatives."""
    count, ways = _size(rng, 4, 60), rng.randrange(2, 7)
    keyword = rng.choice(["anyOf", "oneOf"])
    return _schema(
        rng,
        {"allOf": [{keyword: [{"properties": {f"k{i}": {"const": j}}} for j in range(ways)]} for i in range(count)]},
    )


def dependencies(rng: random.Random) -> GrammarSpec:
    count = _size(rng, 4, 200)
    names = [f"p{index}" for index in range(count)]
    schema: dict[str, Any] = {"type": "object", "properties": dict.fromkeys(names, STRING)}
    schema["dependentRequired"] = {name: rng.sample(names, min(3, count)) for name in names}
    if rng.random() < 0.5:
        schema["dependentSchemas"] = {name: {"minProperties": rng.randrange(count)} for name in names[:20]}
    if rng.random() < 0.5:
        schema |= {"additionalProperties": False, "minProperties": count // 2, "maxProperties": count - 1}
    return _schema(rng, schema)


# ---- references ---------------------------------------------------------------------------------------------------


def reference_cycles(rng: random.Random) -> GrammarSpec:
    length = _size(rng, 1, 300)
    definitions: dict[str, Any] = {}
    for index in range(length):
        onward: dict[str, Any] = {"$ref": f"#/$defs/d{(index + 1) % length}"}
        shape = rng.randrange(6)
        if shape == 1:
            onward = {"allOf": [onward, {"type": "object"}]}
        elif shape == 2:
            onward = {"anyOf": [onward, onward]}
        elif shape == 3:
            onward |= {"type": "object", "minProperties": 1}
        elif shape == 4:
            onward = {"type": "object", "properties": {"next": onward}, "required": ["next"]}
        elif shape == 5:
            onward = {"not": onward}
        definitions[f"d{index}"] = onward
    return _schema(rng, {"$ref": "#/$defs/d0", "$defs": definitions})


def self_references(rng: random.Random) -> GrammarSpec:
    return _schema(
        rng,
        rng.choice(
            [
                {"$ref": "#"},
                {"$ref": ""},
                {"anyOf": [{"$ref": "#"}] * rng.randrange(1, 300)},
                {"allOf": [{"$ref": "#"}, STRING]},
                {"not": {"$ref": "#"}},
                {"properties": {"a": {"$ref": "#/properties/a"}}},
                {"type": "array", "items": {"$ref": "#"}, "minItems": rng.randrange(3)},
                {"$recursiveRef": "#", "$recursiveAnchor": True},
                {"$dynamicRef": "#x", "$dynamicAnchor": "x"},
                {"oneOf": [{"$ref": "#"}, {"type": "array", "items": {"$ref": "#"}, "maxItems": 1000}]},
            ]
        ),
    )


def doubling_references(rng: random.Random) -> GrammarSpec:
    """Each definition holds the one before twice: two to the power of the count when it is copied."""
    count = _size(rng, 5, 60)
    keyword = rng.choice(["allOf", "anyOf", "oneOf", "prefixItems"])
    definitions: dict[str, Any] = {"d0": {"type": "object", "properties": {"a": STRING}, "required": ["a"]}}
    for index in range(1, count):
        before = {"$ref": f"#/$defs/d{index - 1}"}
        definitions[f"d{index}"] = rng.choice(
            [{keyword: [before, before]}, {"type": "object", "properties": {"x": before, "y": before}}]
        )
    return _schema(rng, {"$ref": f"#/$defs/d{count - 1}", "$defs": definitions, "type": "object"})


def remote_references(rng: random.Random) -> GrammarSpec:
    target = rng.choice(
        [
            "http://127.0.0.1:9/schema",
            "https://example.com/" + "a" * _size(rng, 1, 50_000),
            "file:///etc/passwd",
            "#/$defs/missing",
            "#/%zz",
            "#nothing",
            "urn:x:y",
            "#/" + "/".join(["a"] * 5_000),
            "\u0000",
            "//[",
        ]
    )
    return _schema(rng, {"properties": {"a": {"$ref": target}}, "$id": rng.choice(["", "http://[", "urn:a", "#"])})


# ---- patterns -----------------------------------------------------------------------------------------------------


def _pattern(rng: random.Random) -> str:
    count = _size(rng, 2, 1_000)
    return rng.choice(
        [
            f"(a{{1,{count}}}){{1,{count}}}",
            f"(.*a){{{rng.randrange(2, 40)}}}",
            f"(.*(a|b).{{1,{count}}}){{{rng.randrange(1, 6)}}}",
            ".*a" * _size(rng, 10, 1_300),
            "(" * count + "a" + ")*" * count,
            "((a+)+)+" * rng.randrange(1, 50),
            "(a|aa|aaa|b*)*" * rng.randrange(1, 100) + "$",
            "[" + "".join(chr(0x4E00 + 3 * index) for index in range(count)) + "]{1,50}",
            "[^\\w\\d]" * rng.randrange(1, 40),
            f"(\\w|\\d|\\s){{1,{count}}}",
            f"\\w{{{_size(rng, 10, 20_000)}}}",
            "\\p{L}+",
            "(?=a)b",
            "(?!a)[a-z]+",
            "(?<!a)b",
            "(a)\\1",
            "\\bword\\b",
            "a\u0000b",
            "[[:alpha:]]+",
            "(?P<n>a)(?P=n)",
            "(?i)abc",
            "a{2,1}",
            "[z-a]",
            "(",
            "*",
            "a**",
            "\\",
            "\\u{110000}",
            "[\ud800-\udfff]",
            "|".join(rng.randbytes(4).hex() for _ in range(_size(rng, 10, 450))),
            "|".join("a" * index for index in range(1, min(count, 90))),
            "(" + "|".join(f"{chr(97 + index % 26)}.*" for index in range(rng.randrange(2, 200))) + ")*",
            "".join(f"(a{index}|b{index})" for index in range(rng.randrange(10, 400))),
            "^" * count + "a" + "$" * count,
            f"(a?){{{min(count, 90)}}}a{{{min(count, 90)}}}",
            "(x+x+)+y",
            f"[\\s\\S]{{1,{min(count, 99)}}}" * 2,
            f"(.{{1,30}}){{1,{min(count, 300)}}}z",
        ]
    )


def patterns(rng: random.Random) -> GrammarSpec:
    schema = {**STRING, "pattern": _pattern(rng)}
    if rng.random() < 0.3:
        schema |= {"minLength": _size(rng, 1, 1_000), "maxLength": _size(rng, 1, 10_000)}
    return _schema(rng, {"properties": {"a": schema}, "required": ["a"]} if rng.random() < 0.5 else schema)


def many_patterns(rng: random.Random) -> GrammarSpec:
    count = _size(rng, 5, 500)
    return _schema(
        rng, {"type": "object", "properties": {f"p{i}": {**STRING, "pattern": _pattern(rng)} for i in range(count)}}
    )


def regexes(rng: random.Random) -> GrammarSpec:
    return Regex(_pattern(rng) if rng.random() < 0.8 else _pattern(rng) * rng.randrange(2, 200))


def pattern_properties(rng: random.Random) -> GrammarSpec:
    count = _size(rng, 2, 150)
    found = {rng.choice([f"^a{i}", f".*{i}.*", f"^[a-z]{{{i % 60}}}$", _pattern(rng)]): {} for i in range(count)}
    schema: dict[str, Any] = {"type": "object", "patternProperties": found}
    if rng.random() < 0.5:
        schema |= {"additionalProperties": rng.choice([False, STRING]), "properties": {"a1": STRING, "b": {}}}
    if rng.random() < 0.3:
        schema["propertyNames"] = {"pattern": _pattern(rng)}
    return _schema(rng, schema)


# ---- sizes --------------------------------------------------------------------------------------------------------


def enums(rng: random.Random) -> GrammarSpec:
    count = _size(rng, 100, 20_000)
    kind = rng.randrange(4)
    if kind == 0:
        values: list[Any] = [f"value {index}" for index in range(count)]
    elif kind == 1:
        values = ["x" * _size(rng, 100, 30_000) + str(index) for index in range(rng.randrange(2, 40))]
    elif kind == 2:
        values = [{"k": [index, None, {"deep": index * 1.5}]} for index in range(count)]
    else:
        values = ["a" * index for index in range(min(count, 500))]
    return _schema(rng, {"enum": values})


def lengths(rng: random.Random) -> GrammarSpec:
    keyword = rng.choice(["maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"])
    count = rng.choice([_size(rng, 50, 10**7), 10**18, 2**63, 2**70, 0, -1])
    item = rng.choice([STRING, {"type": "object", "properties": {"a": STRING, "b": {"type": "number"}}}])
    schema: dict[str, Any] = {keyword: count, "items": item, "type": rng.choice(["string", "array", "object"])}
    if rng.random() < 0.4:
        schema |= {"minLength": count, "minItems": count}
    if rng.random() < 0.3:
        schema |= {"uniqueItems": True}
    if rng.random() < 0.3:
        schema |= {"contains": {"const": 1}, "minContains": count}
    return _schema(rng, schema)


def long_strings(rng: random.Random) -> GrammarSpec:
    """Many counted strings, each within the limits."""
    count = _size(rng, 5, 400)
    low = _size(rng, 1, 2_000)
    part = {**STRING, "minLength": low, "maxLength": low + _size(rng, 1, 10_000)}
    return _schema(rng, {"type": "object", "properties": {f"p{i}": part for i in range(count)}})


def optional_properties(rng: random.Random) -> GrammarSpec:
    count = _size(rng, 200, 2_000)
    part = rng.choice([STRING, {"type": "array", "items": STRING}, {"type": "number"}, {}])
    schema: dict[str, Any] = {"type": "object", "properties": {f"p{i}": part for i in range(count)}}
    if rng.random() < 0.3:
        schema["additionalProperties"] = rng.choice([True, False, STRING])
    if rng.random() < 0.2:
        schema["minProperties"] = rng.randrange(count)
    return _schema(rng, schema)


def long_texts(rng: random.Random) -> GrammarSpec:
    size = _size(rng, 60_000, 4_000_000)
    if rng.random() < 0.5:
        return _schema(rng, json.dumps({"description": "x" * size, **STRING}))
    return _schema(rng, " " * size + "{}")


def numbers(rng: random.Random) -> GrammarSpec:
    value = rng.choice(["1e400", "-1e400", "NaN", "Infinity", "1e-400", "1" * 5_000, "0." + "3" * 5_000, "1e999999999"])
    keyword = rng.choice(["minimum", "maximum", "exclusiveMinimum", "multipleOf", "const", "maxLength"])
    kind = rng.choice(["number", "integer"])
    return _schema(rng, f'{{"type": "{kind}", "{keyword}": {value}, "maximum": {rng.choice(["3", "0.1", "1e17"])}}}')


# ---- not quite schemas ----------------------------------------------------------------------------------------------


def wrong_types(rng: random.Random) -> GrammarSpec:
    keyword = rng.choice(
        [
            "type",
            "properties",
            "items",
            "required",
            "enum",
            "pattern",
            "allOf",
            "$ref",
            "minLength",
            "$defs",
            "not",
            "additionalProperties",
            "patternProperties",
            "format",
            "multipleOf",
            "uniqueItems",
            "const",
            "$id",
            "if",
        ]
    )
    value = rng.choice([None, 3, -1.5, "string", [], {}, [[]], [None], {"a": 3}, True, "\u0000", ["a", "a"], [{}, 5]])
    inner = {keyword: value}
    return _schema(rng, rng.choice([inner, {"properties": {"a": inner}}, {"anyOf": [inner, STRING]}, [inner], value]))


def duplicate_keys(rng: random.Random) -> GrammarSpec:
    keys = ", ".join(f'"a": {{"type": "{rng.choice(["string", "null"])}"}}' for _ in range(_size(rng, 2, 1_500)))
    return _schema(rng, f'{{"type": "object", "properties": {{{keys}}}, "type": "array", "type": "object"}}')


def broken_json(rng: random.Random) -> GrammarSpec:
    text = json.dumps({"type": "object", "properties": {"a": STRING, "b": {"enum": [1, 2, "x"]}}, "required": ["a"]})
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(text) + 1)
        text = (
            text[:at] + rng.choice(["", "{", "]", '"', ",", "\u0000", "\ud800", "\\u", "//", "\ufeff"]) + text[at + 1 :]
        )
    return _schema(rng, text)


def unicode_names(rng: random.Random) -> GrammarSpec:
    names = [_name(rng) for _ in range(_size(rng, 1, 60))]
    schema: dict[str, Any] = {"type": "object", "properties": dict.fromkeys(names, STRING), "required": names[:5]}
    if rng.random() < 0.3:
        schema["properties"]["s"] = {"const": "\ud800"}  # json.dumps spells it as an escape
    if rng.random() < 0.3:
        schema["properties"]["c"] = {"enum": ["\u0000", "\x7f", "\u2028", "é", "é"]}
    return _schema(rng, schema)


def formats(rng: random.Random) -> GrammarSpec:
    names = ["date", "date-time", "time", "uuid", "ipv4", "ipv6", "uri", "email", "hostname", "regex", "iri", "none"]
    count = _size(rng, 1, 100)
    part = {f"p{i}": {**STRING, "format": rng.choice(names), "maxLength": _size(rng, 1, 300)} for i in range(count)}
    return _schema(rng, {"type": "object", "properties": part})


# ---- other kinds ----------------------------------------------------------------------------------------------------


def lark(rng: random.Random) -> GrammarSpec:
    count = _size(rng, 2, 3_000)
    chain = "\n".join(f"r{index}: r{index + 1} r{index + 1}" for index in range(min(count, 800)))
    return Lark(
        rng.choice(
            [
                "start: start",
                'start: start "a" | "a"',
                'start: start start | "a" | ""',
                "start: x\nx: y\ny: x",
                'start: (((a)*)*)*\na: b*\nb: ""',
                'start: ("a"*)*',
                "start: missing",
                f'start: "a"~{_size(rng, 10, 10**9)}',
                f'start: ("a"~1..{count})~1..{count}',
                "start: " + "(" * count + '"a"' + ")" * count,
                "start: " + "[" * count + '"a"' + "]" * count,
                "start: " + " | ".join(f'"{"a" * (index % 50)}{index}"' for index in range(count)),
                'start: e\ne: e "+" e | e "*" e | e e | "1"',
                "start: A B\nA: /a*/\nB: A A A\n%ignore /(a|b)*/",
                "start: /" + _pattern(rng).replace("/", "\\/").replace("\n", "") + "/",
                chain + f'\nstart: r0\nr{min(count, 800)}: "a"',
                "start: T\nT: T2\nT2: T",
                "%import common.CNAME\n%import common.NOTHING\nstart: CNAME",
                "%declare X\nstart: X",
                'start: %json {"$ref": "#"}',
                'start: "\u0000" "\ud800"',
                "start: " + '"a" ' * count,
                "",
                "start:",
                "not a grammar",
                "start: a" + "\na: " * 50,
            ]
        )
    )


def choices(rng: random.Random) -> GrammarSpec:
    count = _size(rng, 2, 20_000)
    return Choices(
        tuple(
            rng.choice(
                [
                    [f"choice {index}" for index in range(count)],
                    ["a" * index for index in range(min(count, 300))],
                    ["x" * 200 + str(index) for index in range(min(count, 2_000))],
                    [],
                    [""],
                    ["", "a"],
                    ["a"] * count,
                    ["\ud800", "b"],
                    ["\u0000", "\u0001"],
                    ["y" * _size(rng, 10, 200_000)],
                    ["é", "è", "e\u0301"],
                ]
            )
        )
    )


FAMILIES: dict[str, Family] = {
    family.__name__: family
    for family in (
        nested_objects,
        nested_arrays,
        deep_constants,
        towers,
        flat_towers,
        negations,
        products,
        dependencies,
        reference_cycles,
        self_references,
        doubling_references,
        remote_references,
        patterns,
        many_patterns,
        regexes,
        pattern_properties,
        enums,
        lengths,
        long_strings,
        optional_properties,
        long_texts,
        numbers,
        wrong_types,
        duplicate_keys,
        broken_json,
        unicode_names,
        formats,
        lark,
        choices,
    )
}
