"""The text of ids by the library's own decoder, and where a stop string ends a text, both the slow and plain way."""

from __future__ import annotations

import re

from transformers import PreTrainedTokenizerBase


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


def text_before_stop(text: str, stops: tuple[str, ...]) -> tuple[str, str] | None:
    """The text before the stop string that completes first (of several the longest), and that stop string."""
    for end in range(1, len(text) + 1):
        found = [stop for stop in stops if text[:end].endswith(stop)]
        if found:
            stop = max(found, key=len)
            return text[: end - len(stop)], stop
    return None
