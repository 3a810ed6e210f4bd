"""Sizes of circuits, widths of edges and areas over sizes."""

import numpy as np
import pytest

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.size_curve import FRACTIONS, area, sizes_at, widths


def test_a_fraction_of_the_edges_is_at_least_one() -> None:
    assert sizes_at(FRACTIONS, 479) == [1, 1, 2, 5, 10, 24, 48, 96, 240, 479]
    assert sizes_at(FRACTIONS, 32491)[:3] == [32, 65, 162]


def test_an_edge_is_as_wide_as_its_narrower_end() -> None:
    shape = GraphShape(n_layers=2, n_heads=2, n_kv_heads=1)
    width = {
        (source.name, target.name): width
        for (source, target), width in zip(shape.edges, widths(shape, 16, 4), strict=True)
    }
    assert width["input", "m0"] == width["m0", "logits"] == width["input", "logits"] == 1
    assert width["input", "a0.h1<q>"] == width["m0", "a1.h0<v>"] == 0.25
    assert width["a0.h0", "m1"] == width["a0.h0", "logits"] == width["a0.h1", "a1.h0<k>"] == 0.25
    assert set(width.values()) == {1, 0.25}


def test_areas_are_trapezoids_over_the_fractions() -> None:
    assert area([0.1, 0.5, 1.0], np.array([0.0, 1.0, 3.0])) == pytest.approx(0.2 + 1.0)
    rising = np.array([np.ones(10), FRACTIONS])
    np.testing.assert_allclose(area(FRACTIONS, rising), [0.999, (1 - 0.001**2) / 2])
