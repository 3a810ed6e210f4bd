"""What the probes of a study read: a probe that reads activations has a function `needs`."""

from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec

from transformer_lens.config import TransformerBridgeConfig

from timelapse.activations.source import Need


def needs_of(probes: Iterable[str], config: TransformerBridgeConfig) -> list[Need]:
    """The needs of probes that read activations; the others need none.

    Their modules are imported by name: what one probe measures does not stand on the code of the
    others, so its rule must not rerun with them.

    Args:
        probes: names as in a study's `probes:`, which are those of modules in this package.
        config: the model's shape.
    """
    found: list[Need] = []
    for probe in probes:
        name = f"timelapse.probes.{probe}"
        if find_spec(name) and (needs := getattr(import_module(name), "needs", None)):
            found.extend(needs(config))
    return found
