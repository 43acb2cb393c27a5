"""Every id's bytes, for both families: they add up to the text, and control tokens have none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ramify.errors import InvalidRequest, UnsupportedModel
from ramify.grammar.vocabulary import Vocabulary
from tokenizers import Tokenizer, decoders, models

TEXTS = (
    'plain words, {"name": "value", "n": [1, 2.5e-3]}',
    "été naïve größe 日本語 😀 \u0000\u001f\x7f ﬁ",
    "two  spaces   and\nnew\tlines ",
    "<|end|",
    "žЖअ字𝕏",
)


@pytest.mark.parametrize("text", TEXTS)
def test_bytes_of_the_ids_add_up_to_the_text(family: Any, text: str) -> None:
    ids = family.tokenizer.encode(text, add_special_tokens=False).ids
    spelled = b"".join(family.vocabulary.tokens[token_id] for token_id in ids)
    assert spelled.removeprefix(b" ") == text.encode().removeprefix(b" ")


def test_bytes_agree_with_the_tokenizers_own_decoder(family: Any) -> None:
    """Between two plain pieces, so that what the decoder does at the start of a text is out of the way."""
    anchor = family.encode("a")[-1]
    checked = 0
    for token_id, spelled in enumerate(family.vocabulary.tokens):
        try:
            text = spelled.decode()
        except UnicodeDecodeError:
            continue
        if text:
            assert family.tokenizer.decode([anchor, token_id, anchor], skip_special_tokens=False) == f"a{text}a"
            checked += 1
    assert checked > 150


def test_control_tokens_have_no_bytes(family: Any) -> None:
    assert len(family.control_ids) >= 4
    assert all(family.vocabulary.tokens[token_id] == b"" for token_id in family.control_ids)


def test_every_byte_has_a_token_of_its_own(family: Any) -> None:
    assert {token for token in family.vocabulary.tokens if len(token) == 1} == {bytes((byte,)) for byte in range(256)}


def test_added_tokens_that_are_not_special_are_their_text(family_name: str, family: Any) -> None:
    if family_name == "byte_level":
        assert family.vocabulary.tokens[family.tokenizer.token_to_id("<think>")] == b"<think>"
    tokenizer = Tokenizer.from_str(family.tokenizer.to_str())
    tokenizer.add_tokens(["é two▁"])
    vocabulary = Vocabulary.from_tokenizer(tokenizer, width=1000, stop_ids=[2])
    assert vocabulary.tokens[tokenizer.token_to_id("é two▁")] == "é two▁".encode()


def test_unigram_with_metaspace_and_byte_fallback_is_read() -> None:
    pieces = [("<unk>", 0.0), ("</s>", 0.0), ("▁a", -1.0), ("b", -2.0), ("<0x0A>", -3.0), ("▁", -4.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.Metaspace(), decoders.ByteFallback(), decoders.Fuse()])
    vocabulary = Vocabulary.from_tokenizer(tokenizer, width=8, stop_ids=[1])
    assert vocabulary.tokens == (b"", b"", b" a", b"b", b"\n", b" ")


def test_a_byte_piece_is_text_where_the_decoder_has_no_byte_fallback() -> None:
    tokenizer = Tokenizer(models.Unigram([("</s>", 0.0), ("<0x0A>", -1.0)], unk_id=None))
    tokenizer.decoder = decoders.Metaspace()
    assert Vocabulary.from_tokenizer(tokenizer, width=2, stop_ids=[0]).tokens[1] == b"<0x0A>"


def test_ids_beyond_the_logits_are_left_out(family: Any) -> None:
    vocabulary = Vocabulary.from_tokenizer(family.tokenizer, width=100, stop_ids=[2])
    assert len(vocabulary.tokens) == 100 and vocabulary.words == 4


@pytest.mark.parametrize(("width", "words", "last_word"), [(32, 1, -1), (33, 2, 1), (63, 2, 2**31 - 1), (64, 2, -1)])
def test_last_word_covers_the_ids_below_the_width(width: int, words: int, last_word: int) -> None:
    vocabulary = Vocabulary((b"", b"a"), frozenset({0}), width)
    assert (vocabulary.words, vocabulary.last_word) == (words, last_word)


@pytest.mark.parametrize(
    "decoder",
    [
        decoders.WordPiece(),
        decoders.BPEDecoder(),
        decoders.CTC(),
        decoders.Sequence([decoders.ByteLevel(), decoders.Fuse()]),
        decoders.Sequence([decoders.Replace("▁", " "), decoders.Strip("x", 1, 0)]),
        None,
    ],
)
def test_an_unknown_decoder_is_refused_by_name(decoder: decoders.Decoder | None) -> None:
    tokenizer = Tokenizer(models.BPE({"a": 0}, []))
    if decoder is not None:
        tokenizer.decoder = decoder
    with pytest.raises(UnsupportedModel) as caught:
        Vocabulary.from_tokenizer(tokenizer, width=1, stop_ids=[0])
    assert "decoder" in caught.value.what and "ByteLevel" in caught.value.hint


def test_a_name_outside_the_byte_alphabet_is_refused() -> None:
    tokenizer = Tokenizer(models.BPE({"a": 0, "日": 1}, []))
    tokenizer.decoder = decoders.ByteLevel()
    with pytest.raises(UnsupportedModel, match="日"):
        Vocabulary.from_tokenizer(tokenizer, width=2, stop_ids=[0])


@pytest.mark.parametrize(
    ("tokens", "stop_ids", "width"),
    [((b"a",), [], 1), ((b"", b"a"), [2], 2), ((b"", b"a"), [0], 1), ((b"a", b""), [0], 2), ((b"",), [-1], 1)],
    ids=["no stop", "stop out of range", "narrow logits", "stop with bytes", "negative stop"],
)
def test_a_vocabulary_that_cannot_work_is_refused(tokens: tuple[bytes, ...], stop_ids: list[int], width: int) -> None:
    with pytest.raises(InvalidRequest):
        Vocabulary(tokens, frozenset(stop_ids), width)


def test_json_and_tokenizer_give_the_same(family: Any) -> None:
    text = json.dumps(json.loads(family.tokenizer.to_str()))
    vocabulary = family.vocabulary
    assert Vocabulary.from_json(text, width=vocabulary.width, stop_ids=vocabulary.stop_ids) == vocabulary
