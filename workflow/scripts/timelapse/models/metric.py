"""What probes and circuits measure of every prompt: the metrics, declared without torch.

A metric is one number a prompt, from the logits at its last position. To add one: its function,
here or in a module of its own, and an entry of `METRICS`. A task spec chooses one by name.
"""

from dataclasses import dataclass
from functools import cache
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal

from jaxtyping import Float, Int

from timelapse.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor
    from transformer_lens.model_bridge import TransformerBridge
else:  # Names and units are read where torch must not be imported; shapes are checked all the same.
    Tensor = TransformerBridge = Any


@dataclass(frozen=True)
class Metric:
    """A number for every prompt, larger where the answer is preferred.

    Attributes:
        name: as task specs and tables have it.
        label: in sentences and titles, in lower case.
        unit: of its values, for axes.
        description: its definition in one sentence.
        function: import path of the value: a function of logits [batch, vocabulary], answers
            [batch] and foils [batch, foil] that returns [batch] in float32 at least.
        linear_function: where the value is linear in the logits, import path of that linear map:
            a function of any table [vocabulary, *rest], answers and foils that returns
            [batch, *rest]. None if the value is not linear.
        positions: whose logits it reads; "end" is the prompt's last token, where the answer is due.
    """

    name: str
    label: str
    unit: str
    description: str
    function: str
    linear_function: str | None = None
    positions: Literal["end"] = "end"

    @property
    def is_linear(self) -> bool:
        """Whether the value is linear in the logits, and so in the final normed residual."""
        return self.linear_function is not None

    def check_linear(self, used_by: str) -> None:
        """Refuse a metric that cannot be written as a sum of parts.

        Args:
            used_by: what needs it, for the message, such as `the logit_diff probe`.

        Raises:
            UserError: the metric is not linear.
        """
        if not self.is_linear:
            linear = ", ".join(name for name, metric in METRICS.items() if metric.is_linear)
            raise UserError(
                "task",
                "metric",
                f"{used_by} takes the metric apart into sums, and {self.name} is not linear in the"
                " logits",
                f"Choose a linear metric ({linear}) for the task, or leave {used_by} out",
            )

    def value(
        self,
        logits: Float[Tensor, "batch vocabulary"],
        answer: Int[Tensor, " batch"],
        foils: Int[Tensor, "batch foil"],
    ) -> Float[Tensor, " batch"]:
        """The metric from logits at the last position.

        Args:
            logits: at each prompt's last position.
            answer: the answer token of each prompt.
            foils: the tokens that it is compared with.

        Returns:
            One value for each prompt, in `unit`, in float32 at least.
        """
        return _function(self.function)(logits, answer, foils)

    def direction(
        self,
        bridge: TransformerBridge,
        answer: Int[Tensor, " batch"],
        foils: Int[Tensor, "batch foil"],
    ) -> Float[Tensor, "batch d_model"]:
        """The metric is the product of this direction with the final normed residual plus `offset`.

        Returns:
            The metric's linear map of the unembedding, in float32 at least.

        Raises:
            UserError: the metric is not linear.
        """
        return self._linear(bridge.W_U.detach().T, answer, foils)

    def offset(
        self,
        bridge: TransformerBridge,
        answer: Int[Tensor, " batch"],
        foils: Int[Tensor, "batch foil"],
    ) -> Float[Tensor, " batch"]:
        """What the unembedding's bias adds to the metric, in float32 at least.

        Raises:
            UserError: the metric is not linear.
        """
        return self._linear(bridge.b_U.detach(), answer, foils)

    def value_of_normed(
        self,
        normed: Float[Tensor, "*cell batch d_model"],
        unembedding: Float[Tensor, "vocabulary d_model"],
        bias: Float[Tensor, " vocabulary"],
        answer: Int[Tensor, " batch"],
        foils: Int[Tensor, "batch foil"],
    ) -> Float[Tensor, "*cell batch"]:
        """The metric from the final normed residual; a linear one without computing any logits.

        Equal to `value` only for models whose logits are the unembedding of that norm and nothing
        more.

        Args:
            normed: the output of the final norm at the last position.
            unembedding: a row for each token.
            bias: of the unembedding.
            answer: the answer token of each prompt.
            foils: the tokens that it is compared with.

        Returns:
            One value for each prompt (and leading index), differentiable, in float32 at least.
        """
        if self.is_linear:
            direction = self._linear(unembedding, answer, foils)
            offset = self._linear(bias, answer, foils)
            return (normed * direction).sum(-1) + offset
        logits = normed @ unembedding.T + bias
        cells = logits.shape[:-2]
        n = cells.numel()
        values = self.value(
            logits.reshape(-1, logits.shape[-1]), answer.repeat(n), foils.repeat(n, 1)
        )
        return values.reshape(*cells, -1)

    def value_of_stream(
        self,
        bridge: TransformerBridge,
        stream: Float[Tensor, "batch d_model"],
        answer: Int[Tensor, " batch"],
        foils: Int[Tensor, "batch foil"],
    ) -> Float[Tensor, " batch"]:
        """The metric from the residual stream after the last block, at the last position.

        See `value_of_normed`.
        """
        normed = bridge.ln_final(stream[:, None])[:, 0]
        unembedding, bias = bridge.W_U.detach().T, bridge.b_U.detach()
        return self.value_of_normed(normed, unembedding, bias, answer, foils)

    def _linear(
        self,
        table: Float[Tensor, " vocabulary *rest"],
        answer: Int[Tensor, " batch"],
        foils: Int[Tensor, "batch foil"],
    ) -> Float[Tensor, " batch *rest"]:
        self.check_linear("a decomposition")
        return _function(str(self.linear_function))(table, answer, foils)


