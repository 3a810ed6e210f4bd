"""Every kind of figure, in one place. Stage: figures.

To add a kind: give it a name, the probe whose table it reads, a title, and a plot that says which
rows it draws and what its axes are called. Nothing else has to change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from timelapse import tables
from timelapse.errors import UserError
from timelapse.figures.films.plots import (
    Bars,
    Circuit,
    Curves,
    Heatmap,
    Line,
    Plot,
    Ranking,
    Roles,
    Scatter,
    SizeCurves,
)

LOGIT_DIFFERENCE = "logit difference (logits)"
RESTORED = "share of the clean logit difference restored"
RESTORED_SCALE = f"{RESTORED}\n(0 = corrupted, 1 = clean)"


@dataclass(frozen=True)
class Kind:
    """A kind of figure.

    Attributes:
        name: the folder and file name of its pictures.
        table: the probe folder whose tables it reads.
        schema: the columns of those tables.
        title: what a frame shows, in a few words.
        plot: how it is drawn.
        options: the fields of the plot that a config may set.
        extras: further probe folders that it draws from where they were measured, and their
            columns.
    """

    name: str
    table: str
    schema: pa.Schema
    title: str
    plot: Plot
    options: tuple[str, ...] = ()
    extras: Mapping[str, pa.Schema] = field(default_factory=dict)

    @property
    def is_graph(self) -> bool:
        """Whether its pictures are also written as SVG and JSON."""
        return isinstance(self.plot, Circuit)

    def with_options(self, options: Mapping[str, Any]) -> "Kind":
        """The same kind with some fields of its plot set.

        Raises:
            UserError: the kind has no such option.
        """
        for name in options:
            if name not in self.options:
                known = ", ".join(self.options) or "none"
                raise UserError(
                    "config",
                    f"figures.{self.name}.{name}",
                    "this figure has no such option",
                    f"Its options are: {known}",
                )
        return replace(self, plot=replace(self.plot, **options))


def _patched(name: str, site: str, what: str, columns: str) -> Kind:
    return Kind(
        name=name,
        table="patching",
        schema=tables.PATCHING,
        title=f"Patching clean into corrupted: {what}",
        plot=Heatmap(
            where={"site": site},
            rows="layer",
            columns=columns,
            unit=RESTORED_SCALE,
            panel="corruption",
            ceiling=1.0,
        ),
    )


def _out_against(name: str, site: str, what: str) -> Kind:
    return Kind(
        name=name,
        table="patching",
        schema=tables.PATCHING,
        title=f"Patching clean into corrupted: each head's output against its {what} alone",
        plot=Scatter(
            x={"site": "z"},
            y={"site": site},
            xlabel="the head's output patched",
            ylabel=f"only its {what} patched",
            unit=f"{RESTORED} (0 = corrupted, 1 = clean)",
            panel="corruption",
        ),
    )


_ALL = (
    Kind(
        name="stream",
        table="logit_diff",
        schema=tables.LOGIT_DIFF,
        title="Logit difference of the residual stream",
        plot=Line(
            where={"decomposition": "stream"},
            x="component",
            order="layer",
            xlabel="place in the residual stream (mid: after attention, pre: before the layer)",
            ylabel=LOGIT_DIFFERENCE,
        ),
    ),
    Kind(
        name="layer",
        table="logit_diff",
        schema=tables.LOGIT_DIFF,
        title="Logit difference written by each layer",
        plot=Bars(
            where={"decomposition": "layer"},
            x="component",
            order="layer",
            xlabel="component",
            ylabel=LOGIT_DIFFERENCE,
            groups={"a": "attention", "m": "MLP"},
        ),
    ),
    Kind(
        name="head",
        table="logit_diff",
        schema=tables.LOGIT_DIFF,
        title="Logit difference written by each head",
        plot=Heatmap(
            where={"decomposition": "head"},
            rows="layer",
            columns="head",
            unit=LOGIT_DIFFERENCE,
        ),
    ),
    _patched("patch_resid", "resid_pre", "residual stream before each layer", "position"),
    _patched("patch_attn", "attn_out", "output of each attention layer", "position"),
    _patched("patch_mlp", "mlp_out", "output of each MLP", "position"),
    _patched("patch_z", "z", "output of each head", "head"),
    _patched("patch_q", "q", "queries of each head", "head"),
    _patched("patch_k", "k", "keys of each head", "head"),
    _patched("patch_v", "v", "values of each head", "head"),
    _patched("patch_pattern", "pattern", "attention pattern of each head", "head"),
    _out_against("out_vs_value", "v", "values"),
    _out_against("out_vs_pattern", "pattern", "attention pattern"),
    Kind(
        name="circuit",
        table="edges",
        schema=tables.EDGES,
        title="Circuit: the strongest edges from input to logits",
        plot=Circuit(),
        options=("edges", "method", "corruption"),
        extras={"head_roles": tables.HEAD_ROLES},
    ),
    Kind(
        name="faithfulness",
        table="faithfulness",
        schema=tables.FAITHFULNESS,
        title="How much of the behaviour circuits keep",
        plot=SizeCurves(
            x="n_edges",
            xlabel="edges in the circuit",
            panel={
                "faithfulness": "faithfulness: what the circuit keeps",
                "completeness": "completeness: what is kept without its edges",
            },
            interval="faithfulness",
        ),
    ),
    Kind(
        name="attention",
        table="attention",
        schema=tables.ATTENTION,
        title="Attention from the last position to each labelled one",
        plot=Heatmap(
            where={"query": "end"},
            rows="layer",
            columns="head",
            unit="attention from the last position (share)",
            panel="key",
            wrap=4,
        ),
    ),
    Kind(
        name="attention_change",
        table="attention_change",
        schema=tables.ATTENTION_CHANGE,
        title="Heads whose attention from the last position has changed most",
        plot=Ranking(ylabel="share of the attention that has moved since the first step"),
        options=("top",),
    ),
    Kind(
        name="head_roles",
        table="head_roles",
        schema=tables.HEAD_ROLES,
        title="Which heads hold which role",
        plot=Roles(),
        options=("top",),
    ),
    Kind(
        name="logit_lens",
        table="logit_lens",
        schema=tables.LOGIT_LENS,
        title="Logit lens: what each layer would say",
        plot=Curves(
            x="place",
            order="layer",
            xlabel="place in the residual stream (pre: before the layer)",
            series=("token", {"answer": "answer", "foil": "foils (mean)"}),
            panel=(
                "measure",
                {"probability": "probability", "rank": "rank in the vocabulary (1 = likeliest)"},
            ),
            ranks=("rank",),
        ),
    ),
)

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in _ALL}


def kind_named(name: str) -> Kind:
    """The kind of this name.

    Raises:
        UserError: there is none.
    """
    if name not in KINDS:
        raise UserError(
            "config", "figures", f"no figure is called {name!r}", f"Choose among {', '.join(KINDS)}"
        )
    return KINDS[name]
