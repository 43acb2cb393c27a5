"""Cuts a stream into text runs and encodes each once, when a seam closes it.

    template "<|im_start|>user\n"   text "Hello"   template "<|im_end|>\n"          ids (generated)
              [id][--------- one run ---------]             [id][- run -]           closed by the ids

Pieces between two seams are one run whoever wrote them: "user\n" and "Hello" are encoded together, because the whole
conversation would be. The last run stays text until a seam closes it, so when a piece arrives never changes its ids.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..protocol.tokens import IntArray
from .tokenizer import WHITESPACE, Seam, TextTokenizer


class RunBuilder:
    """Appends pieces to a stream and gives back ids. Not for use by two threads at once.

    Args:
        tokenizer: encodes the runs.
        after: what the stream ends with so far; START for an empty stream (and for one that holds only `bos_ids`).
    """

    def __init__(self, tokenizer: TextTokenizer, *, after: Seam = Seam.START) -> None:
        self._tokenizer = tokenizer
        self._after = after
        self._open: list[str] = []
        self._closed: list[IntArray] = []

    @property
    def seam(self) -> Seam:
        """What stands before the open run."""
        return self._after

    @property
    def open_text(self) -> str:
        """The text of the open run."""
        return "".join(self._open)

    def append_bos(self) -> None:
        """The ids that the model expects in front of raw text. Text after them still counts as opening the stream."""
        self._closed.append(np.array(self._tokenizer.bos_ids, dtype=np.int32))

    def append_text(self, text: str) -> None:
        """Text of an argument, a value or a tool: a control token it spells stays text."""
        if text:
            self._open.append(text)

    def append_template(self, text: str, *, elide: int | None = None) -> None:
        """Text of the chat template, whose control tokens become ids.

        Args:
            text: template text.
            elide: a control id that the stream ends with already (the model generated its end-of-turn token itself); if
                `text` begins with this token, it is not repeated.
        """
        pieces = self._tokenizer.split_control(text)
        if pieces and elide is not None and pieces[0] == elide:
            del pieces[0]
        for piece in pieces:
            if isinstance(piece, str):
                self._open.append(piece)
            else:
                self._close_run(strip_right=self._tokenizer.control[piece].lstrip)
                self._emit(np.array([piece], dtype=np.int32))

    def append_ids(self, ids: Iterable[int] | IntArray) -> None:
        """Ids that are ids already: generated tokens. They close the open run."""
        array = np.array(ids if isinstance(ids, np.ndarray) else list(ids), dtype=np.int32)
        if len(array):
            self._close_run()
            self._emit(array)

    def take(self) -> IntArray:
        """The ids of everything closed since the last call, shape (n,), int32. The open run stays open."""
        ids = np.concatenate([np.empty(0, dtype=np.int32), *self._closed])
        self._closed.clear()
        return ids

    def close(self) -> IntArray:
        """A seam without a token (a fork, a look at the ids): closes the open run, then as `take`."""
        self._close_run()
        return self.take()

    def _close_run(self, *, strip_right: bool = False) -> None:
        text = "".join(self._open)
        self._open.clear()
        if strip_right:
            text = text.rstrip(WHITESPACE)
        ids = self._tokenizer.encode(text, after=self._after)
        if len(ids):
            self._closed.append(ids)
            self._after = Seam.TEXT

    def _emit(self, ids: IntArray) -> None:
        self._closed.append(ids)
        self._after = self._tokenizer.seam_after(int(ids[-1]))
