"""Patterns mean what `re.fullmatch` says, or are refused at their character: nothing is dropped or read otherwise."""

from __future__ import annotations

import random
import re
import unicodedata
import warnings
from typing import Any

import pytest
from ramify.errors import InvalidSchema, UnenforceableSchema
from ramify.grammar.charset import LAST, charset, complement, python_class
from ramify.grammar.expression import Chars
from ramify.grammar.limits import GrammarLimits
from ramify.grammar.regex import parse_regex
from ramify.grammar.spec import Regex

one_family = pytest.mark.parametrize("family_name", ["byte_level"])


def refused(pattern: str, **limits: int) -> InvalidSchema:
    with pytest.raises(InvalidSchema) as caught:
        parse_regex(pattern, GrammarLimits(**limits))
    assert caught.value.what and caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("pattern", "character", "name"),
    [
        ("ab(?=c)c", 2, "look-ahead"),
        ("^(?!a)[a-z]+$", 1, "look-ahead"),
        ("a(?<=a)b", 1, "look-behind"),
        ("a(?<!b)c", 1, "look-behind"),
        (r"(a)\1", 3, "back-reference"),
        (r"(?P<x>a)(?P=x)", 8, "back-reference"),
        (r"(a)?(?(1)b|c)", 4, "conditional group"),
        (r"\bword\b", 0, "word boundary"),
        (r"a\Bb", 1, "word boundary"),
        ("a^b", 1, "anchor inside"),
        ("(a|b^)c", 4, "anchor inside"),
        ("a$b", 1, "anchor inside"),
        ("a$\n", 1, "anchor inside"),
        ("(a$)*", 2, "anchor inside"),
        ("(^a)+", 1, "anchor inside"),
        (r"a\Ab", 1, "anchor inside"),
        (r"a\Zb", 1, "anchor inside"),
        ("x?^a", 2, "anchor inside"),
        ("(?i)abc", 0, "inline flag"),
        ("a(?s:.)", 1, "inline flag"),
        ("a(?-i:b)", 1, "inline flag"),
        ("a*+", 1, "possessive"),
        ("xa{2,3}+", 2, "possessive"),
        ("(?>a|ab)c", 0, "atomic group"),
        ("a(?#note)b", 1, "comment"),
        (r"a\p{L}", 1, "Unicode property"),
        (r"\PL", 0, "Unicode property"),
        (r"\N{DIGIT ONE}", 0, "by its name"),
        (r"a\0", 1, "octal"),
        (r"[\101]", 1, "octal"),
        ("a[[:alpha:]]", 2, "POSIX class"),
        ("[[a]b]", 1, "set inside a set"),
        ("[a&&b]", 2, "set operation"),
        ("[a||b]", 2, "set operation"),
        ("[a~~b]", 2, "set operation"),
        ("[ab--b]", 2, "set operation"),
    ],
)
def test_what_is_not_enforced_is_refused_by_name_and_position(pattern: str, character: int, name: str) -> None:
    error = refused(pattern)
    assert isinstance(error, UnenforceableSchema)
    assert name in error.what and error.where == f"character {character}"


@pytest.mark.parametrize(
    ("pattern", "character"),
    [
        ("a(b", 1), ("a)b", 1), ("(?:a", 0), ("[a", 0), ("[]", 0), ("a**", 2), ("a{2}{3}", 4), ("*a", 0), ("a|+", 2),
        ("(?)", 0), ("(?<x>a)", 0), ("(?P<1>a)", 0), ("(?P<x>a)(?P<x>b)", 8), ("a{3,2}", 1), ("^*", 1), ("[b-a]", 1),
        (r"[a-\d]", 1), (r"[\d-z]", 1), (r"\q", 0), (r"[\Z]", 1), ("a\\", 1), (r"\x4", 0), (r"\u12g4", 0),
        (r"\U00110000", 0), (r"\z", 0), ("{2}", 0), ("a???", 3),
    ],
)  # fmt: skip
def test_what_python_does_not_compile_is_refused_at_its_character(pattern: str, character: int) -> None:
    with pytest.raises(re.error):
        re.compile(pattern)
    error = refused(pattern)
    assert not isinstance(error, UnenforceableSchema) and error.where == f"character {character}"


@pytest.mark.parametrize("pattern", [r"[^\s\S]", r"\ud800", r"[\ud800-\udfff]", "a\udc80"])
def test_a_set_without_a_character_is_refused(pattern: str) -> None:
    assert "without a character" in refused(pattern).what


