"""Every probe, declared once: what measures, what it needs, which tables it fills, what it costs.

Rules, the config, requests for memory and time, verification and the documentation read this. To
add a probe: write its function, declare it here, and give it a stanza in `rules/probes.smk`.

Nothing heavy is imported here: functions are named by their import path, `module:function`. A
probe's function measures one checkpoint. It is given, by name, whichever of these it has a
parameter for, and returns a table for each of its `tables`, without the column `step`:

| parameter | value |
|---|---|
| `bridge`, `model` | the checkpoint in TransformerLens' bridge, or by itself; see `Probe.model` |
| `source` | an `ActivationSource` of the activations that `Probe.needs` names |
| `prompts` | the prompts as `Sequence[Prompts]`, buckets of one length |
| `batch_size` | prompts run at a time; halved where memory runs out |
| `settings` | the probe's settings, an instance of `Probe.settings` |
| any field of the settings | its value |
| `step`, `steps` | the checkpoint's step; those of the part |
| `task`, `corruptions` | the task's name, and the names of its corruptions |
| `method` | the study's first method of scoring edges |
| `compared` | the steps whose circuits are compared |
| `seed` | the study's |
| `metric` | the task's `Metric` |
| `dataset` | the path of the dataset |
| `inputs` | the files of `Probe.reads`: (task, table) -> paths |
| `prepared` | what `Probe.prepare` returned |

`Probe.prepare`, where a probe has one, is called once for all checkpoints of a part, with the same
parameters; `bridge` and `source` are then those of the run's first checkpoint if the probe has
`first`, and else those of the part's first one, on which no result may depend.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from timelapse import tables
from timelapse.circuits.methods import METHODS
from timelapse.probes.probe_settings import (
    AttentionSettings,
    Comparison,
    EdgesSettings,
    FaithfulnessSettings,
    HeadRolesSettings,
    LogitDiffSettings,
    LogitLensSettings,
    PatchingSettings,
    ProbeSettings,
)


@dataclass(frozen=True)
class Work:
    """What the cost of a probe depends on besides its settings.

    Attributes:
        layers: of the model.
        heads: in a layer.
        edges: in the model's graph.
        length: tokens of a prompt.
        corruptions: of the task.
        compared: checkpoints whose circuits are compared.
        tasks: that the run is evaluated on.
    """

    layers: int
    heads: int
    edges: int
    length: int
    corruptions: int
    compared: int = 0
    tasks: int = 1


@dataclass(frozen=True)
class Probe:
    """A measurement of checkpoints on a task.

    Attributes:
        name: of the probe, and of its rule.
        function: measures a checkpoint, `module:function`.
        tables: the tables that it fills, and their schemas.
        settings: what a study can set.
        message: what a job does, for the log of a run.
        passes: forward passes that a batch of prompts takes, from the settings and `Work`; a pass
            back counts as two.
        prepare: called once before the checkpoints are measured.
        optional: tables that are filled only where a setting is truthy, by that setting.
        needs: which activations are read, from a model's config: `module:function`.
        model: what the function is given: TransformerLens' bridge, or the model alone, which saves
            importing TransformerLens.
        split: which prompts are measured.
        reads: tables of other probes that it reads, of the same task and part.
        first: whether it also needs the run's first checkpoint: `before` it measures the others, or
            `beside` each of them, kept in memory.
        compared: whether only the checkpoints whose circuits are compared are measured, with the
            circuits of all of them, on all tasks, at hand.
        circuits: whether it is left out where a run has `circuits: false`.
        linear: whether it takes the metric apart, and is left out where a task's is not linear.
        code: further functions that its results depend on, from the settings.
    """

    name: str
    function: str
    tables: Mapping[str, pa.Schema]
    message: str
    passes: Callable[[Any, Work], float]
    settings: type[ProbeSettings] = ProbeSettings
    prepare: str | None = None
    optional: Mapping[str, str] = field(default_factory=dict)
    needs: str | None = None
    model: Literal["bridge", "transformers"] = "bridge"
    split: Literal["test", "validation"] = "test"
    reads: tuple[str, ...] = ()
    first: Literal["", "before", "beside"] = ""
    compared: bool = False
    circuits: bool = False
    linear: bool = False
    code: Callable[[Any], tuple[str, ...]] = lambda settings: ()

    def filled(self, settings: ProbeSettings) -> tuple[str, ...]:
        """The names of the tables that it fills with these settings."""
        left_out = {
            name for name, setting in self.optional.items() if not getattr(settings, setting)
        }
        return tuple(name for name in self.tables if name not in left_out)


def _of_methods(settings: EdgesSettings, work: Work) -> float:
    """Forward passes of all methods that score edges."""
    passes = (METHODS[method].passes(settings, work) for method in settings.methods)
    return float(work.corruptions * sum(passes))


def _functions_of_methods(settings: EdgesSettings) -> tuple[str, ...]:
    """Where the chosen methods are; they are imported by name."""
    return tuple(METHODS[method].function for method in settings.methods)


_ALL = (
    Probe(
        name="win_rate",
        function="timelapse.probes.win_rate:win_rate",
        model="transformers",
        tables={"win_rate": tables.WIN_RATE},
        message="Measuring the win rate",
        passes=lambda settings, work: 2,
    ),
    Probe(
        name="logit_diff",
        function="timelapse.probes.logit_diff:logit_diff",
        needs="timelapse.probes.logit_diff:needs",
        tables={"logit_diff": tables.LOGIT_DIFF},
        settings=LogitDiffSettings,
        message="Decomposing the logit difference",
        linear=True,
        passes=lambda settings, work: 2,
    ),
    Probe(
        name="patching",
        function="timelapse.probes.patching.patching:patching",
        tables={"patching": tables.PATCHING},
        settings=PatchingSettings,
        message="Patching clean activations into corrupted prompts",
        # A cell runs what comes after its layer: half of the model on average.
        passes=lambda settings, work: (
            work.corruptions * work.layers * (3 * work.length + 5 * work.heads) / 2
        ),
    ),
    Probe(
        name="attention",
        function="timelapse.probes.attention:attention",
        prepare="timelapse.probes.attention:first_attention",
        needs="timelapse.probes.attention_patterns:needs",
        tables={
            "attention": tables.ATTENTION,
            "attention_change": tables.ATTENTION_CHANGE,
            "attention_pattern": tables.ATTENTION_PATTERN,
        },
        optional={"attention_pattern": "heads"},
        settings=AttentionSettings,
        message="Reading the attention of heads",
        passes=lambda settings, work: 2,
        first="before",
    ),
    Probe(
        name="head_roles",
        function="timelapse.probes.head_roles.role_scores:head_roles",
        needs="timelapse.probes.head_roles.name_movers:needs",
        tables={"head_roles": tables.HEAD_ROLES},
        settings=HeadRolesSettings,
        message="Scoring heads for their roles",
        passes=lambda settings, work: 3,
    ),
    Probe(
        name="logit_lens",
        function="timelapse.probes.logit_lens:logit_lens",
        needs="timelapse.probes.logit_lens:needs",
        tables={"logit_lens": tables.LOGIT_LENS, "logit_lens_top": tables.LOGIT_LENS_TOP},
        settings=LogitLensSettings,
        message="Reading layers through the logit lens",
        passes=lambda settings, work: 3,
    ),
    Probe(
        name="edges",
        function="timelapse.circuits.scoring:edges",
        tables={
            "edges": tables.EDGES,
            "edge_samples": tables.EDGE_SAMPLES,
            "edges_by_position": tables.EDGES_BY_POSITION,
        },
        optional={"edges_by_position": "positions"},
        settings=EdgesSettings,
        message="Scoring the edges of the model",
        passes=_of_methods,
        circuits=True,
        code=_functions_of_methods,
    ),
    Probe(
        name="faithfulness",
        function="timelapse.circuits.faithfulness:measure_faithfulness",
        prepare="timelapse.circuits.faithfulness:read_edges",
        tables={"faithfulness": tables.FAITHFULNESS, "circuit_quality": tables.CIRCUIT_QUALITY},
        settings=FaithfulnessSettings,
        message="Measuring how faithful circuits are",
        # A curve over ten sizes, with complements and by sign, and what is searched in between.
        passes=lambda settings, work: work.corruptions * 64,
        split="validation",
        reads=("edges",),
        circuits=True,
    ),
    Probe(
        name="transfer",
        function="timelapse.circuits.transfer_probe:measure_transfer",
        prepare="timelapse.circuits.transfer_probe:read_circuits",
        tables={"transfer": tables.COMPARISON},
        settings=Comparison,
        message="Running circuits in other checkpoints",
        # Circuits of all compared checkpoints and tasks, those of halves, heads moved both ways.
        passes=lambda settings, work: (
            work.corruptions * (work.compared + 2 * (work.tasks - 1) + 22)
            + 2 * work.layers * work.heads
        ),
        split="validation",
        reads=("edges", "edge_samples"),
        first="beside",
        compared=True,
        circuits=True,
    ),
)

PROBES: Mapping[str, Probe] = {probe.name: probe for probe in _ALL}
"""All probes by name, `transfer` included, whose settings are the study's `comparison`."""

SCHEMAS: Mapping[str, pa.Schema] = {
    name: schema for probe in _ALL for name, schema in probe.tables.items()
}
"""The schemas of all tables of probes, by the name of their folder."""
