"""Grammars in Lark syntax: texts generated parse under Lark itself, an implementation that shares nothing with ours."""

from __future__ import annotations

import random
import re
from typing import Any

import lark
import pytest
from ramify.errors import InvalidSchema, UnenforceableSchema
from ramify.grammar.lark_check import read_lark
from ramify.grammar.lark_common import COMMON
from ramify.grammar.limits import GrammarLimits
from ramify.grammar.spec import Lark

JSON = r"""
    %import common (ESCAPED_STRING, SIGNED_NUMBER)
    %import common.WS -> BLANKS
    ?start: value
    ?value: object | array | ESCAPED_STRING -> string
          | SIGNED_NUMBER   // a comment
          | "true" | "false" | "null"
    array: "[" [value ("," value)*] "]"
    object: "{" [pair ("," pair)*] "}"
    !pair: ESCAPED_STRING ":" value
    %ignore BLANKS
"""
ARITHMETIC = r"""
    start: sum
    sum: product | sum ("+" | "-") product
    product: atom | product "*" atom
    atom: /[0-9]{1,3}/ | "-" atom | "(" sum ")"
    %ignore / +/
"""
SQL = r"""
    start: "select"i _columns "from"i NAME [where]
    _columns: "*" | NAME ("," NAME)~0..2
    where: "where"i NAME OPERATOR VALUE
    OPERATOR: "=" | "<" ">"?
    VALUE: "'" /[^'\n]/~1..5 "'" | DIGIT+ ("." DIGIT~2)?
    DIGIT: "0".."9"
    NAME: "t_" /[a-zé]+/
    %ignore " "
"""
NESTED = 'start: "a" start "b" | "é日" |'
MATCHING = 'start: x~2..3 y?\nx: "<" ("😀" | /./s "!")+ ">"\ny: [ "\\x41" ] "\\u00e9\\n"'
LEFT = 'start: start "," ITEM | ITEM\nITEM: /\\w/ "\\d" | /(?:ab|[^\\W\\d_]){2}/'.replace('"\\d"', "/\\d/")

# Texts of each, and texts that are none.
CASES = {
    "json": (JSON, ['{"a" : [1, -2.5e3, {}], "b": null}', '"x\\"y"', "[ ]"], ["[1,]", '"a\nb"', "", '{"a" 1}', "+-1"]),
    "arithmetic": (ARITHMETIC, ["1", "1 + 2*(3-  -4)", "-(1)"], ["1 +", "()", "1234", "", "1 2"]),
    "sql": (
        SQL,
        ["SELECT * FROM t_a", "select t_a , t_é from t_b Where t_x<>'a b'", "select*from t_a where t_a=12.50"],
        ["select from t_a", "select * from t_a where t_a=1.5", "select t_a,t_a,t_a,t_a from t_a"],
    ),
    "nested": (NESTED, ["", "ab", "aaé日bb"], ["a", "abb", "é"]),
    "matching": (MATCHING, ["<😀><x!>", "<\n!😀><😀><😀>Aé\n"], ["<😀>", "<😀><>", "<😀><😀>A"]),
    "left": (LEFT, ["a1", "a1,éb,b2"], ["a1,", ",a1", "a1,1é"]),
}  # fmt: skip

one_family = pytest.mark.parametrize("family_name", ["byte_level"])


