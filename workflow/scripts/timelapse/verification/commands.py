"""The commands that make damaged files again, with the config that made them."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_FRAME = re.compile(r"figures/\w+/step-\d+\.(png|svg|json)$")


@dataclass(frozen=True)
class Command:
    """How Snakemake runs a study.

    Attributes:
        program: its name, or where it lies.
        configfiles: the config files laid over the study's own.
        config: what the command line, or a profile, says beside them.
    """

    program: str = "snakemake"
    configfiles: Sequence[str] = ()
    config: Mapping[str, object] = field(default_factory=dict)

    def line(self, targets: Sequence[Path]) -> str:
        """A line for the shell.

        The options take all words up to the next option, so targets stand before them.
        """
        words = [self.program, *map(str, targets)]
        if self.configfiles:
            words += ["--configfile", *self.configfiles]
        if self.config:
            words += ["--config", *(f"{key}={_text(one)}" for key, one in self.config.items())]
        return shlex.join(words)


def mending(damaged: Sequence[Path], snakemake: Command) -> list[str]:
    """Remove what is damaged, then ask for it by name.

    Frames are asked for last and by themselves: another rule draws one frame than draws a whole
    film, and Snakemake takes one of both at a time.
    """
    frames = [path for path in damaged if _FRAME.search(path.as_posix())]
    others = [path for path in damaged if path not in frames]
    asked = [snakemake.line(paths) for paths in (others, frames) if paths]
    return [shlex.join(["rm", "-r", *map(str, damaged)]), *asked]


def _text(value: object) -> str:
    """A value as Snakemake's --config reads it.

    >>> _text(1e-4), _text("checkpoint"), _text({"cap_gb": 0})
    ('0.0001', 'checkpoint', '{"cap_gb": 0}')
    """
    if value is None:
        return ""
    return str(value) if isinstance(value, str | bool) else json.dumps(value)
