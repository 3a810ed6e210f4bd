"""The one error that a user's input can cause: it says where, what is wrong, and how to mend it."""

from pathlib import Path


class UserError(Exception):
    """Bad input: a spec, a config, a model folder, a dataset.

    Args:
        source: the file (or other place) at fault.
        key: the dotted path inside it; empty if the whole file is meant.
        problem: what is wrong, a sentence without its full stop.
        remedy: what to do about it, likewise.
    """

    def __init__(self, source: str | Path, key: str, problem: str, remedy: str) -> None:
        self.source, self.key, self.problem, self.remedy = str(source), key, problem, remedy
        place = f"{source}: {key}" if key else str(source)
        super().__init__(_printable(f"{place}: {problem}. {remedy}."))


def _printable(text: str) -> str:
    """One line that any terminal can show; line breaks and control characters are spelt out."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
