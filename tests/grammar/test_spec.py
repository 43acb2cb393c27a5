"""A spec's key says which grammars are equal; and what `import ramify` loads stays light."""

from __future__ import annotations

import subprocess
import sys

from ramify.grammar.spec import JsonSchema


def test_blanks_do_not_count_and_everything_else_does() -> None:
    key = JsonSchema('{"properties": {"a": {}, "b": {}}}').key()
    assert JsonSchema('{ "properties":{"a":{},\n"b":{}} }').key() == key
    others = ('{"properties": {"b": {}, "a": {}}}', '{"properties": {"a": {}}}', "{}", "not json", "[" * 9999)
    keys = {JsonSchema(text, flag).key() for text in others for flag in (False, True)}
    assert len(keys) == 10 and key not in keys


def test_data_and_interfaces_load_no_heavy_library() -> None:
    code = (
        "import sys, ramify\n"
        "before = set(sys.modules)\n"
        "import ramify.grammar.spec, ramify.grammar.state, ramify.grammar.compile, ramify.grammar.backends\n"
        "added = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "assert not added & {'torch', 'numpy', 'xgrammar', 'llguidance', 'tokenizers', 'transformers'}, added"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)
