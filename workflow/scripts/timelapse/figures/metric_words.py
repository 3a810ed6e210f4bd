"""What a task's metric is called on axes and in titles."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MetricWords:
    """A metric's name and unit, as they stand in figures.

    Attributes:
        name: in lower case, such as "logit difference".
        unit: of its values, such as "logits".
    """

    name: str
    unit: str

    def fill(self, value: Any) -> Any:
        """A text with `{metric}`, `{Metric}` and `{unit}` filled in; so in every text of a mapping.

        >>> MetricWords("logit difference", "logits").fill("{Metric} ({unit})")
        'Logit difference (logits)'
        """
        if isinstance(value, dict):
            return {key: self.fill(part) for key, part in value.items()}
        if not isinstance(value, str):
            return value
        capital = self.name[:1].upper() + self.name[1:]
        words = {"{metric}": self.name, "{Metric}": capital, "{unit}": self.unit}
        for placeholder, word in words.items():
            value = value.replace(placeholder, word)
        return value


LOGIT_DIFFERENCE = MetricWords("logit difference", "logits")
