"""Typed extraction: a value that fails the program's own check goes back to the model with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_type

import ramify as rf


@dataclass
class Line:
    item: str
    price: float


@dataclass
class Invoice:
    lines: list[Line]
    total: float


def adds_up(invoice: Invoice) -> None:
    expected = round(sum(line.price for line in invoice.lines), 2)
    if invoice.total != expected:
        raise ValueError(f"total must be the sum of the lines, {expected}")


@rf.function
def read_invoice(s: rf.State, text: str) -> rf.Value[Invoice]:
    s += rf.system("Extract the invoice as JSON.")
    s += rf.user(text)
    with s.assistant():
        invoice = s.gen("invoice", type=Invoice, max_tokens=200, check=adds_up, retries=2)
    if TYPE_CHECKING:
        assert_type(invoice, rf.Value[Invoice])
    return invoice


if TYPE_CHECKING:
    assert_type(read_invoice.on("seedling").run("..."), Invoice)
    assert_type(read_invoice.on("seedling").start(text="..."), rf.Run[Invoice])
