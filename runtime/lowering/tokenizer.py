"""Text to token ids, one text run at a time, with control tokens off.

A run is the text between two seams. Its ids must be those that encoding the whole stream at once would give, although
the runs around it are not there. Tokenizers treat the text after a seam in one of three ways, and `Seam` names them:

    START      the run opens the stream: a SentencePiece tokenizer puts its "▁" in front
    CONTROL    a control token stands before: "▁" in front if the tokenizer does so for every section ("always", and the
               older Prepend normalizer), none if it does so for the first section only
    TEXT       a generated token or other text stands before: never a "▁" of the tokenizer's own

Each way is one `tokenizers.Tokenizer` made from the same tokenizer.json with the prefix rule switched, so a run costs
exactly one library call and its ids are the library's own. Where the rules coincide (byte-level BPE) the three are one.

Control tokens are the special tokens, plus the other added tokens that the chat template writes or that look like
markers. A text that spells one gets ordinary ids; only template text, split by `split_control`, makes control ids.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
from tokenizers import AddedToken, Encoding, Tokenizer

from ...errors import InvalidRequest, ModelNotFound, UnsupportedModel
from ...grammar.vocabulary import Vocabulary
from ..protocol.tokens import IntArray
from .files import (
    MAX_TOKENIZER_BYTES,
    JsonObject,
    model_directory,
    named_tokens,
    read_bytes,
    read_chat_template,
    read_json,
    token_text,
)
from .token_bytes import TokenBytes

_SHORT = 1_000
"""Characters of a text that is encoded under the interpreter lock, for a fraction of a millisecond."""

WHITESPACE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
"""Unicode White_Space, which a control token with `lstrip` or `rstrip` swallows. (`str.strip()` takes four more.)"""

_MARKER: Final = re.compile(r"<[|｜].*[|｜]>", re.DOTALL)


class Seam(Enum):
    """What stands before a text run. STRIPPING: a control token that swallows the whitespace after it (`rstrip`)."""

    START = "start"
    CONTROL = "control"
    STRIPPING = "stripping"
    TEXT = "text"


class ControlToken(NamedTuple):
    """An added token that text may not spell. `lstrip`, `rstrip`: it swallows the whitespace on that side."""

    id: int
    content: str
    lstrip: bool
    rstrip: bool


class TextTokenizer:
    """The tokenizer of one model directory. Immutable after load, and safe to share between threads.

    Attributes:
        directory: where it was loaded from.
        vocab_size: one more than the highest id.
        bos_ids: what the model expects in front of raw text. Chats have theirs from the template.
        stop_ids: the ids that end a generation.
        named_tokens: `{"bos_token": "<s>", ...}`, as chat templates see them.
        template_source: the chat template's source, or None.
        control: the control tokens by id.
        prefix_sensitive: whether the ids of a run depend on its seam.
    """

    def __init__(self, directory: Path, description: str, config: JsonObject, special_map: JsonObject) -> None:
        self.directory = directory
        self.named_tokens: Mapping[str, str] = named_tokens(config, special_map)
        self.template_source = read_chat_template(directory, config)
        self._whole = _build(description, config, self.named_tokens)
        canonical: JsonObject = msgspec.json.decode(self._whole.to_str(), type=JsonObject)
        added: dict[int, AddedToken] = self._whole.get_added_tokens_decoder()
        self._special = frozenset(i for i, token in added.items() if token.special)
        self.control: Mapping[int, ControlToken] = {
            i: ControlToken(i, token.content, token.lstrip, token.rstrip)
            for i, token in added.items()
            if _is_control(token, self.template_source)
        }
        self._control_ids = {token.content: i for i, token in self.control.items()}
        longest_first = sorted(self._control_ids, key=len, reverse=True)
        self._control_pattern = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self._proven: set[int] = set()

        self.vocab_size = 1 + max(self._whole.get_vocab(with_added_tokens=True).values(), default=-1)
        self._is_control = np.zeros(self.vocab_size, dtype=bool)
        self._is_control[list(self.control)] = True
        self._bytes = TokenBytes(self._whole, canonical["decoder"], self.vocab_size)

        for token in canonical["added_tokens"]:
            token["special"] = token["special"] or token["id"] in self.control
        in_control, in_text = _without_prefix(canonical, always=False), _without_prefix(canonical, always=True)
        start = _control_off(canonical)
        control = start if in_control == canonical else _control_off(in_control)
        text = control if in_text == in_control else _control_off(in_text)
        self._encoders = {Seam.START: start, Seam.CONTROL: control, Seam.STRIPPING: control, Seam.TEXT: text}
        self.prefix_sensitive = text is not start

        self._lock = threading.Lock()
        self._calls = 0
        self.bos_ids = self._find_bos_ids(config)
        self.stop_ids = self._find_stop_ids()

    @classmethod
    def load(cls, directory: str | Path) -> TextTokenizer:
        """The tokenizer in `directory`, from tokenizer.json and the config files beside it.

        Raises:
            ModelNotFound: there is no such directory, or no tokenizer.json in it.
            UnsupportedModel: a file is too large or malformed, the tokenizer needs code of its own, its decoder is not
                local, or it has no vocabulary.
        """
        path = model_directory(directory)
        data = read_bytes(path / "tokenizer.json", MAX_TOKENIZER_BYTES)
        if data is None:
            raise ModelNotFound(
                f"{path} has no tokenizer.json",
                where=str(path),
                hint="save the model's fast tokenizer there (AutoTokenizer.from_pretrained(...).save_pretrained(path))",
            )
        config = read_json(path / "tokenizer_config.json")
        if "auto_map" in config:
            raise UnsupportedModel(
                "the tokenizer asks for Python code of its own (auto_map), which is never run",
                where=str(path / "tokenizer_config.json"),
                hint="use a tokenizer that tokenizer.json describes whole",
            )
        try:
            description = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise UnsupportedModel(f"tokenizer.json is not UTF-8: {error}", where=str(path)) from None
        return cls(path, description, config, read_json(path / "special_tokens_map.json"))

    @property
    def encode_calls(self) -> int:
        """How many text runs the library has encoded: one for each run that has text."""
        return self._calls

    def encode(self, text: str, *, after: Seam) -> IntArray:
        """The ids of one text run, control tokens off, shape (n,), int32. No beginning-of-stream id is added.

        Raises:
            InvalidRequest: the text is not Unicode (a lone surrogate), or it spells a control token that the vocabulary
                offers no other ids for.
        """
        if after is Seam.STRIPPING:
            text = text.lstrip(WHITESPACE)
        if not text:
            return np.empty(0, dtype=np.int32)
        with self._lock:
            self._calls += 1
        _check_unicode(text)
        return self._encode(text, after)

    def encode_each(self, texts: list[str], *, after: Seam) -> list[IntArray]:
        """What `encode` gives for each of several texts, in one call of the library. It counts as none."""
        if after is Seam.STRIPPING:
            texts = [text.lstrip(WHITESPACE) for text in texts]
        for text in texts:
            _check_unicode(text)
        found = zip(self._encoded(texts, after), texts, strict=True)
        nothing = np.empty(0, dtype=np.int32)
        return [self._without_control(encoding, text, after) if text else nothing for encoding, text in found]

    def encode_whole(self, text: str) -> IntArray:
        """The ids of a whole string, control tokens on, as any client of the library gets them. Not counted.

        For comparison (reports, tests); streams are built of runs.
        """
        return np.array(self._whole.encode(text, add_special_tokens=False).ids, dtype=np.int32)

    def split_control(self, text: str) -> list[str | int]:
        """Template text cut at its control tokens: text between them as strings, the tokens as ids.

        Whitespace beside a token with `lstrip` or `rstrip` is left in place: it may reach over the ends of `text`, so
        `RunBuilder` swallows it.

        Raises:
            UnsupportedModel: the library treats one of these tokens in a way that runs cannot reproduce (a token that
                counts only as a whole word, or only after the normalizer has changed the text).
        """
        pieces: list[str | int] = []
        end = 0
        for match in self._control_pattern.finditer(text):
            if match.start() > end:
                pieces.append(text[end : match.start()])
            token = self.control[self._control_ids[match[0]]]
            self._prove(token)
            pieces.append(token.id)
            end = match.end()
        if end < len(text):
            pieces.append(text[end:])
        return pieces

    def seam_after(self, token_id: int) -> Seam:
        """The seam that a run after this id begins at."""
        token = self.control.get(token_id)
        if token is None:
            return Seam.TEXT
        return Seam.STRIPPING if token.rstrip else Seam.CONTROL

    def vocabulary(self, width: int) -> Vocabulary:
        """The same tokenizer as grammars need it.

        Args:
            width: of the model's logits.

        Raises:
            UnsupportedModel, InvalidRequest: see `Vocabulary.from_json`.
        """
        data = (self.directory / "tokenizer.json").read_bytes()
        return Vocabulary.from_json(data, width=width, stop_ids=self.stop_ids)

    def is_special(self, token_id: int) -> bool:
        """Whether the id is left out of text when special tokens are skipped."""
        return token_id in self._special

    def token_to_id(self, token: str) -> int | None:
        """The id of a token's exact content, None if the vocabulary has no such token."""
        found: int | None = self._whole.token_to_id(token)
        return found

    def id_to_bytes(self, token_id: int, *, first: bool = False) -> bytes:
        """The bytes that `token_id` adds to the text, special tokens included. `first`: it opens the stream's text.

        An id beyond the vocabulary (models pad theirs) adds nothing. Raises InvalidRequest for a negative id.
        """
        return self._bytes.of(token_id, first=first)

    def decode(self, ids: Iterable[int] | IntArray, *, skip_special: bool, first: bool = False) -> str:
        """The text of `ids`; U+FFFD for bytes that are not UTF-8. `first`: they open the stream's text."""
        parts: list[bytes] = []
        for token_id in ids:
            if skip_special and token_id in self._special:
                continue
            parts.append(self.id_to_bytes(int(token_id), first=first))
            first = first and token_id >= self.vocab_size
        return b"".join(parts).decode("utf-8", "replace")

    def _encode(self, text: str, after: Seam) -> IntArray:
        return self._without_control(self._encoded([text], after)[0], text, after)

    def _encoded(self, texts: list[str], after: Seam) -> list[Encoding]:
        """The library's encodings. One text is encoded under the interpreter lock, and a batch of them without it."""
        encoder = self._encoders[after]
        if len(texts) == 1 and len(texts[0]) <= _SHORT:
            return [encoder.encode(texts[0], add_special_tokens=False)]
        return encoder.encode_batch(texts, add_special_tokens=False)

    def _without_control(self, encoding: Encoding, text: str, after: Seam) -> IntArray:
        ids = np.array(encoding.ids, dtype=np.int32)
        spelled = self._is_control[ids]
        if not spelled.any():
            return ids
        # The vocabulary itself matched the spelling of a control token (a Unigram model that lists its control pieces).
        # Cutting inside the spelling leaves pieces that cannot match it.
        cuts = [0]
        for index in np.flatnonzero(spelled):
            begin, end = encoding.offsets[index]
            if end - begin < 2:
                raise InvalidRequest(
                    f"the text spells the control token {self.control[int(ids[index])].content!r}, and the vocabulary "
                    "has no other ids for it",
                    where=f"character {begin}",
                    hint="remove the token's text from the argument",
                )
            cuts.append(begin + 1)
        pieces = [text[a:b] for a, b in zip(cuts, [*cuts[1:], len(text)], strict=True)]
        seams = [after, *[Seam.TEXT] * (len(pieces) - 1)]
        return np.concatenate([self._encode(piece, seam) for piece, seam in zip(pieces, seams, strict=True)])

    def _prove(self, token: ControlToken) -> None:
        """Checks once that the library cuts text at this token as runs do, spaces and all."""
        if token.id in self._proven:
            return
        for left, right in (("", "b"), ("a", "b"), ("a \n", " \nb"), ("a\n", "\nb"), ("a ", "")):
            before = left.rstrip(WHITESPACE) if token.lstrip else left
            expected: list[int] = []
            if before:
                expected += self._encode(before, Seam.START).tolist()
            expected.append(token.id)
            behind = right.lstrip(WHITESPACE) if token.rstrip else right
            if behind:
                expected += self._encode(behind, Seam.CONTROL).tolist()
            found = self._whole.encode(left + token.content + right, add_special_tokens=False).ids
            if list(found) != expected:
                raise UnsupportedModel(
                    f"the control token {token.content!r} does not cut text cleanly: "
                    f"{left + token.content + right!r} gives {list(found)}, and its parts give {expected}",
                    where=str(self.directory / "tokenizer.json"),
                    hint='set "normalized": false and "single_word": false for it in added_tokens',
                )
        self._proven.add(token.id)

    def _find_bos_ids(self, config: JsonObject) -> tuple[int, ...]:
        if (wanted := config.get("add_bos_token")) is not None:
            bos = self.token_to_id(self.named_tokens.get("bos_token", ""))
            return (bos,) if wanted and bos is not None else ()
        marked = list(self._whole.encode("a", add_special_tokens=True).ids)
        plain = list(self._whole.encode("a", add_special_tokens=False).ids)
        for begin in range(len(marked) - len(plain) + 1):
            if marked[begin : begin + len(plain)] == plain:
                return tuple(marked[:begin])
        raise UnsupportedModel(
            "the tokenizer's post-processor changes the ids of text", where=str(self.directory / "tokenizer.json")
        )

    def _find_stop_ids(self) -> tuple[int, ...]:
        """generation_config.json decides, config.json where it is silent; the tokenizer's own end token counts too."""
        found: list[int] = []
        for name in ("generation_config.json", "config.json"):
            eos = read_json(self.directory / name).get("eos_token_id")
            found = [eos] if isinstance(eos, int) else [i for i in eos or () if isinstance(i, int)]
            if found:
                break
        own = self.token_to_id(self.named_tokens.get("eos_token", ""))
        if own is not None:
            found.append(own)
        return tuple(dict.fromkeys(found))


