"""The tables that were given to draw from, found by probe and task. Stage: figures."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from timelapse.errors import UserError
from timelapse.figures.reading import read_tables


class Given:
    """Files as the workflow names them, each read when it is first asked for.

    Attributes:
        tasks: in the order in which they come.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        """
        Args:
            paths: {task}/{probe}/step-{step}.parquet or {task}/{name}.parquet, in any folder.
        """
        self._paths: dict[tuple[str, str], list[Path]] = {}
        for path in paths:
            of_probe = path.stem.startswith("step-")
            name = path.parent.name if of_probe else path.name
            task = path.parents[1].name if of_probe else path.parent.name
            self._paths.setdefault((task, name), []).append(path)
        self.tasks = tuple(dict.fromkeys(task for task, _ in self._paths))

    def has(self, task: str, name: str) -> bool:
        """Whether there is such a table."""
        return (task, name) in self._paths

    def table(self, task: str, name: str, schema: pa.Schema) -> pa.Table:
        """All rows of a probe's folder, or of one file.

        Raises:
            UserError: it was not given, or a file cannot be used.
        """
        return read_tables(self._files(task, name), schema)

    def source(self, task: str, name: str) -> Path:
        """The folder or file, for messages."""
        first = self._files(task, name)[0]
        return first.parent if first.stem.startswith("step-") else first

    def _files(self, task: str, name: str) -> list[Path]:
        if (task, name) not in self._paths:
            raise UserError(
                "figures", name, f"no such table of {task} was given", "Measure it first"
            )
        return self._paths[task, name]