EQUAL = {
    "": ["", "a"],
    "a*": ["", "a", "aaa", "b"],
    "()*": ["", "a"],
    "(|a)*b": ["b", "aab", "a"],
    "(?:)": ["", "a"],
    "a|": ["", "a"],
    "^a$|^b\\Z": ["a", "b", "a\n", "ab"],
    "(^a|b)c": ["ac", "bc", "c"],
    "a(b$|c$)": ["ab", "ac", "ab\n"],
    "(^)?a": ["a", ""],
    r"\A(?P<x>a|ab)(c|bcd)(d*)\Z": ["abcd", "acd", "abbcd", "ab"],
    "a.*?b": ["ab", "axbxb", "axbx"],
    "a+?b??c{1,2}?": ["ac", "aabcc", "accc"],
    ".": ["\n", "\r", "é", "😀", "\x00", "ab"],
    "a.c": ["a\u2028c", "a\nc"],
    "[^a]": ["\n", "b", "a", "😀"],
    "a{,2}b": ["b", "aab", "aaab", "a{,2}b"],
    "a{2,}": ["a", "aa", "aaaaa"],
    "a{,}": ["", "aa", "a{,}"],
    "a{}": ["a{}", "a"],
    "a{b}{": ["a{b}{"],
    "a{ 2}": ["a{ 2}", "aa"],
    "}]": ["}]"],
    "(ab){2,3}": ["ab", "abab", "ababab", "abababab"],
    "((a|b){2}c?){2}": ["abab", "abcba", "abc", "abcabc"],
    r"\d+": ["1", "٣४", "²", "½", "a"],
    r"\w+": ["aé_٣", "日本", "²", "a-b", "\u0301"],
    r"\s": [" ", "\x1c", "\u00a0", "\u2028", "\u200b", "\x85"],
    r"\D\W\S": ["a-b", "1-b", "aab"],
    r"[^\W\d_]+": ["aé", "a1", "_"],
    r"[\d\-x]": ["5", "-", "x", "\\"],
    r"[]a]": ["]", "a", "b"],
    r"[^]a]": ["]", "b"],
    r"[a\]b]": ["]", "\\"],
    "[a-]": ["a", "-", "b"],
    "[-a]": ["a", "-"],
    r"[\b]": ["\b", "b"],
    r"[.^$*(]": [".", "^", "$", "*", "(", "a"],
    r"\x41\u00e9\U0001f600\n\t\\\.\/": ["Aé😀\n\t\\./", "A"],
    r"\a\f\v\r": ["\a\f\v\r"],
    r"\-\!\é\ ": ["-!é "],
    "[à-ÿ]+": ["éü", "e"],
    "[\ud7ff-\ue000]": ["\ud7ff", "\ue000", "a"],
    '"\\w*"/#': ['"a"/#', '""/#'],
    "日本|日": ["日", "日本", "本"],
    "\x00\x7f": ["\x00\x7f"],
}


@one_family
@pytest.mark.parametrize("pattern", EQUAL)
def test_a_pattern_matches_what_python_matches(llguidance: Any, accepts: Any, pattern: str) -> None:
    state = llguidance.compile(Regex(pattern)).state()
    found = [accepts(state, text) for text in EQUAL[pattern]]
    assert found == [re.fullmatch(pattern, text) is not None for text in EQUAL[pattern]] and any(found)


@one_family
def test_random_patterns_match_what_python_matches(llguidance: Any, accepts: Any) -> None:
    """Patterns put together at random; each that is accepted is compared on random texts, and most are accepted."""
    rng = random.Random(5)
    pieces = ["a", "b", "c", ".", "[ab]", "[^a]", r"\w", r"\d", "1", "(", ")", "(?:", "|", "*", "+", "?", "{2}", "{,2}"]
    pieces += ["{1,2}", "*?", "^", "$", "{", "}", "-", "]", r"[\w-]", r"[]1]", "é", r"\.", "+?"]
    compared = matched = 0
    for _ in range(3000):
        pattern = "".join(rng.choices(pieces, k=rng.randint(1, 7)))
        try:
            parse_regex(pattern)
        except UnenforceableSchema:
            continue
        except InvalidSchema:
            with pytest.raises(re.error):
                re.compile(pattern)
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            oracle = re.compile(pattern)
        if rng.random() < 0.8 and compared > 30:
            continue
        state = llguidance.compile(Regex(pattern)).state()
        for _ in range(25):
            text = "".join(rng.choices("aabbc1é.{}-]\n", k=rng.randint(0, 5)))
            expected = oracle.fullmatch(text) is not None
            assert accepts(state, text) == expected, (pattern, text)
            matched += expected
        compared += 1
    assert compared > 200 and matched > 300


