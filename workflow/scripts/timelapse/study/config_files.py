"""The files that a study is written in: one may extend another, and `--config` goes before both."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timelapse.errors import UserError, raise_errors
from timelapse.files.documents import read_yaml
from timelapse.files.messages import advice, dotted, found

TEMPLATE = "__use_yte__"
"""The key by which a file asks Snakemake to run the code in it."""

REPOSITORY = Path(__file__).parents[4]
"""Where the workflow lies, with the tasks and models that come with it."""

COMMAND_LINE = "--config"
"""How messages name what stands on the command line."""


@dataclass(frozen=True)
class Layer:
    """What one file, or the command line, says.

    Attributes:
        name: the file as messages name it, or `--config`.
        document: plain data, without `extends`.
    """

    name: str
    document: Mapping[str, Any]


@dataclass(frozen=True)
class ConfigFiles:
    """Layers of a config: each goes before those that come before it.

    Attributes:
        layers: from the bottom to the top, at least one.
        document: what they say together.
    """

    layers: tuple[Layer, ...]
    document: dict[str, Any]

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> "ConfigFiles":
        """Lay layers over each other.

        Raises:
            UserError: a layer removes what is not there.
        """
        document: dict[str, Any] = {}
        mistakes: list[UserError] = []
        for place, layer in enumerate(layers):
            if place == 0:
                document = dict(layer.document)
            else:
                document = _laid_over(document, layer.document, layer.name, (), mistakes)
        raise_errors(mistakes)
        return cls(tuple(layers), document)

    @classmethod
    def read(
        cls, files: Iterable[str | Path], overrides: Mapping[str, Any] | None = None
    ) -> "ConfigFiles":
        """Read config files, each with the file that it extends below it.

        Args:
            files: as on the command line: a later one goes before an earlier one.
            overrides: what `--config` says.

        Raises:
            UserError: a file cannot be read, is no plain data, extends itself or what is not
                there, or removes what is not there.
        """
        layers: dict[str, Layer] = {}
        for file in files:
            # What two files extend lies below both, and not between them.
            for layer in _with_extended(Path(file), ()):
                layers.setdefault(layer.name, layer)
        if overrides and "extends" in overrides:
            problem = "a file extends another, a command line does not"
            raise UserError(COMMAND_LINE, "extends", problem, "Give both with --configfile")
        if overrides:
            layers[COMMAND_LINE] = Layer(COMMAND_LINE, overrides)
        return cls.of(list(layers.values()))

    @property
    def names(self) -> str:
        """All its files, for messages."""
        return ", ".join(dict.fromkeys(layer.name for layer in self.layers))

    def source_of(self, path: Sequence[str | int]) -> str:
        """The file that says what stands at a path: the topmost that goes that deep."""
        files = [layer for layer in self.layers if layer.name != COMMAND_LINE]
        depths = [(_depth(layer.document, path), place) for place, layer in enumerate(self.layers)]
        depth, place = max(depths)
        return self.layers[place].name if depth or not files else files[-1].name


def read_config(path: str | Path) -> dict[str, Any]:
    """Read a config file as plain data.

    Snakemake's own reader runs the Python code in a config that has the key `__use_yte__`, so this
    comes before it.

    Raises:
        UserError: the file cannot be read, is no plain YAML, or asks to be run as a template.
    """
    document = read_yaml(path)
    if TEMPLATE in document:
        problem = "a config is plain data, and this key makes it a template with code"
        raise UserError(path, TEMPLATE, problem, "Remove the key and write the values out")
    return document


def located(path: str | Path) -> Path:
    """A path of a config: as it is written, or in the repository if it is not there but here."""
    own = Path(path)
    shipped = REPOSITORY / own
    try:
        return own if own.is_absolute() or own.exists() or not shipped.exists() else shipped
    except OSError:
        return own


def task_file(folder: Path, task: str) -> Path:
    """The spec of a task: in a folder, else among those that are shipped."""
    own = folder / f"{task}.yaml"
    return own if own.is_file() else located(Path("tasks") / own.name)


def _with_extended(path: Path, above: tuple[Path, ...]) -> list[Layer]:
    """The layers of a file: those of the file that it extends, then its own."""
    name = _named(path)
    document = read_config(name)
    if "extends" not in document:
        return [Layer(name, document)]
    extended = document.pop("extends")
    if not isinstance(extended, str) or not extended.isprintable() or not extended.strip():
        problem = f"the path of a config is wanted, {found(extended)} was found"
        raise UserError(name, "extends", problem, "Give one relative to this file, or none")
    target = path.parent / extended
    chain = (*above, path.resolve())
    try:
        is_circle, is_there = target.resolve() in chain, target.is_file()
    except OSError:
        is_circle, is_there = False, False
    if is_circle:
        names = " -> ".join(_named(file) for file in (*chain, target))
        problem = f"the file extends itself: {names}"
        raise UserError(name, "extends", problem, "Remove `extends` from one of them")
    if not is_there:
        problem = f"there is no file {_named(target)}"
        raise UserError(name, "extends", problem, "Give its path relative to this file")
    return [*_with_extended(target, chain), Layer(name, document)]


def _named(path: Path) -> str:
    """A path as messages have it: relative where it lies in the working directory."""
    full, here = path.resolve(), Path.cwd()
    return str(full.relative_to(here) if full.is_relative_to(here) else path)


def _laid_over(
    below: Mapping[str, Any],
    above: Mapping[str, Any],
    name: str,
    path: tuple[str, ...],
    mistakes: list[UserError],
) -> dict[str, Any]:
    """Two mappings as one; keys that are null above are removed."""
    result = dict(below)
    for key, value in above.items():
        there = below.get(key)
        if value is None and key in below:
            del result[key]
        elif value is None:
            problem = "null removes a key, and there is no such key to remove"
            mistakes.append(UserError(name, dotted([*path, key]), problem, advice(key, below)))
        elif isinstance(value, Mapping) and isinstance(there, Mapping):
            result[key] = _laid_over(there, value, name, (*path, key), mistakes)
        else:
            result[key] = value
    return result


def _depth(document: Any, path: Sequence[str | int]) -> int:
    """How many parts of a path a document has."""
    for depth, part in enumerate(path):
        if isinstance(document, Mapping) and part in document:
            document = document[str(part)]
        elif isinstance(document, list) and isinstance(part, int) and part < len(document):
            document = document[part]
        else:
            return depth
    return len(path)
