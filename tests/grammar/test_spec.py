"""A spec's key says which grammars are equal; and what `import ramify` loads stays light."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from ramify.grammar.spec import Choices, GrammarSpec, JsonSchema, Lark, Regex
from ramify.runtime.protocol.graph import Gen

SPECS: list[GrammarSpec] = [
    JsonSchema('{"type": "string"}', any_whitespace=True),
    JsonSchema("{}"),
    Regex(r"[a-z]+\.é"),
    Choices(("a", "", "日本")),
    Lark('start: "a" | "b"'),
]


def test_blanks_do_not_count_and_everything_else_does() -> None:
    key = JsonSchema('{"properties": {"a": {}, "b": {}}}').key()
    assert JsonSchema('{ "properties":{"a":{},\n"b":{}} }').key() == key
    others = ('{"properties": {"b": {}, "a": {}}}', '{"properties": {"a": {}}}', "{}", "not json", "[" * 9999)
    keys = {JsonSchema(text, flag).key() for text in others for flag in (False, True)}
    assert len(keys) == 10 and key not in keys


def test_keys_differ_between_kinds_with_equal_text() -> None:
    for text in ("a", "{}", "", '["a"]'):
        keys = [JsonSchema(text).key(), Regex(text).key(), Choices((text,)).key(), Lark(text).key()]
        assert len(set(keys)) == 4


def test_choices_are_equal_as_sets_and_differ_where_they_are_cut() -> None:
    assert Choices(("a", "b")).key() == Choices(("b", "a", "b")).key()
    others = [("a", "b"), ("ab",), ("a", "b", ""), ("a",), (), ("",), ("a\x00b",), ("\ud800",)]
    assert len({Choices(options).key() for options in others}) == len(others)


def test_keys_are_stable_over_processes() -> None:
    assert Regex("a").key() == hashlib.blake2b(b"\1" + bytes(7) + b"a", digest_size=16, person=b"regex").hexdigest()


@pytest.mark.parametrize("codec", [msgspec.msgpack, msgspec.json], ids=["msgpack", "json"])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_every_kind_travels_by_its_tag(codec: Any, spec: GrammarSpec) -> None:
    wire = codec.encode(spec)
    back = codec.decode(wire, type=GrammarSpec)
    assert back == spec and type(back) is type(spec) and back.key() == spec.key()
    assert codec.decode(wire)["kind"] in ("json_schema", "regex", "choices", "lark")


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: type(spec).__name__)
def test_every_kind_travels_in_a_gen(spec: GrammarSpec) -> None:
    gen = Gen(stream=1, node=2, name="x", path="x", grammar=spec)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(gen), type=Gen) == gen


@pytest.mark.parametrize(
    "wire", [{"kind": "regexp", "pattern": "a"}, {"kind": "regex"}, {"kind": "choices", "options": [1]}, {}], ids=str
)
def test_what_is_no_grammar_is_refused_on_arrival(wire: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wire, GrammarSpec)


def test_data_and_interfaces_load_no_heavy_library() -> None:
    code = (
        "import sys, ramify\n"
        "before = set(sys.modules)\n"
        "import ramify.grammar.spec, ramify.grammar.state, ramify.grammar.compile, ramify.grammar.backends\n"
        "added = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "assert not added & {'torch', 'numpy', 'xgrammar', 'llguidance', 'tokenizers', 'transformers'}, added"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
