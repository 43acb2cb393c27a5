"""Reads the small JSON files of a model directory, with a size limit and a named error for each way to be wrong.

A model directory is data somebody else made: nothing in it is executed, and nothing is read whole before its size is
known. The tokenizer and the chat template read through here; weights have a reader of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from ...errors import ModelNotFound, UnsupportedModel

MAX_CONFIG_BYTES: Final = 16 << 20
MAX_TOKENIZER_BYTES: Final = 256 << 20

NAMED_TOKENS: Final = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
"""The special tokens that have a name in tokenizer_config.json and in chat templates."""

JsonObject = dict[str, Any]


def read_bytes(path: Path, limit: int) -> bytes | None:
    """The file's bytes, or None when there is no such file. Raises UnsupportedModel when it is over `limit` bytes."""
    if not path.is_file():
        return None
    size = path.stat().st_size
    if size > limit:
        raise UnsupportedModel(f"{path.name} has {size} bytes, and the limit is {limit}", where=str(path))
    return path.read_bytes()


def read_json(path: Path, limit: int = MAX_CONFIG_BYTES) -> JsonObject:
    """The JSON object in the file, or an empty one when there is no such file.

    Raises:
        UnsupportedModel: the file is too large, is not JSON, or is not a JSON object.
    """
    data = read_bytes(path, limit)
    if data is None:
        return {}
    try:
        return msgspec.json.decode(data, type=JsonObject)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnsupportedModel(f"{path.name} is not a JSON object: {error}", where=str(path)) from None


def model_directory(directory: str | Path) -> Path:
    """`directory` as a path. Raises ModelNotFound when it is not a directory."""
    path = Path(directory)
    if not path.is_dir():
        raise ModelNotFound(
            f"there is no model directory {path}",
            where=str(path),
            hint="give the path of a directory with config.json, tokenizer.json and safetensors weights",
        )
    return path


def token_text(value: object) -> str | None:
    """The content of a token as config files write it: a string, or an object with `content`."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) and value else None


def named_tokens(config: JsonObject, special_map: JsonObject) -> dict[str, str]:
    """`{"bos_token": "<s>", ...}` as a chat template sees them.

    special_tokens_map.json is the older file: it counts only where tokenizer_config.json lists no added tokens.
    """
    sources = [config] if "added_tokens_decoder" in config else [special_map, config]
    found: dict[str, str] = {}
    for name in NAMED_TOKENS:
        for source in sources:
            text = token_text(source.get(name))
            if text is not None:
                found[name] = text
                break
    return found


def read_chat_template(directory: Path, config: JsonObject) -> str | None:
    """The source of the chat template: chat_template.jinja, else tokenizer_config.json; None when there is none.

    Of several named templates the one named "default" is taken.
    """
    data = read_bytes(directory / "chat_template.jinja", MAX_CONFIG_BYTES)
    if data is not None:
        return data.decode("utf-8")
    template = config.get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    return template if isinstance(template, str) and template else None