@pytest.mark.parametrize(
    ("letter", "belongs"),
    [("d", str.isdecimal), ("s", str.isspace), ("w", lambda c: c.isalnum() or c == "_")],
    ids=["d", "s", "w"],
)
def test_classes_are_those_of_this_pythons_unicode(letter: str, belongs: Any) -> None:
    characters = [code for code in range(LAST + 1) if belongs(chr(code))]
    assert characters == [code for low, high in python_class(letter) for code in range(low, high + 1)]
    assert python_class(letter.upper()) == complement(python_class(letter))


@one_family
def test_classes_are_enforced_at_the_edges_of_their_ranges(llguidance: Any, accepts: Any) -> None:
    rng = random.Random(3)
    for letter in "dsw":
        state = llguidance.compile(Regex(rf"\{letter}")).state()
        edges = [edge for low, high in python_class(letter) for edge in (low - 1, low, high, high + 1)]
        for code in rng.sample(edges, min(len(edges), 150)):
            if code >= 0 and unicodedata.category(chr(code)) != "Cs":
                assert accepts(state, chr(code)) == (re.fullmatch(rf"\{letter}", chr(code)) is not None), hex(code)


def test_sets_are_kept_in_one_form() -> None:
    assert charset([(5, 9), (1, 2), (3, 4), (8, 20)]) == ((1, 20),)
    assert charset([(0xD000, 0xE100)]) == ((0xD000, 0xD7FF), (0xE000, 0xE100))
    assert complement(()) == charset([(0, LAST)]) and complement(charset([(0, LAST)])) == ()
    rng = random.Random(2)
    for _ in range(200):
        ranges = charset([(low, low + rng.randint(0, 9)) for low in rng.choices(range(60), k=5)])
        assert complement(complement(ranges)) == ranges
        members = {code for low, high in ranges for code in range(low, high + 1)}
        outside = {code for low, high in complement(ranges) for code in range(low, min(high, 80) + 1)}
        assert members | outside == set(range(81)) and not members & outside


@pytest.mark.parametrize(
    ("pattern", "what", "where"),
    [
        ("é" * 2049, "a pattern: 4098 bytes, the limit is 4096", "character 0"),
        ("a" + "(" * 51 + ")" * 51, "a pattern: 51 nested groups or more, the limit is 50", "character 51"),
        ("(?:" * 51 + ")" * 51, "a pattern: 51 nested groups or more, the limit is 50", "character 150"),
        ("ba{10001}", "a pattern: 10001 repetitions, the limit is 10000", "character 2"),
        ("ba{,10001}", "a pattern: 10001 repetitions, the limit is 10000", "character 2"),
        ("[a-z]{20000,}", "a pattern: 20000 repetitions, the limit is 10000", "character 5"),
        ("(a{101}b){100}", "a pattern: 10100 repetitions, the limit is 10000", "character 9"),
        ("((a{3}){40}|x){100}", "a pattern: 12000 repetitions, the limit is 10000", "character 14"),
        (r"[]\]{]{10001}", "a pattern: 10001 repetitions, the limit is 10000", "character 6"),
    ],
)
def test_patterns_are_bounded_before_they_are_compiled(pattern: str, what: str, where: str) -> None:
    error = refused(pattern)
    assert (error.what, error.where) == (what, where)


@pytest.mark.parametrize("pattern", ["é" * 2048, "(" * 50 + "a" + ")" * 50, r"\(" * 60, "(a{100}){100}", "a{10000}"])
def test_patterns_at_the_limits_are_read(pattern: str) -> None:
    parse_regex(pattern)


@one_family
def test_character_sets_are_bounded_together(llguidance: Any) -> None:
    with pytest.raises(InvalidSchema, match=r"character sets: \d+ ranges, the limit is 20000"):
        llguidance.compile(Regex("".join(f"[^\\w{chr(0x2190 + index)}]" for index in range(40))))
    llguidance.compile(Regex(r"\w\W" * 900))  # two different sets, whatever their number


def test_a_class_alone_is_one_set() -> None:
    assert parse_regex(r"\w") == Chars(python_class("w"))
