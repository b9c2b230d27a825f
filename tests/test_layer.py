"""Layers: colours between stops."""

from __future__ import annotations

from fractions import Fraction
from math import floor

from hypothesis import given
from hypothesis import strategies as st

from thalweg.layer import Colour, Layer

channel = st.integers(0, 255)
colours = st.dictionaries(channel, st.tuples(channel, channel, channel, channel), min_size=1, max_size=6)


def naive_palette(stops: dict[int, Colour], first: int, last: int) -> dict[int, Colour]:
    """Every value between two neighbouring stops of the ramp, weighted by its distance from both, halves up."""
    palette = dict(stops)
    inside = sorted(value for value in stops if first <= value <= last)
    for value in range(256):
        below, above = [s for s in inside if s < value], [s for s in inside if s > value]
        if value not in stops and below and above:
            low, high = below[-1], above[0]
            share = Fraction(value - low, high - low)
            mixed = [a + (b - a) * share for a, b in zip(stops[low], stops[high], strict=True)]
            red, green, blue, alpha = (floor(part + Fraction(1, 2)) for part in mixed)
            palette[value] = (red, green, blue, alpha)
    return palette


@given(colours, channel, channel)
def test_a_ramp_is_linear_between_its_stops(stops: dict[int, Colour], first: int, last: int) -> None:
    found = Layer("x", "uint8", colours=stops, ramp=(first, last)).palette()
    assert found == naive_palette(stops, first, last)
    assert list(found) == sorted(found)


@given(colours)
def test_without_a_ramp_only_stops_have_colours(stops: dict[int, Colour]) -> None:
    assert Layer("x", "uint8", colours=stops).palette() == stops
