"""Operators written for three runtimes against what they stand for."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from igf_mobile.primitives import channel_sum, padded, unit_clamp, upsample


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=20))
def test_unit_clamp_is_a_clamp(values: list[float]) -> None:
    x = torch.tensor(values)
    torch.testing.assert_close(unit_clamp(x), x.clamp(0.0, 1.0), atol=1e-6, rtol=0.0)


def test_unit_clamp_keeps_its_ends() -> None:
    ends = torch.tensor([-1.0, 0.0, 0.25, 1.0, 1.0 + 1e-3, 7.0])
    torch.testing.assert_close(
        unit_clamp(ends), torch.tensor([0.0, 0.0, 0.25, 1.0, 1.0, 1.0]), atol=1e-6, rtol=0.0
    )


def test_channel_sum_is_the_sum_of_channels() -> None:
    x = torch.arange(24.0).reshape(2, 3, 2, 2)
    assert torch.equal(channel_sum(x), x.sum(dim=1, keepdim=True))


def test_padded_is_zeros_around() -> None:
    x = torch.rand(2, 3, 4, 5)
    assert torch.equal(padded(x, 2), torch.nn.functional.pad(x, (2, 2, 2, 2)))


def test_upsample_has_half_pixel_centres() -> None:
    row = upsample(torch.tensor([[[[0.0, 4.0]]]]), 2)[0, 0, 0]
    assert row.tolist() == [0.0, 1.0, 3.0, 4.0]
