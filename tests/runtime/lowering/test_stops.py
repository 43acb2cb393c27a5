"""Stop strings end a value where a search over its whole text would, whatever the tokens."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ramify.errors import InvalidRequest
from ramify.runtime.lowering.detokenizer import StreamDetokenizer
from ramify.runtime.lowering.stops import StopHit, StopStrings
from ramify.runtime.lowering.tokenizer import Seam, TextTokenizer
from text_oracles import text_before_stop

TextTokenizerOf = Callable[[str], TextTokenizer]

_LETTERS = "ab\né🎉"
stop_lists = st.lists(st.text(_LETTERS, min_size=1, max_size=5), min_size=1, max_size=4).map(tuple)
values = st.text(_LETTERS, max_size=40)


class Bytes(TextTokenizer):
    """A tokenizer of given tokens: cuts that no trained tokenizer would make."""

    def __init__(self, tokens: list[bytes]) -> None:
        self.tokens = tokens
        self.vocab_size = len(tokens)

    def is_special(self, token_id: int) -> bool:
        return False

    def id_to_bytes(self, token_id: int, *, first: bool = False) -> bytes:
        return self.tokens[token_id]


def watch(tokens: list[bytes], stops: tuple[str, ...]) -> tuple[str, StopHit | None]:
    """The text and the hit, tokens pushed one at a time. Checks that what was given out was never taken back."""
    watcher = StopStrings(StreamDetokenizer(Bytes(tokens)), stops)
    parts = [watcher.push([index]) for index in range(len(tokens))]
    text = "".join([*parts, watcher.finish()])
    return text, watcher.hit


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    return [data[a:b] for a, b in pairwise([0, *sorted(min(c, len(data)) for c in cuts), len(data)])]


@settings(deadline=None, max_examples=400)
@given(text=values, stops=stop_lists, cuts=st.lists(st.integers(0, 120), max_size=40))
@example(text="aab\n\nUser", stops=("\n\n",), cuts=[1, 4])
@example(text="é\n", stops=("\n",), cuts=[1])
@example(text="🎉🎉b", stops=("b",), cuts=[1, 3, 5, 7])
def test_text_ends_where_a_search_over_all_of_it_says(text: str, stops: tuple[str, ...], cuts: list[int]) -> None:
    tokens = cut(text.encode(), cuts)
    shown, hit = watch(tokens, stops)
    expected = text_before_stop(text, stops)
    if expected is None:
        assert (shown, hit) == (text, None)
        return
    assert hit is not None
    assert (shown, hit.stop) == expected
    # The stream keeps the most tokens whose text, with the leftover, is the text of the value.
    kept = [n for n in range(len(tokens) + 1) if ends_between_characters(b"".join(tokens[:n]), shown)]
    assert hit.keep == max(kept)
    assert b"".join(tokens[: hit.keep]).decode() + hit.leftover == shown


def ends_between_characters(data: bytes, text: str) -> bool:
    try:
        return text.startswith(data.decode())
    except UnicodeDecodeError:
        return False


@settings(deadline=None, max_examples=200)
@given(
    data=st.lists(st.sampled_from([b"\xf0", b"\x9f", b"\x82", b"\xe2", b"a", b"b", b"\n", "é".encode()]), max_size=30),
    stops=st.lists(st.text("ab\né", min_size=1, max_size=4), min_size=1, max_size=3).map(tuple),
    cuts=st.lists(st.integers(0, 40), max_size=20),
)
def test_bytes_that_are_no_text_do_not_hide_a_stop_string(
    data: list[bytes], stops: tuple[str, ...], cuts: list[int]
) -> None:
    joined = b"".join(data)
    tokens = cut(joined, cuts)
    shown, hit = watch(tokens, stops)
    expected = text_before_stop(joined.decode("utf-8", "replace"), stops)
    assert (shown, hit and hit.stop) == (expected or (joined.decode("utf-8", "replace"), None))
    if hit is not None:
        assert b"".join(tokens[: hit.keep]).decode("utf-8", "replace") + hit.leftover == shown


@settings(deadline=None, max_examples=200)
@given(text=values, stops=stop_lists, cuts=st.lists(st.integers(0, 120), max_size=40), data=st.data())
def test_text_is_given_out_as_soon_as_no_stop_string_can_begin_in_it(
    text: str, stops: tuple[str, ...], cuts: list[int], data: st.DataObject
) -> None:
    tokens = cut(text.encode(), cuts)
    watcher = StopStrings(StreamDetokenizer(Bytes(tokens)), stops)
    shown, seen = "", b""
    for index, token in enumerate(tokens):
        shown += watcher.push([index])
        seen += token
        if watcher.hit is not None:
            break
        whole = seen.decode("utf-8", "ignore")  # without a character that is not complete yet
        held = max(
            (n for stop in stops for n in range(1, len(stop)) if whole.endswith(stop[:n]) and whole.encode() == seen),
            default=0,
        )
        if whole.encode() == seen:
            assert shown == whole[: len(whole) - held]
        assert text.startswith(shown)


@pytest.mark.parametrize("kind", ["byte_level", "metaspace_first", "unigram"])
@settings(deadline=None, max_examples=60)
@given(text=st.text("ab .\n:é🎉", min_size=1, max_size=30), stops=stop_lists)
def test_real_tokens_keep_the_stream_and_the_value_equal(
    tokenizer_of: TextTokenizerOf, kind: str, text: str, stops: tuple[str, ...]
) -> None:
    tokenizer = tokenizer_of(kind)
    ids = tokenizer.encode(text, after=Seam.TEXT).tolist()
    watcher = StopStrings(StreamDetokenizer(tokenizer), stops)
    shown = watcher.push(ids) + watcher.finish()
    expected = text_before_stop(text, stops)
    assert shown == (text if expected is None else expected[0])
    if watcher.hit is not None:
        kept = tokenizer.decode(ids[: watcher.hit.keep], skip_special=True)
        assert kept + watcher.hit.leftover == shown


def test_special_tokens_between_are_kept_or_given_back_with_the_text_around_them(
    tokenizer_of: TextTokenizerOf,
) -> None:
    tokenizer = tokenizer_of("byte_level")
    a, b = (tokenizer.encode(c, after=Seam.TEXT).tolist() for c in "ab")
    special = [tokenizer.token_to_id("<|eot|>") or 0]
    for tokens, keep in ((a + special + b, 0), (special + a + b, 1), (b + special + special + a + b, 3)):
        watcher = StopStrings(StreamDetokenizer(tokenizer), ("ab",))
        watcher.push(tokens)
        assert watcher.hit == StopHit("ab", keep, "")


def test_a_token_that_ends_where_the_stop_string_begins_is_kept_even_inside_a_broken_character() -> None:
    assert watch([b"a\xe2", b"STOP"], ("STOP",)) == ("a�", StopHit("STOP", 1, ""))


def test_ids_behind_the_stop_string_are_ignored() -> None:
    watcher = StopStrings(StreamDetokenizer(Bytes([b"x", b"STOP", b"y"])), ("STOP",))
    assert watcher.push([0, 1, 2]) == "x"
    assert watcher.hit == StopHit("STOP", 1, "")
    assert watcher.push([2]) + watcher.finish() == ""
    assert watcher.hit == StopHit("STOP", 1, "")


def test_memory_and_work_do_not_grow_with_the_output() -> None:
    watcher = StopStrings(StreamDetokenizer(Bytes([b"aaab", b"", b"a"])), ("a" * 200 + "c",))
    for _ in range(20_000):
        watcher.push([0])
    assert watcher.retained <= 1000
    for _ in range(150):
        watcher.push([2])
    for _ in range(20_000):  # tokens without text while a stop string may have begun
        watcher.push([1])
    assert watcher.retained <= 1000
    watcher.push([2] * 50)
    assert watcher.hit is None


def test_without_stop_strings_all_text_passes_at_once() -> None:
    watcher = StopStrings(StreamDetokenizer(Bytes([b"a]", "é".encode(), b"\xf0"])), ())
    assert [watcher.push([index]) for index in range(3)] == ["a]", "é", ""]
    assert (watcher.finish(), watcher.hit) == ("�", None)


@pytest.mark.parametrize("stop", ["", "\ud83d"])
def test_a_stop_string_that_no_text_can_hold_is_refused(stop: str) -> None:
    with pytest.raises(InvalidRequest):
        StopStrings(StreamDetokenizer(Bytes([])), (stop,))
