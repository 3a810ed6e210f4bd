"""Was the circuit transformed or was one added? One number, how certain it is, and the sentence."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from timelapse.circuits.comparison.measures import RELATIVE
from timelapse.errors import UserError

HALFWAY = 0.5


class Estimate(NamedTuple):
    """A value, its 95 % interval, and what halves of one checkpoint's prompts give."""

    value: float
    low: float
    high: float
    null: float


@dataclass(frozen=True)
class Verdict:
    """What a run did to the circuit of an easier task while it learned another.

    Attributes:
        base: the easier task, whose circuit the base model has.
        task: the task that was learned.
        share: of the weight of the final circuit, how much lies on edges of the base model's.
        same_sign: the same without edges that help in only one of the two.
        before: the share that the base model's own circuit of `task` has there: what the two tasks
            have in common without any learning.
        chance: the share expected of a random circuit of the base circuit's size.
        relative: the share between chance, 0, and the null of the final checkpoint, 1.
        jaccard: the chance-corrected Jaccard index of the edges of the base circuit and the final
            one, which weighs all edges alike.
        controls: by task, the share on edges of the base model's circuits of tasks that have
            nothing to do with either: what any circuit of this model holds.
    """

    base: str
    task: str
    share: Estimate
    same_sign: Estimate
    before: Estimate
    chance: float
    relative: Estimate
    jaccard: Estimate
    controls: Mapping[str, Estimate]

    @property
    def word(self) -> str:
        """`added` if the interval of `relative` lies below a half.

        `transformed` if it lies above and the share exceeds that of every control, interval above
        interval. Else `undecided`.
        """
        if self.relative.high < HALFWAY:
            return "added"
        return "undecided" if self.why_undecided else "transformed"

    @property
    def why_undecided(self) -> str:
        """Why it is not `transformed`; empty if it is."""
        if self.relative.value != self.relative.value:
            return "halves of the same prompts share no more than a random circuit does"
        if not self.relative.low > HALFWAY:
            return "the share does not surely lie more than half-way from chance to the halves"
        alike = [
            name for name, control in self.controls.items() if not control.high < self.share.low
        ]
        if alike:
            return f"it is not surely more than on the edges of {_listed(alike)}"
        return ""

    @property
    def sentence(self) -> str:
        """The answer, as Markdown; if there is none, a second sentence says why."""
        because = (
            f" It is undecided because {self.why_undecided}." if self.word == "undecided" else ""
        )
        return (
            f"**{self.word.capitalize()}**: {percent(self.share.value)} % (95 % interval "
            f"{percent(self.share.low)}–{percent(self.share.high)} %) of the weight of the final "
            f"{self.task} circuit lies on edges that were already in the base model's {self.base} "
            f"circuit; two halves of the same final prompts share {percent(self.share.null)} %, "
            f"a random circuit of that size {percent(self.chance)} %.{because}"
        )

    @property
    def context(self) -> str:
        """What the share is to be held against, in one sentence."""
        shares = [
            f"{percent(share.value)} % ({name}, {percent(share.low)}–{percent(share.high)} %)"
            for name, share in self.controls.items()
        ]
        controls = (
            f"On edges of the base model's circuits of unrelated tasks lies {_listed(shares)} of it"
            if shares
            else "There is no control task to hold it against"
        )
        return (
            f"{controls}; before learning, the model's {self.task} circuit had "
            f"{percent(self.before.value)} % of its weight on the {self.base} circuit; the "
            f"chance-corrected Jaccard index of the two circuits is {number(self.jaccard.value)} "
            f"({number(self.jaccard.low)} to {number(self.jaccard.high)}), of halves "
            f"{number(self.jaccard.null)}."
        )


def percent(share: float) -> str:
    """A share in full per cent; a dash if it is not known."""
    return "–" if share != share else f"{100 * share:.0f}"


def number(value: float) -> str:
    """With two decimals; a dash if it is not known."""
    return "–" if value != value else f"{value:.2f}"


def _listed(items: list[str]) -> str:
    *most, last = items
    return f"{', '.join(most)} and {last}" if most else last


def estimate(
    comparison: pa.Table, measure: str, steps: tuple[int, int], tasks: tuple[str, str]
) -> Estimate | None:
    """A row of `tables.COMPARISON`; None if there is none."""
    wanted = {
        "measure": measure,
        "step_a": steps[0],
        "step_b": steps[1],
        "task_a": tasks[0],
        "task_b": tasks[1],
    }
    for name, value in wanted.items():
        comparison = comparison.filter(pc.equal(comparison[name], value))
    if not len(comparison):
        return None
    row = comparison.select(["value", "ci_low", "ci_high", "null_mean"]).to_pylist()[0]
    return Estimate(*(float("nan") if value is None else value for value in row.values()))


def ends(comparison: pa.Table) -> tuple[int, int]:
    """The first and the last compared step."""
    return pc.min(comparison["step_a"]).as_py(), pc.max(comparison["step_b"]).as_py()


def verdict(
    comparison: pa.Table,
    base: str,
    task: str,
    controls: Iterable[str] = (),
    source: str = "comparison",
) -> Verdict:
    """Judge from the comparison table of the learned task.

    Args:
        comparison: `tables.COMPARISON` with `task_b` the learned task.
        base: the easier task.
        task: the learned task.
        controls: tasks that have nothing to do with either.
        source: the table's file, for errors.

    Raises:
        UserError: the table does not compare them.
    """
    first, last = ends(comparison)

    def found(measure: str, steps: tuple[int, int], tasks: tuple[str, str]) -> Estimate:
        row = estimate(comparison, measure, steps, tasks)
        if row is None:
            raise UserError(
                source,
                "measure",
                f"no {measure} of {tasks[0]} at step {steps[0]} and {tasks[1]} at step {steps[1]}",
                "Delete it and let the workflow build it again",
            )
        return row

    across = (first, last), (base, task)
    own = found("weight_share", (last, last), (task, task)).null
    return Verdict(
        base=base,
        task=task,
        share=found("weight_share", *across)._replace(null=own),
        same_sign=found("weight_share_same_sign", *across),
        before=found("weight_share", (first, first), (base, task)),
        chance=found("weight_share_chance", *across).value,
        relative=found(RELATIVE, *across),
        jaccard=found("edge_jaccard_corrected", *across),
        controls={
            control: found("weight_share", (first, last), (control, task)) for control in controls
        },
    )
