"""A method by its name, for tests: by the logit difference unless they say otherwise."""

from collections.abc import Iterator, Sequence

from transformer_lens.model_bridge import TransformerBridge

from timelapse.circuits.graph import GraphShape
from timelapse.circuits.methods import METHODS, MethodSettings
from timelapse.circuits.scores import PromptScores
from timelapse.models.metric import LOGIT_DIFF, Metric
from timelapse.models.prompts import Prompts


def score_batches(
    method: str,
    bridge: TransformerBridge,
    shape: GraphShape,
    prompts: Sequence[Prompts],
    corruption: str,
    settings: MethodSettings,
    metric: Metric = LOGIT_DIFF,
) -> Iterator[PromptScores]:
    """The scores of prompts, batch by batch."""
    return METHODS[method].load()(bridge, shape, prompts, corruption, settings, metric)
