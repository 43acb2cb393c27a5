"""Weights from safetensors into a model's parameters, every name and shape accounted for.

Only safetensors: its header is JSON whose offsets the library checks, its data is mapped, and neither can run code.
Each parameter is filled exactly once; a tensor too few, too many or of another shape stops the load with its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ...errors import ModelNotFound, UnsupportedModel
from ..progress import loading_weights
from .config import ModelConfig
from .linear import checkpoint_tensors

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
MAX_INDEX_BYTES = 64 << 20
STORED_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
NAMES_SHOWN = 5

SAME_EVERYWHERE = 1 << 27
"""Random weights of a model of at most so many values do not depend on its device."""


class _Index(msgspec.Struct, frozen=True):
    weight_map: dict[str, str]


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a model directory, in a fixed order.

    Raises:
        ModelNotFound: there are none, or the index names one that is not there.
        UnsupportedModel: the index is damaged or points outside the directory, or the weights are pickles.
    """
    single = directory / SINGLE_FILE
    if single.is_file():
        return [single]
    index = directory / INDEX_FILE
    if not index.is_file():
        if any(directory.glob("*.bin")) or any(directory.glob("*.pt*")):
            raise UnsupportedModel(
                "the weights are pickles, which can run code when they are loaded",
                where=str(directory),
                hint="convert them to safetensors",
            )
        raise ModelNotFound(f"no weights: neither {SINGLE_FILE} nor {INDEX_FILE}", where=str(directory))
    if index.stat().st_size > MAX_INDEX_BYTES:
        raise UnsupportedModel(f"the index is larger than {MAX_INDEX_BYTES} bytes", where=str(index))
    try:
        weight_map = msgspec.json.decode(index.read_bytes(), type=_Index).weight_map
    except msgspec.DecodeError as error:
        raise UnsupportedModel(f"the index cannot be read: {error}", where=str(index)) from error
    paths = []
    for name in sorted(set(weight_map.values())):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise UnsupportedModel(
                f"the index names {name!r}, which is no safetensors file beside it", where=str(index)
            )
        path = directory / name
        if not path.is_file():
            raise ModelNotFound(
                f"the index names {name!r}, which does not exist", where=str(path), hint="download the whole model"
            )
        paths.append(path)
    return paths


def load_weights(model: nn.Module, config: ModelConfig, directory: Path) -> None:
    """Fill every parameter of `model` from the safetensors files of `directory`, converting to its dtype and device.

    Raises:
        ModelNotFound: a file is missing.
        UnsupportedModel: a file is damaged, or its tensors are not exactly those of the model.
    """
    parameters = checkpoint_tensors(model)
    missing = set(parameters)
    unexpected: list[str] = []
    files = weight_files(directory)
    with loading_weights(files) as loaded:
        for path in files:
            for name, tensor in _tensors(path):
                if name in missing:
                    _fill(parameters[name], tensor, name, path)
                    missing.discard(name)
                elif name in parameters:
                    raise UnsupportedModel(f"the tensor {name!r} is stored twice", where=str(path))
                elif not _ignored(name, config):
                    unexpected.append(name)
                loaded(path, tensor.nbytes)
    if missing:
        raise UnsupportedModel(
            f"the weights lack {len(missing)} tensors of the model: {_some(missing)}",
            where=str(directory),
            hint="the files are incomplete, or config.json belongs to another model",
        )
    if unexpected:
        raise UnsupportedModel(
            f"the weights have {len(unexpected)} tensors the model does not: {_some(unexpected)}",
            where=str(directory),
            hint="config.json belongs to another model, or to a variant that is not implemented",
        )


def fill_random(model: nn.Module, config: ModelConfig, seed: int = 0) -> None:
    """Random weights: norms 1, the rest normal with `initializer_range`.

    For tests and for measuring speed without a download (`load_format="dummy"`). A model of up to `SAME_EVERYWHERE`
    values gets the same numbers on every device; a larger one draws them where it lies, which takes a second instead of
    minutes.
    """
    tensors = checkpoint_tensors(model)
    device = next(iter(tensors.values())).device
    if sum(tensor.numel() for tensor in tensors.values()) <= SAME_EVERYWHERE:
        device = torch.device("cpu")
    generator = torch.Generator(device).manual_seed(seed)
    with torch.no_grad():
        for name, tensor in tensors.items():
            if name.endswith("norm.weight"):
                tensor.fill_(1.0)
            else:
                values = torch.empty(tensor.shape, dtype=torch.float32, device=device)
                tensor.copy_(values.normal_(0.0, config.initializer_range, generator=generator))


def _tensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    """(name, tensor) of one file; a tensor is a view of the mapped file until it is copied."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            names: list[str] = file.keys()
            for name in names:
                yield name, file.get_tensor(name)
    except SafetensorError as error:
        raise UnsupportedModel(
            f"not a whole safetensors file: {error}", where=str(path), hint="download the file again"
        ) from error


def _fill(parameter: Tensor, tensor: Tensor, name: str, path: Path) -> None:
    if tensor.shape != parameter.shape:
        raise UnsupportedModel(
            f"the tensor {name!r} has shape {list(tensor.shape)}, the model expects {list(parameter.shape)}",
            where=str(path),
            hint="config.json belongs to another model",
        )
    if tensor.dtype not in STORED_DTYPES:
        raise UnsupportedModel(
            f"the tensor {name!r} is stored as {tensor.dtype}: quantised weights are not implemented", where=str(path)
        )
    with torch.no_grad():
        parameter.copy_(tensor)


def _ignored(name: str, config: ModelConfig) -> bool:
    """Tensors old checkpoints carry beside the parameters: rotary buffers, and a copy of the tied head."""
    return name.endswith(".rotary_emb.inv_freq") or (name == "lm_head.weight" and config.tie_word_embeddings)


def _some(names: set[str] | list[str]) -> str:
    shown = ", ".join(sorted(names)[:NAMES_SHOWN])
    return f"{shown}, ..." if len(names) > NAMES_SHOWN else shown
