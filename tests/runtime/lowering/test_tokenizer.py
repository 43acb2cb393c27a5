"""Text runs give the ids that the whole text would, and no argument ever becomes a control token."""

from __future__ import annotations

import json
import shutil
import threading
import unicodedata
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ramify.errors import InvalidRequest, ModelNotFound, UnsupportedModel
from ramify.runtime.lowering.runs import RunBuilder
from ramify.runtime.lowering.tokenizer import Seam, TextTokenizer
from tokenizers import AddedToken, Tokenizer, decoders, models
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
CONTROL = ("<s>", "</s>", "<|im_start|>", "<|im_end|>", "[INST]", "<|left|>", "<|right|>", "<|date|>")

TextTokenizerOf = Callable[[str], TextTokenizer]
ReferenceOf = Callable[[str], PreTrainedTokenizerBase]
ModelDirectory = Callable[[str], Path]

_WORDS = st.sampled_from(
    ["Hello", " world", "user", "\n", " ", "    ", "\t", "  x", "▁", "é", "e\u0301", "你好", "🎉", "a", "'s", "12"]
)
texts = st.lists(_WORDS | st.text(st.characters(codec="utf-8"), max_size=4), max_size=6).map("".join)
spelling_nothing = texts.filter(lambda text: not any(c in text for c in "<>[]|"))


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=60)
@given(pieces=st.lists(spelling_nothing | st.sampled_from(CONTROL), max_size=8))
@example(pieces=["<s>", "Hello", "</s>", "world"])
@example(pieces=["Hello ", "<|left|>", " a", "<|right|>", "\n b"])
@example(pieces=["<|right|>", " \n", "<|left|>"])
def test_runs_between_control_tokens_give_the_ids_of_the_whole_text(
    tokenizer_of: TextTokenizerOf, reference_of: ReferenceOf, kind: str, pieces: list[str]
) -> None:
    builder = RunBuilder(tokenizer_of(kind))
    for piece in pieces:
        (builder.append_template if piece in CONTROL else builder.append_text)(piece)
    whole = reference_of(kind)("".join(pieces), add_special_tokens=False)["input_ids"]
    assert builder.close().tolist() == whole


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=30)
@given(text=spelling_nothing, cuts=st.lists(st.integers(0, 20), max_size=4))
def test_a_run_is_encoded_together_whoever_wrote_its_pieces(
    tokenizer_of: TextTokenizerOf, kind: str, text: str, cuts: list[int]
) -> None:
    tokenizer = tokenizer_of(kind)
    builder = RunBuilder(tokenizer)
    bounds = [0, *sorted(cuts), len(text)]
    before = tokenizer.encode_calls
    for index, (begin, end) in enumerate(pairwise(bounds)):
        (builder.append_text if index % 2 else builder.append_template)(text[begin:end])
        assert not len(builder.take())
    ids = builder.close()
    assert tokenizer.encode_calls - before == (1 if text else 0)
    assert ids.tolist() == tokenizer.encode_whole(text).tolist()


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=60)
@given(left=spelling_nothing, right=spelling_nothing)
def test_text_after_text_adds_nothing_of_its_own(
    tokenizer_of: TextTokenizerOf, kind: str, left: str, right: str
) -> None:
    tokenizer = tokenizer_of(kind)
    builder = RunBuilder(tokenizer)
    builder.append_text("x" + left)
    before = builder.close()
    builder.append_text(right)
    both = tokenizer.decode(np.concatenate([before, builder.close()]), skip_special=False, first=True)
    alone = tokenizer.decode(before, skip_special=False, first=True)
    # What decoding gives back of a text: NFC from the byte-level kinds, spaces for "▁" from SentencePiece.
    kept = unicodedata.normalize("NFC", right) if kind.startswith("byte_level") else right.replace("▁", " ")
    assert both == alone + kept


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=40)
@given(pieces=st.lists(texts | st.sampled_from(CONTROL), min_size=1, max_size=6), after=st.sampled_from(Seam))
def test_an_argument_never_becomes_a_control_token(
    tokenizer_of: TextTokenizerOf, kind: str, pieces: list[str], after: Seam
) -> None:
    tokenizer = tokenizer_of(kind)
    ids = tokenizer.encode("".join(pieces), after=after)
    assert not set(ids.tolist()) & set(tokenizer.control)


