"""A stream's text is the text of all its ids at once, whatever the ids and however they arrive, in linear time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lowering_desk import Desk, gen
from ramify.errors import InvalidRequest
from ramify.runtime.core import messages as core
from ramify.runtime.lowering.detokenizer import StreamDetokenizer
from ramify.runtime.lowering.stops import StopHit
from ramify.runtime.lowering.tokenizer import Seam, TextTokenizer
from ramify.runtime.protocol.graph import Text, TextDelta
from text_oracles import library_text, text_before_stop
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


class Counted:
    """How many ids a tokenizer is asked to decode: by us, and by the library when it meets an id for the first time."""

    def __init__(self, tokenizer: TextTokenizer, patch: pytest.MonkeyPatch) -> None:
        self.ours = self.by_library = 0
        look_up, decode = tokenizer.id_to_bytes, tokenizer._bytes._decode

        def counted_look_up(token_id: int, *, first: bool = False) -> bytes:
            self.ours += 1
            return look_up(token_id, first=first)

        def counted_decode(ids: list[int]) -> str:
            self.by_library += len(ids)
            return decode(ids)

        patch.setattr(tokenizer, "id_to_bytes", counted_look_up)
        patch.setattr(tokenizer._bytes, "_decode", counted_decode)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=50)
@given(case=ids_and_cuts, data=st.data())
def test_the_engine_streams_the_text_of_the_value_and_decodes_each_id_a_few_times(
    tokenizer_of: TextTokenizerOf,
    reference_of: ReferenceOf,
    kind: str,
    case: tuple[list[int], list[int]],
    data: st.DataObject,
) -> None:
    """Through `Lowering`, as a gen that streams: once for its `TextDelta`s, once for its value, and with stop strings
    once more for the core, which watches for them. The library decodes an id once in a tokenizer's life."""
    tokenizer, reference = tokenizer_of(kind), reference_of(kind)
    ids = [index % tokenizer.vocab_size for index in case[0]]
    before = tokenizer.encode("Hello", after=Seam.START).tolist()
    prefix = library_text(reference, before, skip_special=True)
    text = library_text(reference, before + ids, skip_special=True)[len(prefix) :]
    likely = [text[at : at + size] for at in range(len(text)) for size in (1, 2, 5) if "�" not in text[at : at + size]]
    stops = tuple(data.draw(st.lists(st.sampled_from(likely or ["x"]) | st.text("ab é", min_size=1), max_size=3)))

    desk = Desk(tokenizer)
    with pytest.MonkeyPatch.context() as patch:
        count = Counted(tokenizer, patch)
        desk.send(Text(stream=0, text="Hello"), gen(0, stop=stops, events=True))
        (request,) = [message for message in desk.core if isinstance(message, core.Generate)]
        hit: StopHit | None = None
        for a, b in pairwise([0, *sorted(case[1]), len(ids)]):
            seen = 0
            for token in ids[a:b] if hit is None else ():
                seen += 1
                if request.stop_watch is not None:
                    request.stop_watch.push((token,))
                    hit = request.stop_watch.hit
                if hit is not None:
                    break
            desk.stream(0, ids[a : a + seen])
        if hit is None:
            desk.finish(0, ids)
        else:
            desk.finish(0, ids[: hit.keep], hit.leftover, "stop")
        assert count.ours <= (3 if stops else 2) * len(ids)
        assert count.by_library <= 2 * len(set(ids))  # the id, behind one that keeps it from being the first

    found = text_before_stop(text, stops)
    assert desk.done()[0] == (text if found is None else found[0])
    assert (hit and hit.stop) == (found and found[1])
    assert "".join(reply.text for reply in desk.replies if isinstance(reply, TextDelta)) == desk.done()[0]


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=50)
@given(case=ids_and_cuts, first=st.booleans())
def test_every_id_is_looked_up_once_however_they_arrive(
    tokenizer_of: TextTokenizerOf, kind: str, case: tuple[list[int], list[int]], first: bool
) -> None:
    tokenizer = tokenizer_of(kind)
    ids = [index % tokenizer.vocab_size for index in case[0]]
    with pytest.MonkeyPatch.context() as patch:
        count = Counted(tokenizer, patch)
        streamed(tokenizer, ids, case[1], skip_special=False, first=first)
        assert count.ours == len(ids)
        known = count.by_library
        streamed(tokenizer, ids, case[1], skip_special=False, first=first)
        assert count.by_library == known


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
