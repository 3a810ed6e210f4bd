"""The one error that a user's input can cause: it says where, what is wrong, and how to mend it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

_MOST_SHOWN = 20


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

    @property
    def each(self) -> tuple["UserError", ...]:
        """The mistakes that it stands for, one by one."""
        return (self,)


class UserErrors(UserError):
    """Several mistakes at once, a line each; its place, problem and remedy are those of the first.

    Args:
        errors: the mistakes, at least one.
    """

    def __init__(self, errors: Sequence[UserError]) -> None:
        first = errors[0]
        super().__init__(first.source, first.key, first.problem, first.remedy)
        self._each = tuple(errors)
        shown = [str(error) for error in errors[:_MOST_SHOWN]]
        if len(errors) > _MOST_SHOWN:
            shown.append(f"... and {len(errors) - _MOST_SHOWN} more mistakes.")
        self.args = ("\n".join(shown),)

    @property
    def each(self) -> tuple[UserError, ...]:
        """The mistakes that it stands for, one by one."""
        return self._each


def raise_errors(errors: Iterable[UserError]) -> None:
    """Raise what was found, if anything: one error as it is, several as one with a line each.

    Args:
        errors: mistakes, in the order in which they are to be listed; equal ones are listed once.

    Raises:
        UserError: there is one.
        UserErrors: there are several.
    """
    each = {str(one): one for error in errors for one in error.each}
    found = list(each.values())
    if len(found) == 1:
        raise found[0]
    if found:
        raise UserErrors(found)


def _printable(text: str) -> str:
    """One line that any terminal can show; line breaks and control characters are spelt out."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
