"""A decode step takes each row's next token and advances the row; padding changes nothing."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("triton", reason="Triton cannot be installed here")

from ramify.runtime.kernels.decode_step import begin_decode


@pytest.mark.parametrize(("live", "padding"), [(1, 0), (3, 5), (300, 20), (256, 0)])
def test_rows_advance_by_one_and_padding_by_none(generator: torch.Generator, live: int, padding: int) -> None:
    device, rows, positions = generator.device, live + 4, 30
    scratch = rows

    def integers(high: int, *shape: int) -> torch.Tensor:
        return torch.randint(0, high, shape, generator=generator, device=device)

    table = integers(1000, rows + 1, positions).int()
    length, next_id = integers(positions - 1, rows + 1), integers(50_000, rows + 1)
    before_table, before_length = table.clone(), length.clone()
    chosen = torch.randperm(rows, generator=generator, device=device)[:live]
    slots = 2000 + integers(1000, live)
    where = torch.randperm(live + padding, generator=generator, device=device)  # padding may stand anywhere
    rows_B = torch.cat((chosen, chosen.new_full((padding,), scratch)))[where]
    slots_B = torch.cat((slots, slots.new_full((padding,), 7777)))[where]
    tokens = begin_decode(rows_B, slots_B, table, length, next_id, scratch_row=scratch)
    is_live = rows_B != scratch
    assert torch.equal(tokens.slots_B, slots_B)
    assert torch.equal(tokens.ids_B, torch.where(is_live, next_id[rows_B], 0))
    assert torch.equal(tokens.positions_B, torch.where(is_live, before_length[rows_B], 0))
    assert torch.equal(tokens.lengths_B, torch.where(is_live, before_length[rows_B] + 1, 0))
    expected_table, expected_length = before_table.clone(), before_length.clone()
    expected_table[chosen, before_length[chosen]] = slots.int()
    expected_length[chosen] += 1
    assert torch.equal(table, expected_table)
    assert torch.equal(length, expected_length)
