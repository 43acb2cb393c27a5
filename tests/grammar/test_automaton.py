"""Questions about patterns are answered as trying every short text answers them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ramify.errors import UnenforceableSchema
from ramify.grammar.automaton import TooLarge, matches, matches_all, share_a_text, texts
from ramify.grammar.ecma import search_expression
from ramify.grammar.expression import Expression
from schema_world import _search as found

SHORT = ["".join(text) for length in range(5) for text in itertools.product("ab\n", repeat=length)]

atoms = st.sampled_from(["a", "b", ".", "[^a]", "[ab]", "", "^", "$", r"\n"])
patterns = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda options: f"(?:{'|'.join(options)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,2}"])).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
    ),
    max_leaves=6,
)
quick = settings(max_examples=300, deadline=None, derandomize=True)


def read(pattern: str) -> Expression | None:
    try:
        return search_expression(pattern)
    except UnenforceableSchema:  # an anchor inside a counted repetition
        return None


def texts_of(pattern: str) -> list[str]:
    return [text for text in SHORT if found(pattern, text)]


@quick
@given(patterns)
def test_a_text_matches_as_a_search_finds_it(pattern: str) -> None:
    if (expression := read(pattern)) is not None:
        assert [text for text in SHORT if matches(expression, text)] == texts_of(pattern)


@quick
@given(patterns, patterns)
def test_common_texts_are_found(left: str, right: str) -> None:
    expressions = [expression for pattern in (left, right) if (expression := read(pattern)) is not None]
    if len(expressions) == 2 and set(texts_of(left)) & set(texts_of(right)):
        assert share_a_text(expressions)
    if len(expressions) == 2 and not share_a_text(expressions):
        assert not set(texts_of(left)) & set(texts_of(right))


@quick
@given(patterns)
def test_a_pattern_of_all_texts_and_one_of_a_few_are_told(pattern: str) -> None:
    if (expression := read(pattern)) is None:
        return
    if matches_all(expression):
        assert texts_of(pattern) == SHORT
    if (few := texts(expression, 20)) is not None:
        assert sorted(few) == sorted({*few, *texts_of(pattern)})


@pytest.mark.parametrize(
    ("left", "right", "share"),
    [
        ("^a", "b$", True),
        ("^a+$", "^[b-z]", False),
        (r"^\d{4}-\d{2}$", r"^\w+$", False),
        ("^[^]{0,3}$", "^[^]{4,}$", False),
        ("^(ab)*$", "^a(ba)*$", False),
        ("[\U0001f600]", "[^\u0000-\uffff]", True),
    ],
)
def test_patterns_that_share_a_text_or_none(left: str, right: str, share: bool) -> None:
    first, second = search_expression(left), search_expression(right)
    assert first is not None and second is not None
    assert share_a_text([first, second]) == share


def test_what_is_too_large_is_not_answered() -> None:
    long = search_expression("^(?:[ab]{40}){40}$")
    wide = search_expression("^[ab]*a[ab]{12}$")
    assert long is not None and wide is not None
    with pytest.raises(TooLarge):
        matches(long, "a")
    with pytest.raises(TooLarge):
        share_a_text([wide, search_expression("^[ab]*b[ab]{12}$") or wide])
    with pytest.raises(TooLarge):
        matches(wide, "a" * 5_000)
    assert texts(wide, 50) is None