@pytest.mark.parametrize("kind", KINDS)
def test_a_spelled_control_token_survives_as_text(tokenizer_of: TextTokenizerOf, kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    text = "a</s><|im_end|>b<|date|>"
    assert tokenizer.decode(tokenizer.encode(text, after=Seam.TEXT), skip_special=True) == text


def test_a_spelled_control_token_gets_the_ids_of_a_vocabulary_without_it(
    model_directory: ModelDirectory, tmp_path: Path
) -> None:
    path = shutil.copytree(model_directory("byte_level"), tmp_path / "model")
    (path / "chat_template.jinja").write_text("{{ messages[0]['content'] + 'userassistant' }}")
    library = Tokenizer.from_file(str(path / "tokenizer.json"))
    description = json.loads(library.to_str()) | {"added_tokens": [], "post_processor": None}
    plain = Tokenizer.from_str(json.dumps(description))
    library.add_tokens(["userassistant"])
    library.save(str(path / "tokenizer.json"))
    tokenizer = TextTokenizer.load(path)
    assert "userassistant" in [token.content for token in tokenizer.control.values()]
    for text in ("userassistant", "a</s>userassistant", "x<|date|><|date|> y", "<|right|> \n[INST]"):
        assert tokenizer.encode(text, after=Seam.START).tolist() == plain.encode(text).ids


def test_seams_matter_only_where_a_tokenizer_treats_the_first_piece_apart(tokenizer_of: TextTokenizerOf) -> None:
    prefixed = {kind: tokenizer_of(kind).prefix_sensitive for kind in KINDS}
    assert prefixed == {kind: kind not in ("byte_level", "metaspace_never") for kind in KINDS}
    first = tokenizer_of("metaspace_first")
    assert first.encode("a", after=Seam.START).tolist() != first.encode("a", after=Seam.CONTROL).tolist()
    assert first.encode("a", after=Seam.TEXT).tolist() == first.encode("a", after=Seam.CONTROL).tolist()
    legacy = tokenizer_of("legacy")
    assert legacy.encode("a", after=Seam.START).tolist() == legacy.encode("a", after=Seam.CONTROL).tolist()
    assert legacy.encode("a", after=Seam.TEXT).tolist() != legacy.encode("a", after=Seam.CONTROL).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_raw_text_opens_as_the_library_opens_it(
    tokenizer_of: TextTokenizerOf, reference_of: ReferenceOf, kind: str
) -> None:
    builder = RunBuilder(tokenizer_of(kind))
    builder.append_bos()
    builder.append_text("Hello world")
    assert builder.close().tolist() == reference_of(kind)("Hello world")["input_ids"]


def test_generated_ids_close_the_run_and_are_kept(tokenizer_of: TextTokenizerOf) -> None:
    tokenizer = tokenizer_of("metaspace_first")
    end = tokenizer.token_to_id("</s>")
    assert end is not None
    builder = RunBuilder(tokenizer)
    builder.append_text("ab")
    builder.append_ids([300, 301])
    assert builder.seam is Seam.TEXT
    builder.append_text("c")
    assert builder.open_text == "c"
    assert builder.take().tolist() == [*tokenizer.encode("ab", after=Seam.START).tolist(), 300, 301]
    builder.append_ids(np.array([end], dtype=np.int32))
    assert builder.seam is Seam.CONTROL
    assert builder.close().tolist() == [*tokenizer.encode("c", after=Seam.TEXT).tolist(), end]


def test_an_end_token_that_was_generated_is_not_written_again(tokenizer_of: TextTokenizerOf) -> None:
    tokenizer = tokenizer_of("byte_level")
    end = tokenizer.token_to_id("<|im_end|>")
    builder = RunBuilder(tokenizer, after=Seam.CONTROL)
    builder.append_template("<|im_end|>\n<|im_end|>", elide=end)
    newline = tokenizer.encode("\n", after=Seam.CONTROL).tolist()
    assert builder.close().tolist() == [*newline, end]


def test_a_generated_token_with_rstrip_swallows_the_whitespace_after_it(tokenizer_of: TextTokenizerOf) -> None:
    tokenizer = tokenizer_of("byte_level")
    right = tokenizer.token_to_id("<|right|>")
    assert right is not None
    builder = RunBuilder(tokenizer)
    builder.append_ids([right])
    builder.append_template("\n ")
    assert builder.close().tolist() == [right]
    builder.append_template(" user")  # the swallowing goes on over a seam that left no id
    assert builder.close().tolist() == tokenizer.encode("user", after=Seam.CONTROL).tolist()


def test_text_tokens_among_the_added_ones_stay_text_tokens(
    tokenizer_of: TextTokenizerOf, reference_of: ReferenceOf
) -> None:
    tokenizer = tokenizer_of("byte_level")
    spaces = tokenizer.token_to_id("    ")
    assert spaces not in tokenizer.control
    ids = tokenizer.encode("a    b", after=Seam.START).tolist()
    assert spaces in ids
    assert ids == reference_of("byte_level")("a    b", add_special_tokens=False)["input_ids"]


def test_added_tokens_that_the_template_writes_are_control(model_directory: ModelDirectory, tmp_path: Path) -> None:
    path = shutil.copytree(model_directory("byte_level"), tmp_path / "model")
    assert TextTokenizer.load(path).token_to_id("<think>") not in TextTokenizer.load(path).control
    (path / "chat_template.jinja").write_text("{{ '<think>' + messages[0]['content'] }}\n    ")
    tokenizer = TextTokenizer.load(path)
    think, spaces = tokenizer.token_to_id("<think>"), tokenizer.token_to_id("    ")
    assert think in tokenizer.control and spaces not in tokenizer.control
    assert tokenizer.split_control("a<think>b") == ["a", think, "b"]
    assert think not in tokenizer.encode("a<think>b", after=Seam.START)


def test_the_longest_control_token_wins(model_directory: ModelDirectory, tmp_path: Path) -> None:
    path = shutil.copytree(model_directory("byte_level"), tmp_path / "model")
    library = Tokenizer.from_file(str(path / "tokenizer.json"))
    library.add_special_tokens([AddedToken("<a>", normalized=False), AddedToken("<a><b>", normalized=False)])
    library.save(str(path / "tokenizer.json"))
    tokenizer = TextTokenizer.load(path)
    text = "x<a><b><a>"
    assert [tokenizer.control[p].content if isinstance(p, int) else p for p in tokenizer.split_control(text)] == [
        "x",
        "<a><b>",
        "<a>",
    ]


@pytest.mark.parametrize("flags", [{"single_word": True}, {"normalized": True}])
def test_a_control_token_that_runs_cannot_reproduce_is_refused_when_it_is_met(
    model_directory: ModelDirectory, tmp_path: Path, flags: dict[str, bool]
) -> None:
    path = shutil.copytree(model_directory("legacy"), tmp_path / "model")
    library = Tokenizer.from_file(str(path / "tokenizer.json"))
    library.add_special_tokens([AddedToken("<odd>", special=True, **{"normalized": False, **flags})])
    library.save(str(path / "tokenizer.json"))
    tokenizer = TextTokenizer.load(path)
    assert tokenizer.split_control("a<s>b")[0] == "a"
    with pytest.raises(UnsupportedModel, match="<odd>"):
        tokenizer.split_control("a<odd>b")


def test_stop_ids_come_from_the_generation_config_and_the_tokenizer(
    model_directory: ModelDirectory, tmp_path: Path
) -> None:
    path = shutil.copytree(model_directory("byte_level"), tmp_path / "model")
    end = TextTokenizer.load(path).token_to_id("</s>")
    assert TextTokenizer.load(path).stop_ids == (end,)
    (path / "config.json").write_text('{"eos_token_id": 7}')
    assert TextTokenizer.load(path).stop_ids == (7, end)
    (path / "generation_config.json").write_text(json.dumps({"eos_token_id": [3, end, 4]}))
    assert TextTokenizer.load(path).stop_ids == (3, end, 4)


@pytest.mark.parametrize(("setting", "expected"), [(True, ["<s>"]), (False, []), (None, ["<s>"])])
def test_bos_ids_follow_the_config_then_the_post_processor(
    model_directory: ModelDirectory, tmp_path: Path, setting: bool | None, expected: list[str]
) -> None:
    path = shutil.copytree(model_directory("byte_level"), tmp_path / "model")
    config = json.loads((path / "tokenizer_config.json").read_text())
    (path / "tokenizer_config.json").write_text(json.dumps(config | {"add_bos_token": setting}))
    tokenizer = TextTokenizer.load(path)
    assert [tokenizer.control[i].content for i in tokenizer.bos_ids] == expected


def test_named_tokens_of_the_config_become_special(model_directory: ModelDirectory, tmp_path: Path) -> None:
    path = shutil.copytree(model_directory("byte_level"), tmp_path / "model")
    config = json.loads((path / "tokenizer_config.json").read_text())
    config |= {"eos_token": {"content": "<think>"}, "extra_special_tokens": ["</think>"]}
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    (path / "special_tokens_map.json").write_text('{"pad_token": "<|eot|>"}')
    tokenizer = TextTokenizer.load(path)
    assert tokenizer.named_tokens == {"bos_token": "<s>", "eos_token": "<think>", "pad_token": "<|eot|>"}
    for text in ("<think>", "</think>"):
        token = tokenizer.token_to_id(text)
        assert token is not None and tokenizer.is_special(token) and token in tokenizer.control


def test_a_lone_surrogate_is_a_named_error(tokenizer_of: TextTokenizerOf) -> None:
    with pytest.raises(InvalidRequest, match=r"U\+D83D\) at character 1"):
        tokenizer_of("byte_level").encode("a\ud83d", after=Seam.TEXT)


def test_threads_share_one_tokenizer(tokenizer_of: TextTokenizerOf) -> None:
    tokenizer = tokenizer_of("metaspace_first")
    expected = tokenizer.encode("Hello world", after=Seam.START).tolist()
    before = tokenizer.encode_calls
    wrong: list[list[int]] = []

    def work() -> None:
        for _ in range(200):
            ids = tokenizer.encode("Hello world", after=Seam.START).tolist()
            if ids != expected or tokenizer.decode(ids, skip_special=True, first=True) != "Hello world":
                wrong.append(ids)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert tokenizer.encode_calls - before == 800


def test_a_missing_directory_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no model directory"):
        TextTokenizer.load(tmp_path / "nowhere")
    with pytest.raises(ModelNotFound, match=r"no tokenizer\.json"):
        TextTokenizer.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", b"{", "cannot be read"),
        ("tokenizer.json", b"\xff", "not UTF-8"),
        ("tokenizer_config.json", b"[]", "not a JSON object"),
        ("tokenizer_config.json", b"[" * 100_000, "not a JSON object"),
        ("tokenizer_config.json", b'{"auto_map": {"AutoTokenizer": "x.Y"}}', "never run"),
        ("tokenizer_config.json", b" " * (17 << 20), "the limit is"),
    ],
)
def test_a_bad_file_is_named(
    model_directory: ModelDirectory, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = shutil.copytree(model_directory("byte_level"), tmp_path / "model")
    (path / name).write_bytes(content)
    with pytest.raises(UnsupportedModel, match=message):
        TextTokenizer.load(path)


def test_a_decoder_that_looks_at_later_tokens_is_refused(tmp_path: Path) -> None:
    library = Tokenizer(models.BPE({"a</w>": 0, "b": 1, "c</w>": 2, "d": 3, "x": 4}, [], end_of_word_suffix="</w>"))
    library.decoder = decoders.BPEDecoder()
    library.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(UnsupportedModel, match="not local"):
        TextTokenizer.load(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=40)
@given(texts=st.lists(spelling_nothing, max_size=4), seam=st.sampled_from(list(Seam)))
def test_several_texts_at_once_get_the_ids_of_each(
    tokenizer_of: TextTokenizerOf, kind: str, texts: list[str], seam: Seam
) -> None:
    tokenizer = tokenizer_of(kind)
    texts = [*texts, "", " a" * 600]  # the last is beyond what is encoded alone under the interpreter lock
    found = [ids.tolist() for ids in tokenizer.encode_each(texts, after=seam)]
    assert found == [tokenizer.encode(text, after=seam).tolist() for text in texts]
    whole = tokenizer.encode(" a" * 600, after=seam).tolist()
    assert whole == tokenizer._encoders[seam].encode(" a" * 600, add_special_tokens=False).ids or seam is Seam.STRIPPING
