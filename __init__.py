"""ramify: programs that call a language model many times, run as request graphs."""

from __future__ import annotations