def _check_unicode(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            f"the text holds a lone surrogate (U+{ord(text[error.start]):04X}) at character {error.start}",
            hint="pass text that is valid Unicode",
        ) from None


def _build(description: str, config: JsonObject, names: Mapping[str, str]) -> Tokenizer:
    """The library's tokenizer with the added tokens of tokenizer_config.json, and without truncation or padding."""
    try:
        tokenizer = Tokenizer.from_str(description)
    except Exception as error:  # the library raises a bare Exception for every malformed file
        raise UnsupportedModel(f"tokenizer.json cannot be read: {error}", where="tokenizer.json") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    added = config.get("added_tokens_decoder")
    for _, entry in sorted(added.items(), key=lambda item: int(item[0])) if isinstance(added, dict) else ():
        content = token_text(entry)
        if content is not None and tokenizer.token_to_id(content) is not None:
            flags = {name: bool(entry.get(name)) for name in ("single_word", "lstrip", "rstrip", "special")}
            token = AddedToken(content, normalized=bool(entry.get("normalized", True)), **flags)
            (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])
    further = config.get("extra_special_tokens") or config.get("additional_special_tokens") or []
    texts = [*names.values(), *(token_text(entry) for entry in further)]
    known = [text for text in texts if text is not None and tokenizer.token_to_id(text) is not None]
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in known])
    return tokenizer


