"""A stream's text is the text of all its ids at once, whatever the ids and however they arrive, in linear time."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ramify.errors import InvalidRequest
from ramify.runtime.lowering.detokenizer import StreamDetokenizer
from ramify.runtime.lowering.tokenizer import Seam, TextTokenizer
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase

KINDS = (
    "byte_level",
    "byte_level_prefix",
    "metaspace_always",
    "metaspace_first",
    "metaspace_never",
    "legacy",
    "unigram",
)

TextTokenizerOf = Callable[[str], TextTokenizer]
ReferenceOf = Callable[[str], PreTrainedTokenizerBase]

# Modulo the vocabulary's size; the low ids of the SentencePiece kinds are special and byte tokens, so those come often.
ids_and_cuts = st.tuples(
    st.lists(st.integers(0, 300) | st.integers(0, 600), max_size=40), st.lists(st.integers(0, 40), max_size=6)
)


def streamed(tokenizer: TextTokenizer, ids: list[int], cuts: list[int], skip_special: bool, first: bool) -> str:
    detokenizer = StreamDetokenizer(tokenizer, skip_special=skip_special, first=first)
    parts = [detokenizer.push(ids[a:b]) for a, b in pairwise([0, *sorted(cuts), len(ids)])]
    return "".join([*parts, detokenizer.finish()])


def library_text(reference: PreTrainedTokenizerBase, ids: list[int], skip_special: bool) -> str:
    """The library's text, with U+FFFD for each ill-formed part of a run of byte tokens and the valid rest kept."""
    text: str = reference.decode(ids, skip_special_tokens=skip_special)
    if "�" not in text or "ByteFallback" not in str(reference.backend_tokenizer.decoder):
        return text
    # The library blanks whole runs of byte tokens. Decode with a byte in place of each, which Latin-1 keeps apart.
    out = bytearray()
    lead = True
    for index in ids:
        added = reference.added_tokens_decoder.get(index)
        if skip_special and added is not None and added.special:
            continue
        token = reference.convert_ids_to_tokens(index)
        byte = re.fullmatch("<0x(..)>", token)
        piece = bytes([int(byte[1], 16)]) if byte else token.replace("▁", " ").encode()
        strips = lead and "Strip" in str(reference.backend_tokenizer.decoder)
        out += piece.removeprefix(b" ") if strips else piece
        lead = False
    return out.decode("utf-8", "replace")


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=80)
@given(case=ids_and_cuts, skip_special=st.booleans())
def test_pieces_add_up_to_the_text_of_all_ids_at_once(
    tokenizer_of: TextTokenizerOf,
    reference_of: ReferenceOf,
    kind: str,
    case: tuple[list[int], list[int]],
    skip_special: bool,
) -> None:
    tokenizer, reference = tokenizer_of(kind), reference_of(kind)
    ids = [index % tokenizer.vocab_size for index in case[0]]
    text = streamed(tokenizer, ids, case[1], skip_special, first=True)
    assert text == library_text(reference, ids, skip_special)
    assert text == tokenizer.decode(ids, skip_special=skip_special, first=True)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=40)
@given(case=ids_and_cuts, prompt=st.sampled_from(["Hello", "Hello world", "user\n", "x  "]))
def test_text_after_a_prompt_is_what_it_adds_to_the_prompt(
    tokenizer_of: TextTokenizerOf, reference_of: ReferenceOf, kind: str, case: tuple[list[int], list[int]], prompt: str
) -> None:
    tokenizer, reference = tokenizer_of(kind), reference_of(kind)
    before = tokenizer.encode(prompt, after=Seam.START).tolist()
    ids = [index % tokenizer.vocab_size for index in case[0]]
    whole = library_text(reference, before + ids, skip_special=False)
    prefix = library_text(reference, before, skip_special=False)
    assert prefix + streamed(tokenizer, ids, case[1], skip_special=False, first=False) == whole


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=40)
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="▁"), max_size=20))
def test_a_character_is_held_back_until_its_last_byte(tokenizer_of: TextTokenizerOf, kind: str, text: str) -> None:
    tokenizer = tokenizer_of(kind)
    detokenizer = StreamDetokenizer(tokenizer)
    shown = "".join(detokenizer.push([index]) for index in tokenizer.encode(text, after=Seam.TEXT).tolist())
    assert "�" not in shown or "�" in text
    assert detokenizer.finish() == ""


