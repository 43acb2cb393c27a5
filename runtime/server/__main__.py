"""`python -m ramify.runtime.server ADDRESS OPTIONS`: what `ProcessEngine` starts. Not for people."""

from __future__ import annotations

import sys

import msgspec

from ..engine.options import EngineOptions
from .process import serve

if __name__ == "__main__":
    serve(msgspec.json.decode(sys.argv[2], type=EngineOptions), sys.argv[1])