def _is_control(token: AddedToken, template_source: str | None) -> bool:
    """Special tokens; and of the others those that carry structure, not runs of spaces or HTML tags."""
    content: str = token.content
    if token.special or _MARKER.fullmatch(content):
        return True
    return template_source is not None and content in template_source and not content.isspace()


def _control_off(description: JsonObject) -> Tokenizer:
    tokenizer = Tokenizer.from_buffer(msgspec.json.encode(description))
    tokenizer.encode_special_tokens = True
    return tokenizer


def _without_prefix(description: JsonObject, *, always: bool) -> JsonObject:
    """`description` without the rule that puts "▁" (or a space) before the first section; `always`: before any."""

    def normalizer(node: JsonObject | None) -> JsonObject | None:
        if node is None or not always:
            return node
        if node["type"] == "Prepend":
            return None
        if node["type"] == "Strip":
            return node | {"strip_left": False}
        if node["type"] == "Sequence":
            children = [normalizer(child) for child in node["normalizers"]]
            return node | {"normalizers": [child for child in children if child is not None]}
        return node

    def pre_tokenizer(node: JsonObject | None) -> JsonObject | None:
        if node is None:
            return None
        if node["type"] == "Metaspace" and (always or node["prepend_scheme"] == "first"):
            return node | {"prepend_scheme": "never"}
        if node["type"] == "ByteLevel" and always:
            return node | {"add_prefix_space": False}
        if node["type"] == "Sequence":
            return node | {"pretokenizers": [pre_tokenizer(child) for child in node["pretokenizers"]]}
        return node

    return description | {
        "normalizer": normalizer(description["normalizer"]),
        "pre_tokenizer": pre_tokenizer(description["pre_tokenizer"]),
    }