_function = cache(resolve_name)
"""The function that an import path names."""


LOGIT_DIFF = Metric(
    name="logit_diff",
    label="logit difference",
    unit="logits",
    description="logit of the answer minus the mean logit of the foils, at the last token",
    function="timelapse.models.metric:logit_difference",
    linear_function="timelapse.models.metric:answer_minus_foils",
)
PROBABILITY_DIFF = Metric(
    name="probability_diff",
    label="probability difference",
    unit="probability",
    description="probability of the answer minus the summed probability of the foils, at the last"
    " token, from the softmax over the whole vocabulary",
    function="timelapse.models.metric:probability_difference",
)

_ALL = (
    LOGIT_DIFF,
    PROBABILITY_DIFF,
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
"""Every metric by its name."""

DEFAULT_METRIC = LOGIT_DIFF.name
"""The metric of a task that names none."""


def logit_difference(
    logits: Float[Tensor, "batch vocabulary"],
    answer: Int[Tensor, " batch"],
    foils: Int[Tensor, "batch foil"],
) -> Float[Tensor, " batch"]:
    """logit(answer) minus the mean of logit(foils), in float32 at least."""
    logits = _widened(logits)
    return (logits.gather(1, answer[:, None]) - logits.gather(1, foils).mean(1, keepdim=True))[:, 0]


def answer_minus_foils(
    table: Float[Tensor, " vocabulary *rest"],
    answer: Int[Tensor, " batch"],
    foils: Int[Tensor, "batch foil"],
) -> Float[Tensor, " batch *rest"]:
    """The answer's row of a table minus the mean of the foils' rows, in float32 at least.

    The linear map of the logit difference: of the unembedding it is the metric's direction.
    """
    return _widened(table[answer]) - _widened(table[foils]).mean(1)


def probability_difference(
    logits: Float[Tensor, "batch vocabulary"],
    answer: Int[Tensor, " batch"],
    foils: Int[Tensor, "batch foil"],
) -> Float[Tensor, " batch"]:
    """P(answer) minus the sum of P(foils), between -1 and 1, in float32 at least.

    As in Hanna, Liu & Variengien 2023, "How does GPT-2 compute greater-than?", for the set of the
    answer and the set of the foils.
    """
    probability = _widened(logits).softmax(-1)
    return probability.gather(1, answer[:, None])[:, 0] - probability.gather(1, foils).sum(1)


def _widened(tensor: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    return tensor if tensor.dtype.itemsize > 4 else tensor.float()