@pytest.fixture(params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def state(llguidance: Any, name: str) -> Any:
    return llguidance.compile(Lark(CASES[name][0])).state()


def parses(parser: lark.Lark, text: str) -> bool:
    try:
        parser.parse(text)
    except lark.exceptions.UnexpectedInput:
        return False
    return True


def earley(grammar: str) -> lark.Lark:
    return lark.Lark(grammar, parser="earley", lexer="dynamic_complete")


def test_texts_are_accepted_exactly_where_lark_parses_them(state: Any, accepts: Any, name: str) -> None:
    grammar, good, bad = CASES[name]
    parser = earley(grammar)
    for text in good:
        assert parses(parser, text) and accepts(state, text), text
    for text in bad:
        assert not parses(parser, text) and not accepts(state, text), text


def test_every_text_walked_through_the_masks_parses(state: Any, mask_ids: Any, family: Any, name: str) -> None:
    parser, tokens = earley(CASES[name][0]), family.vocabulary.tokens
    ended = set()
    for seed in range(40):
        rng, here, text = random.Random(seed), state.fork(), b""
        for step in range(60):
            allowed = mask_ids(here)
            stops = [token_id for token_id in allowed if token_id in family.vocabulary.stop_ids]
            closing = [token_id for token_id in allowed if tokens[token_id][:1] in (b"]", b"}", b")", b'"', b"b", b">")]
            if stops and rng.random() < 0.3:
                ended.add(text.decode())
                break
            token_id = rng.choice(closing if closing and rng.random() < step / 30 else allowed)
            if token_id in stops:
                ended.add(text.decode())
                break
            assert here.accept(token_id)
            text += tokens[token_id]
    assert len(ended) >= 4
    for text in ended:
        assert parses(parser, text), text


@one_family
def test_terminals_are_as_long_as_they_can_be(llguidance: Any, accepts: Any) -> None:
    state = llguidance.compile(Lark('start: NAME "b" | "c"\nNAME: /a[ab]*/')).state()
    assert accepts(state, "c") and not accepts(state, "ab") and not accepts(state, "abb")


@one_family
def test_ignored_text_stands_between_terminals_only(llguidance: Any, accepts: Any) -> None:
    state = llguidance.compile(Lark('start: "a" "b"\n%ignore " "\n%ignore /#[^\\n]*\\n/')).state()
    assert accepts(state, "ab") and accepts(state, "a  # b\n b")
    assert not accepts(state, " ab") and not accepts(state, "ab ")


@one_family
def test_the_flag_i_is_about_ascii_letters(llguidance: Any, accepts: Any) -> None:
    state = llguidance.compile(Lark('start: "sk1"i')).state()
    assert all(accepts(state, text) for text in ("sk1", "SK1", "sK1"))
    assert not accepts(state, "ſk1") and not accepts(state, "s\u212a1")


@pytest.mark.parametrize("name", sorted(COMMON))
def test_common_terminals_are_larks(name: str) -> None:
    """Against Lark's own definition, on texts near it; a text holds one token where its lexer takes it whole."""
    rng = random.Random(name)
    (terminal,) = [t for t in earley(f"%import common.{name}\nstart: {name}").terminals if t.name == name]
    theirs, ours = re.compile(terminal.pattern.to_regexp()), re.compile(COMMON[name])
    alphabet = 'aZ_09.eE+-"\\ \t\r\n\f/*#é' if name in ("ESCAPED_STRING", "CNAME", "WORD", "WS") else "aZ_09.eE+- "
    alphabet = {"C_COMMENT": "/*a\n", "CPP_COMMENT": "/a\n", "SH_COMMENT": "#a\n", "SQL_COMMENT": "-a\n"}.get(
        name, alphabet
    )
    alphabet = "\r\n a" if name in ("CR", "LF", "NEWLINE") else alphabet
    matched = 0
    for _ in range(8000):
        text = "".join(rng.choices(alphabet, k=rng.randint(1, 6)))
        if name == "ESCAPED_STRING":
            text = f'"{text}"'
        found = theirs.match(text)
        whole = found is not None and found.end() == len(text)
        assert (ours.fullmatch(text) is not None) == whole, text
        matched += whole
    assert matched > 5


@pytest.mark.parametrize(
    ("grammar", "where", "what"),
    [
        ('start: "a"\nA.2: "x"', "line 2, column 1", "a priority"),
        ('start.2: "a"', "line 1, column 1", "a priority"),
        ('start: a{"x"}\na{t}: t', "line 1, column 8", "a template"),
        ('a{t}: t\nstart: "x"', "line 1, column 1", "a template"),
        ('start: "a"\n%declare X', "line 2, column 1", "%declare"),
        ('start: "a"\n%extend start: "b"', "line 2, column 1", "%extend"),
        ('start: "a"\n%override start: "b"', "line 2, column 1", "%override"),
        ('%llguidance {"allow_invalid_utf8": true}\nstart: "a"', "line 1, column 1", "%llguidance"),
        ("%import python.NAME\nstart: NAME", "line 1, column 9", "an import"),
        ("%import .other.NAME\nstart: NAME", "line 1, column 9", "an import"),
        ("%import common.PYTHON\nstart: PYTHON", "line 1, column 16", "common.PYTHON"),
        ('start: "a"\n  %json {"type": "string"}', "line 2, column 3", "%json"),
        ('start: "a" %json {"type": "string"}', "line 1, column 12", "%json"),
        ('start: %regex {"substring_chars": "ab"}', "line 1, column 8", "%regex"),
        ("start: <|end|>", "line 1, column 8", "<|end|>"),
        ("start: <[0-9]>", "line 1, column 8", "<[0-9]>"),
        ("start: @value", "line 1, column 8", "@value"),
        ('start[lazy]: "a"', "line 1, column 1", "a rule attribute"),
        ('start: A\nA: "a" & "b"', "line 2, column 8", "'&'"),
        ('start: A\nA: ~"a"', "line 2, column 4", "'~'"),
        ('start: "é"i', "line 1, column 8", "the flag i"),
        ("start: /a/i", "line 1, column 8", "the flag i of a pattern"),
        ("start: /a/x", "line 1, column 8", "the flag x of a pattern"),
        ('start: "a"\n  | /b(?=c)/', "line 2, column 7", "look-ahead"),
        ("start: /a\\b/", "line 1, column 10", "word boundary"),
        ('start: /".*?"/', "line 1, column 11", "lazy"),
    ],
)
def test_what_is_not_enforced_is_refused_by_name_and_place(grammar: str, where: str, what: str) -> None:
    with pytest.raises(UnenforceableSchema) as caught:
        read_lark(grammar)
    assert caught.value.where == where and what in caught.value.what and caught.value.hint


@pytest.mark.parametrize(
    ("grammar", "where", "what"),
    [
        ("", "line 1, column 1", "no rule start"),
        ('begin: "a"', "line 1, column 1", "no rule start"),
        ('START: "a"', "line 1, column 1", "no rule start"),
        ("start: a", "line 1, column 8", "a is not defined"),
        ('start: "a"\n%ignore WS', "line 2, column 9", "WS is not defined"),
        ('start: "a"\nunused: b', "line 2, column 9", "b is not defined"),
        ('start: "a"\nstart: "b"', "line 2, column 1", "start is defined twice"),
        ('start: INT\nINT: "1"\n%import common.INT', "line 3, column 16", "INT is defined twice"),
        ('start: A\nA: "x" b\nb: "c"', "line 2, column 8", "the rule b inside a terminal"),
        ('start: A\nA: "x" A | "y"', "line 2, column 1", "the terminal A holds itself"),
        ('start: A\nA: B*\nB: "x" A?', "line 2, column 1", "holds itself"),
        ('start: "a" start', "line 1, column 1", "start never ends"),
        ("start: start", "line 1, column 1", "start never ends"),
        ('start: "a" | b\nb: c+ "x"\nc: "(" b ")"', "line 2, column 1", "b never ends"),
        ('start: "a', "line 1, column 8", "unexpected text '\"a'"),
        ("start: 'a'", "line 1, column 8", "unexpected text"),
        ('start: ("a"', "line 1, column 12", "expected ')', found the end of the line"),
        ('start: "a")', "line 1, column 11", "found ')'"),
        ('start "a"', "line 1, column 7", "expected ':'"),
        ('start: "a" "b"~', "line 1, column 16", "how often"),
        ('start: "a"~3..2', "line 1, column 11", "minimum is above"),
        ('start: "a"{2}', "line 1, column 11", "found '{'"),
        ('start: "b".."a"', "line 1, column 8", "a range"),
        ('start: "ab".."c"', "line 1, column 8", "a range"),
        (r'start: "\q"', "line 1, column 9", "an unknown escape"),
        (r'start: "\ud800"', "line 1, column 8", "half of a surrogate pair"),
        ("start: Ab", "line 1, column 8", "a name in lower case"),
        ("start: /a(/", "line 1, column 10", "not a regular expression"),
        ('start: "a" ""', "line 1, column 12", "an empty string"),
        ('start: ?b\nb: "a"', "line 1, column 8", "found '?'"),
    ],
)
def test_what_is_no_grammar_is_refused_at_its_place(grammar: str, where: str, what: str) -> None:
    with pytest.raises(InvalidSchema) as caught:
        read_lark(grammar)
    assert not isinstance(caught.value, UnenforceableSchema)
    assert caught.value.where == where and what in caught.value.what and caught.value.hint


def _chain(length: int) -> str:
    return "start: r0\n" + "".join(f'r{k}: "x" r{k + 1} | "y"\n' for k in range(length)) + f'r{length}: "z"'


@pytest.mark.parametrize(
    ("grammar", "what", "where"),
    [
        ('start: "' + "a" * 70_000 + '"', "a grammar: 70009 bytes, the limit is 65536", "line 1, column 1"),
        ("start: " + "(" * 51 + '"a"' + ")" * 51, "a grammar: 51 nested groups or more, the limit is 50", "column 58"),
        ('start: "a"~10001', "a grammar: 10001 repetitions, the limit is 10000", "line 1, column 11"),
        ('start: ("a"~101 "b")~100', "a grammar: 10100 repetitions, the limit is 10000", "line 1, column 21"),
        ("start: /" + "a" * 5000 + "/", "a pattern: 5000 bytes, the limit is 4096", "line 1, column 9"),
        ("start: /a{10001}/", "a pattern: 10001 repetitions, the limit is 10000", "line 1, column 10"),
        (_chain(2000), "a grammar: 1001 parts inside one another, the limit is 1000", "line 333, column 11"),
    ],
    ids=["bytes", "groups", "repetition", "repetition of repetition", "pattern", "repetition in a pattern", "depth"],
)
def test_grammars_are_bounded_before_they_are_compiled(grammar: str, what: str, where: str) -> None:
    with pytest.raises(InvalidSchema) as caught:
        read_lark(grammar)
    assert caught.value.what == what and where in caught.value.where and caught.value.hint


@one_family
@pytest.mark.timeout(30)
def test_grammars_at_the_limits_compile(llguidance: Any, accepts: Any) -> None:
    assert accepts(llguidance.compile(Lark(_chain(300))).state(), "x" * 300 + "z")
    many = "start: " + " ".join(f"r{k}" for k in range(2500)) + "".join(f'\nr{k}: "{k % 10}"' for k in range(2500))
    assert accepts(llguidance.compile(Lark(many)).state(), "0123456789" * 250)
    deep = "start: " + "(" * 50 + '"a"' + ")*" * 50
    assert accepts(llguidance.compile(Lark(deep)).state(), "aaa")


def test_limits_can_be_set() -> None:
    for limits in (GrammarLimits(lark_bytes=5), GrammarLimits(lark_depth=2), GrammarLimits(repetition=2)):
        with pytest.raises(InvalidSchema):
            read_lark('start: "a"~3', limits)
