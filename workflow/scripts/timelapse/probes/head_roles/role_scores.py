"""The head-roles probe: every score of every head, and whether it passes its threshold."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge

from timelapse.activations.source import ActivationSource
from timelapse.models.prompts import Prompts
from timelapse.probes.head_roles.name_movers import MOVER_ROLES, inhibition_scores, mover_scores
from timelapse.probes.head_roles.repeated_tokens import REPEAT_ROLES, repeat_scores, repeated_words
from timelapse.probes.head_roles.role_definitions import NAME_MOVER, ROLES, S_INHIBITION, Role
from timelapse.seeds import generator
from timelapse.tables import HEAD_ROLES, without_step

Scores = Float[Tensor, "layer head"]


def head_roles(
    bridge: TransformerBridge,
    source: ActivationSource,
    prompts: Sequence[Prompts],
    batch_size: int,
    sequences: int,
    length: int,
    seed: int,
) -> pa.Table:
    """Score all heads for all roles.

    `repeated_tokens`, `name_movers` and `s_inhibition` define the scores.

    Args:
        bridge: the model.
        source: gives `name_movers.needs`.
        prompts: buckets of prompts.
        batch_size: prompts or sequences run at a time.
        sequences: how many sequences of random words are repeated.
        length: words in each.
        seed: of the study.

    Returns:
        `tables.HEAD_ROLES` without `step`, in the units of `roles.Role.unit`. The score is null
        where the role is not defined: the prompts do not mention their answer, or there is no name
        mover above the head.

    Raises:
        UserError: the tokenizer has too few ordinary words, or the context has no room for them.
    """
    shape = (bridge.cfg.n_layers, bridge.cfg.n_heads)
    random = generator(seed, "head_roles", "repeated words")
    tokens = repeated_words(bridge.tokenizer, sequences, length, bridge.cfg.n_ctx, random)
    found: dict[Role, tuple[Scores, Scores]] = {}
    for roles, means in (
        (REPEAT_ROLES, repeat_scores(bridge, tokens, batch_size)),
        (MOVER_ROLES, mover_scores(bridge, source, prompts, batch_size)),
    ):
        scores, errors = (part.reshape(-1, *shape) for part in (means.mean, means.std_error))
        found |= {role: (scores[at], errors[at]) for at, role in enumerate(roles)}
    holding = found[NAME_MOVER][0] >= NAME_MOVER.threshold
    movers = [(layer, head) for layer, head in holding.nonzero().tolist()]
    means = inhibition_scores(bridge, prompts, movers, batch_size)
    found[S_INHIBITION] = (means.mean.reshape(shape), means.std_error.reshape(shape))
    return _table(found)


def _table(found: dict[Role, tuple[Scores, Scores]]) -> pa.Table:
    shape = found[ROLES[0]][0].shape
    layers, heads = np.array(list(product(*map(range, shape)))).T
    size = len(layers)
    scores, errors = (
        torch.cat([found[role][part].flatten() for role in ROLES]).numpy() for part in (0, 1)
    )
    thresholds = np.repeat([role.threshold for role in ROLES], size)
    return pa.table(
        {
            "layer": np.tile(layers, len(ROLES)),
            "head": np.tile(heads, len(ROLES)),
            "role": np.repeat([role.name for role in ROLES], size),
            "score": pa.array(scores.astype(np.float32), from_pandas=True),
            "std_error": pa.array(errors.astype(np.float32), from_pandas=True),
            "holds": scores >= thresholds,
        },
        schema=without_step(HEAD_ROLES),
    )
