"""Values and names that nobody means, for any place in a document."""

import math
import random
from collections.abc import Callable
from typing import Any

NAMES = (
    *("..", ".", "/abs", "/etc/passwd", "a/b", "../../x", "a\\b", "~", "~root", "C:\\x", "NUL"),
    *("con.txt", "$(touch x)", "`x`", "$HOME", "${HOME}", "a;b", "a|b", "a&b", "a b", " a", "a "),
    *("{task}", "{wildcards.run}", "{", "}", "{{x}}", "{0}", "%s", "%(x)s", "a*", "[a-z]+", "(?P<"),
    *("a\n", "a\nb", "\n", "a\r", "a\t", "\0", "a\0b", "\x1b[31m", "\x7f", "\u2028", "\ufeff", ""),
    *("\ud800", "a\udfff", "é", "ａ", "名", "٣", "\u202e", "-n", "--unlock", "-", "_", "__class__"),
    *("end", "__use_yte__", "<<", "null", "true", "yes", "1", "1e5", "0x10", "1:30", "2020-01-01"),
    *("x" * 300, "x" * 50_000, "_seed1", "step-000000", ".hidden", "a.b", "a-b", "1a", "Ω" * 200),
)

NUMBERS: tuple[Any, ...] = (
    *(0, -1, 1, 2, 3, 10**6, 10**12, -(10**12), 2**31, 2**32, 2**63, 2**64, 10**300),
    *(0.0, -0.0, 0.5, 1.5, -1.5, 1e-300, 5e-324, 1e300, 1e308),
    *(math.nan, math.inf, -math.inf),
)

TEXTS: tuple[Any, ...] = (
    *("", " ", "nan", ".nan", ".inf", "1e400", "-1e400", "9" * 4000, "1" + "0" * 400, "1e-4", "4"),
    *("١٢", "1_000", "0x10", "0o17", "017", "1:30", "+5", "5.", ".5", "1e3", "five", "None"),
    *("!!python/name:os.system", "?os.system('x')", "{{ 1 + 1 }}", "*alias", "&anchor", "%TAG"),
)


def value(rng: random.Random) -> Any:
    """Any value: of the wrong kind, absurdly large, empty, deep, a name that is a path ..."""
    return rng.choice(_VALUES)(rng)


def name(rng: random.Random) -> str:
    """Text that may not become a part of a path, a wildcard or a message as it is."""
    return rng.choice(NAMES)


def _deep(rng: random.Random) -> Any:
    result: Any = rng.choice(NUMBERS[:3])
    for _ in range(rng.choice((3, 30, 150))):
        result = [result] if rng.random() < 0.5 else {"a": result}
    return result


_VALUES: tuple[Callable[[random.Random], Any], ...] = (
    lambda rng: None,
    lambda rng: rng.random() < 0.5,
    lambda rng: rng.choice(NUMBERS),
    lambda rng: rng.choice(NUMBERS),
    lambda rng: rng.choice(TEXTS),
    lambda rng: name(rng),
    lambda rng: name(rng),
    lambda rng: [],
    lambda rng: {},
    lambda rng: [value(rng) for _ in range(rng.randint(1, 4))],
    lambda rng: {name(rng): value(rng) for _ in range(rng.randint(1, 3))},
    lambda rng: [rng.choice(TEXTS)] * 2,
    lambda rng: list(range(2000)),
    _deep,
)
