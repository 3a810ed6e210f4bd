"""The methods that score the edges of a model's graph, each declared once.

The config, requests for memory and time, and the documentation read this. Free of torch: functions
are named by import path. To add a method, write its function and add an entry.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any, Literal

AblationKind = Literal["resample", "mean", "zero"]


@dataclass(frozen=True)
class MethodSettings:
    """Settings of the methods; each reads those that its entry in `methods` names.

    Attributes:
        batch: prompts run at a time. It bounds the memory.
        ig_steps: points at which EAP-IG takes the gradient.
        ablation: what an ablated source writes: what it writes for the corrupted prompt, its mean
            over the corrupted prompts, or nothing.
        keep: share of the clean metric that iterative node ablation must keep.
        threshold: share of the clean minus corrupted metric that ACDC lets an edge cost.
        positions: whether the scores are also split by labelled position.
    """

    batch: int = 100
    ig_steps: int = 5
    ablation: AblationKind = "resample"
    keep: float = 0.8
    threshold: float = 0.01
    positions: bool = False


@dataclass(frozen=True)
class Method:
    """A way to score edges.

    Attributes:
        name: in the config and in tables.
        function: import path of a function (bridge, shape, buckets of prompts, corruption,
            `MethodSettings`, metric) that yields the `PromptScores` of one batch after the other.
        scores: what has a score: edges, or nodes as a whole, of which no circuit can be made.
        needs: `gradients` of the metric, or passes with `ablated` edges.
        by_position: whether it can split the scores by labelled position.
        settings: which of `MethodSettings` it reads, besides `batch`.
        passes: forward passes that a batch of prompts takes for one corruption, a backward pass
            counted as two, from the settings and the `layers`, `heads` (in a layer) and `edges` of
            the model, see `probes.registry.Work`.
        cost: the same in words.
        description: what a score is, as Markdown.
    """

    name: str
    function: str
    description: str
    cost: str
    passes: Callable[[Any, Any], float]
    scores: Literal["edges", "nodes"] = "edges"
    needs: Literal["gradients", "ablated"] = "gradients"
    by_position: bool = True
    settings: tuple[str, ...] = ("positions",)

    def load(self) -> Callable[..., Any]:
        """Import the function."""
        return resolve_name(self.function)


_EAP = "timelapse.circuits.attribution.eap"

_ALL = (
    Method(
        "EAP",
        f"{_EAP}:eap",
        "edge attribution patching (Syed et al. 2023): (corrupted − clean output of the source) · "
        "gradient at the target's input, clean run",
        "2 forward, 1 backward",
        lambda settings, work: 4,
    ),
    Method(
        "EAP-IG",
        f"{_EAP}:eap_ig",
        "the gradient averaged over `ig_steps` inputs between the corrupted and the clean "
        "embedding (Hanna et al. 2024); one step is EAP",
        "m + 1 forward, m backward",
        lambda settings, work: 3 * settings.ig_steps + 1,
        settings=("ig_steps", "positions"),
    ),
    Method(
        "EAP-IG-activations",
        "timelapse.circuits.attribution.eap_ig_activations:eap_ig_activations",
        "the gradient averaged while the source's output goes from clean to corrupted: a node's "
        "edges sum to what patching the node does",
        "m of each, for every source",
        lambda settings, work: (
            4 + 3 * (settings.ig_steps - 1) * (1 + work.layers * (work.heads + 1))
        ),
        settings=("ig_steps", "positions"),
    ),
    Method(
        "clean-corrupted",
        f"{_EAP}:clean_corrupted",
        "the gradient averaged over the clean and the corrupted run",
        "2 forward, 2 backward",
        lambda settings, work: 6,
    ),
    Method(
        "node",
        f"{_EAP}:node",
        "a node as a whole: its output difference · the gradient there; equals the sum of its "
        "edges under EAP (`target` is null)",
        "2 forward, 1 backward",
        lambda settings, work: 4,
        scores="nodes",
    ),
    Method(
        "exact",
        "timelapse.circuits.intervention.evaluate:exact",
        "the metric with that edge alone ablated (as `ablation` says), minus the metric: the "
        "oracle",
        "one for every edge",
        lambda settings, work: work.edges,
        needs="ablated",
        by_position=False,
        settings=("ablation",),
    ),
    Method(
        "node-ablation",
        "timelapse.circuits.search.node_ablation:node_ablation",
        "heads and MLPs are dropped, sweeping backward and forward, while the circuit keeps 80 % "
        "of the metric (`keep`, `ablation`); edges between the survivors by path patching (Lan et "
        "al. 2023)",
        "some hundred",
        lambda settings, work: 3 * work.layers * work.heads,
        needs="ablated",
        by_position=False,
        settings=("ablation", "keep"),
    ),
    Method(
        "ACDC",
        "timelapse.circuits.search.acdc:acdc",
        "from the logits back, edges whose corruption costs less than `threshold` of the metric "
        "are dropped (Conmy et al. 2023)",
        "about one for every edge",
        lambda settings, work: work.edges,
        needs="ablated",
        by_position=False,
        settings=("ablation", "threshold"),
    ),
)

METHODS: Mapping[str, Method] = {method.name: method for method in _ALL}
"""All methods by name."""


def methods_table() -> str:
    """The methods as a Markdown table, as docs/circuits.md has it."""
    rows = [f"| `{method.name}` | {method.description} | {method.cost} |" for method in _ALL]
    return "\n".join(["| method | what a score is | passes per batch |", "|---|---|---|", *rows])