def test_a_prompt_that_ends_inside_a_character_leaks_nothing(tokenizer_of: TextTokenizerOf) -> None:
    tokenizer = tokenizer_of("byte_level")
    half = tokenizer.encode("𝄞", after=Seam.TEXT).tolist()
    detokenizer = StreamDetokenizer(tokenizer)
    assert detokenizer.push([*half[-1:], *tokenizer.encode("ok", after=Seam.TEXT).tolist()]) == "�ok"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("token", ["<0xF0>", "ð", "a"])
def test_each_id_costs_one_lookup_even_when_nothing_is_text(
    tokenizer_of: TextTokenizerOf, monkeypatch: pytest.MonkeyPatch, kind: str, token: str
) -> None:
    tokenizer = tokenizer_of(kind)
    index = tokenizer.token_to_id(token)
    if index is None:
        index = tokenizer.token_to_id("<unk>") or 0
    lookups = 0
    real = tokenizer.id_to_bytes

    def counted(token_id: int, *, first: bool = False) -> bytes:
        nonlocal lookups
        lookups += 1
        return real(token_id, first=first)

    def never(*args: object, **kwargs: object) -> str:
        raise AssertionError("a window of ids was decoded again")

    real(index)
    monkeypatch.setattr(tokenizer, "id_to_bytes", counted)
    monkeypatch.setattr(tokenizer, "decode", never)
    detokenizer = StreamDetokenizer(tokenizer)
    size = sum(len(detokenizer.push([index])) for _ in range(5000)) + len(detokenizer.finish())
    assert lookups == 5000
    assert size >= 5000


@pytest.mark.parametrize("kind", ["metaspace_first", "metaspace_never"])
def test_a_space_that_opens_the_text_is_treated_alike_as_a_piece_and_as_a_byte(
    tokenizer_of: TextTokenizerOf, reference_of: ReferenceOf, kind: str
) -> None:
    tokenizer = tokenizer_of(kind)
    for space in ("<0x20>", "▁"):
        ids = [tokenizer.token_to_id(space) or 0, *tokenizer.encode("a", after=Seam.TEXT).tolist()]
        assert tokenizer.decode(ids, skip_special=True, first=True) == reference_of(kind).decode(ids)


def test_ids_beyond_the_vocabulary_add_nothing_and_negative_ones_are_refused(tokenizer_of: TextTokenizerOf) -> None:
    tokenizer = tokenizer_of("metaspace_first")
    hello = tokenizer.encode("Hello", after=Seam.START).tolist()
    padded = [tokenizer.vocab_size + 5, *hello]
    assert tokenizer.decode(padded, skip_special=True, first=True) == "Hello"
    assert StreamDetokenizer(tokenizer, first=True).push(padded) == "Hello"
    with pytest.raises(InvalidRequest, match="negative"):
        StreamDetokenizer(tokenizer).push([-1])


@pytest.mark.parametrize(
    "decoder", [decoders.WordPiece(), decoders.Metaspace(), None], ids=["wordpiece", "metaspace", "none"]
)
@settings(deadline=None, max_examples=40)
@given(ids=st.lists(st.integers(0, 7), max_size=12))
def test_other_local_decoders_are_followed(
    tmp_path_factory: pytest.TempPathFactory, decoder: object, ids: list[int]
) -> None:
    vocab = ["hello", "##lo", "▁world", "▁▁", ".", "don", "##'t", "[UNK]"]
    library = Tokenizer(models.WordLevel({token: index for index, token in enumerate(vocab)}, unk_token="[UNK]"))
    library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if decoder is not None:
        library.decoder = decoder
    path = tmp_path_factory.mktemp("local")
    library.save(str(path / "tokenizer.json"))
    tokenizer = TextTokenizer.load(path)
    assert streamed(tokenizer, ids, list(range(12)), False, first=True) == library.decode(ids)
