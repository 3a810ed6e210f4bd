"""Change of scores by the part that reads the edges."""

import numpy as np
import pytest
from circuits.comparison.handmade import ONE_HEAD, circuits

from timelapse.circuits.comparison.overlap import layer_change, parts
from timelapse.circuits.graph import GraphShape


def test_parts_are_attention_and_mlp_of_every_layer_and_the_logits() -> None:
    assert parts(GraphShape(2, 4, 2)) == ("a0", "m0", "a1", "m1", "logits")


def test_absolute_changes_are_summed_over_the_edges_into_a_part() -> None:
    before = circuits(ONE_HEAD, {"input->a0.h0<q>": 1.0, "input->a0.h0<v>": -2.0, "a0.h0->m0": 0.5})
    after = circuits(
        ONE_HEAD,
        {"input->a0.h0<q>": -1.0, "input->a0.h0<k>": 0.25, "input->m0": 4.0, "m0->logits": -3.0},
    )
    change = layer_change(before, after, np.array([[0, 0]]))
    assert change.shape == (1, 1, 3)
    assert change[0, 0] == pytest.approx([2 + 0.25 + 2, 4 + 0.5, 3])


def test_pairs_say_which_goes_with_which() -> None:
    each = circuits(ONE_HEAD, {"m0->logits": 1.0}, {"m0->logits": 3.0}, {"m0->logits": 7.0})
    pairs = np.array([[0, 0], [0, 2], [1, 2]])
    assert layer_change(each, each, pairs)[0, :, -1] == pytest.approx([0, 6, 4])
