"""Probe tables that look like a real run's: effects that grow in some heads while others fade."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from timelapse import tables
from timelapse.figures.figure_tables import InputTables
from timelapse.figures.overviews.registry import Overview
from timelapse.steps import step_name
from timelapse.study.runs import Run

STEPS = tuple(range(0, 192, 8))
CORRUPTIONS = ("first", "second", "abc")

Tables = dict[str, list[Path]]
MakeTable = Callable[[int, float], pa.Table]


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Tables of four layers with four heads over the steps of a run."""
    return write_run(tmp_path_factory.mktemp("small") / "ioi3", layers=4, heads=4)


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Tables of GPT-2 small's shape at three steps."""
    folder = tmp_path_factory.mktemp("large") / "ioi3"
    return write_run(folder, layers=12, heads=12, steps=(0, 64, 184))


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Tables of two layers with three heads at three steps."""
    folder = tmp_path_factory.mktemp("short") / "ioi3"
    return write_run(folder, layers=2, heads=3, steps=(0, 64, 184))


@pytest.fixture
def own(tmp_path: Path) -> Tables:
    """Tables at three steps that a test may spoil."""
    return write_run(tmp_path / "ioi3", layers=2, heads=3, steps=(0, 64, 184))


def write_run(
    folder: Path, layers: int, heads: int, steps: tuple[int, ...] = STEPS, seed: int = 0
) -> Tables:
    """Write one file for each table and step in a task's folder; returns the paths by table."""
    random = np.random.default_rng(layers * 100 + heads + seed)
    makers = {
        "win_rate": _win_rate,
        "logit_diff": _logit_diff(layers, heads, random),
        "edges": _edges(layers, heads, random),
        "patching": _patching(layers, heads, random),
        "attention": _attention(layers, heads, random),
        "attention_change": _attention_change(layers, heads, random),
        "head_roles": _head_roles(layers, heads, random),
        "logit_lens": _logit_lens(layers, random),
        "faithfulness": _faithfulness(layers, heads, random),
        "circuit_quality": _circuit_quality(layers, heads, random),
    }
    paths: Tables = {name: [] for name in makers}
    for name, make in makers.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for step in steps:
            path = folder / name / f"{step_name(step)}.parquet"
            pq.write_table(make(step, _learned(step)), path)
            paths[name].append(path)
    return paths


@dataclass(frozen=True)
class MadeUp:
    """A made-up run and where its tables lie.

    Attributes:
        folder: what the paths of its tables are relative to.
        run: its tasks and steps.
    """

    folder: Path
    run: Run

    def home(self, task: str) -> Path:
        """The folder of a task."""
        return self.folder / "results" / "runs" / self.run.name / task

    def files(self, table: str, task: str) -> list[Path]:
        """The files of a table, one for each step or one for all."""
        if table in ("comparison", "heads"):
            return [self.home(task) / f"{table}.parquet"]
        folder = self.home(task) / table
        return [folder / f"{step_name(step)}.parquet" for step in self.run.steps]

    def inputs(self, overview: Overview, task: str | None = None) -> list[Path]:
        """The files that an overview is given, of a task or of all."""
        tasks = self.run.evaluate if overview.of_run or task is None else (task,)
        return [
            path for name in tasks for table in overview.tables for path in self.files(table, name)
        ]

    def tables(self, overview: Overview, task: str | None = None) -> InputTables:
        """The tables that an overview is given."""
        steps = (self.run.steps[0], self.run.steps[-1]) if overview.ends_only else None
        return InputTables(self.inputs(overview, task), steps)


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> MadeUp:
    """A run of four layers with four heads on two tasks."""
    return write_study(tmp_path_factory.mktemp("study"), layers=4, heads=4)


@pytest.fixture(scope="session")
def large_study(tmp_path_factory: pytest.TempPathFactory) -> MadeUp:
    """A run of GPT-2 small's shape at three steps."""
    return write_study(tmp_path_factory.mktemp("large"), layers=12, heads=12, steps=(0, 64, 184))


@pytest.fixture(scope="session")
def short_study(tmp_path_factory: pytest.TempPathFactory) -> MadeUp:
    """A small run at three steps."""
    return write_study(tmp_path_factory.mktemp("short"), layers=2, heads=3, steps=(0, 64, 184))


@pytest.fixture
def own_study(tmp_path: Path) -> MadeUp:
    """A run at three steps whose tables a test may spoil."""
    return write_study(tmp_path, layers=2, heads=3, steps=(0, 64, 184))


def write_study(
    folder: Path,
    layers: int,
    heads: int,
    steps: tuple[int, ...] = STEPS,
    tasks: tuple[str, ...] = ("ioi2", "ioi3"),
) -> MadeUp:
    """Write all tables of a run, where the workflow writes them."""
    run = Run("two_to_three", "base", tasks[-1], tasks, steps, {}, 0, granularity="checkpoint")
    for number, task in enumerate(tasks):
        home = folder / "results" / "runs" / run.name / task
        write_run(home, layers, heads, steps, seed=number)
        random = np.random.default_rng(layers * 100 + heads + number)
        comparison = made_up_comparison(layers, heads, steps, task, tasks, random)
        pq.write_table(comparison, home / "comparison.parquet")
        pq.write_table(_heads_table(layers, heads, steps, random), home / "heads.parquet")
    return MadeUp(folder, run)


def _learned(step: int) -> float:
    return 1 / (1 + np.exp(-(step - 50) / 22))


def _win_rate(step: int, learned: float) -> pa.Table:
    n, z = 200, 1.96
    wins = round(n * (0.36 + 0.6 * learned))
    rate = wins / n
    middle = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    row = {
        "step": step,
        "n": n,
        "wins": wins,
        "win_rate": rate,
        "ci_low": middle - half,
        "ci_high": middle + half,
        "logit_diff": 4 * learned,
        "logit_diff_se": 0.1,
        "answer_probability": 0.8 * rate,
    }
    return pa.Table.from_pylist([row], schema=tables.WIN_RATE)


def _logit_diff(layers: int, heads: int, random: np.random.Generator) -> MakeTable:
    before = random.normal(0, 0.25, (layers, heads + 2))
    after = before + random.normal(0, 0.1, before.shape)
    after[-2:, : heads // 2] += random.normal(1.0, 0.9, (2, heads // 2))
    after[-1, -1] -= 1.2

    def make(step: int, learned: float) -> pa.Table:
        now = before + learned * (after - before) + random.normal(0, 0.02, before.shape)
        rows = []

        def add(
            decomposition: str,
            component: str,
            layer: float,
            head: int | None,
            value: float,
            error: float,
        ) -> None:
            rows.append(
                {
                    "step": step,
                    "decomposition": decomposition,
                    "component": component,
                    "layer": layer,
                    "head": head,
                    "value": value,
                    "std_error": error,
                }
            )

        total = 0.1
        add("stream", "input", 0.0, None, total, 0.02)
        add("layer", "input", 0.0, None, total, 0.02)
        for layer in range(layers):
            for head in range(heads):
                add("head", f"a{layer}.h{head}", layer, head, now[layer, head], 0.05)
            add("head", f"a{layer}.bias", layer, None, now[layer, heads], 0.01)
            end = f"pre{layer + 1}" if layer + 1 < layers else "final"
            for short, value, place, depth in (
                ("a", now[layer, : heads + 1].sum(), f"mid{layer}", layer + 0.5),
                ("m", now[layer, -1], end, layer + 1.0),
            ):
                total += value
                error = 0.05 + 0.1 * abs(value)
                add("layer", f"{short}{layer}", layer, None, value, error)
                add("stream", place, depth, None, total, 0.05 + 0.06 * depth)
        return pa.Table.from_pylist(rows, schema=tables.LOGIT_DIFF)

    return make


def edge_names(layers: int, heads: int) -> list[tuple[str, str]]:
    """Every edge of a model whose MLPs read the heads of their own layer."""
    written = ["input"]
    edges = []
    for layer in range(layers):
        ports = [f"a{layer}.h{head}<{port}>" for head in range(heads) for port in "qkv"]
        edges += [(source, port) for source in written for port in ports]
        written += [f"a{layer}.h{head}" for head in range(heads)]
        edges += [(source, f"m{layer}") for source in written]
        written.append(f"m{layer}")
    return edges + [(source, "logits") for source in written]


def _edges(layers: int, heads: int, random: np.random.Generator) -> MakeTable:
    pairs = edge_names(layers, heads)
    sources, targets = zip(*pairs, strict=True)
    n = len(pairs)
    nodes = sorted({*sources, *(target.split("<")[0] for target in targets)})
    ends = np.array([node in ("input", "logits") for node in nodes])
    index = {node: at for at, node in enumerate(nodes)}
    source = [index[name] for name in sources]
    target = [index[name.split("<")[0]] for name in targets]

    def strengths() -> np.ndarray:
        weight = random.lognormal(-2.5, 0.7, (3, len(nodes)))
        for row in weight:
            row[random.choice(len(nodes), 9, replace=False)] = 1.0
        weight[:, ends] = 1.0
        sign = np.where(random.random((3, n)) < 0.2, 0.6, -1.0)
        part = random.lognormal(-1.0, 0.7, (3, n))
        return 0.1 * sign * weight[:, source] * weight[:, target] * part

    before = strengths()
    after = 0.6 * before + 0.6 * strengths()
    error = 0.01 + 0.1 * np.abs(after)

    def make(step: int, learned: float) -> pa.Table:
        now = before + learned * (after - before) + random.normal(0, 0.005, before.shape)
        return pa.concat_tables(
            pa.table(
                {
                    "step": np.full(n, step, np.int32),
                    "corruption": [corruption] * n,
                    "method": ["eap"] * n,
                    "source": sources,
                    "target": targets,
                    "score": now[at].astype(np.float32),
                    "std_error": error[at].astype(np.float32),
                },
                schema=tables.EDGES,
            )
            for at, corruption in enumerate(CORRUPTIONS)
        )

    return make


PLACES = ("#0", "io", "#2 and", "first", "#4 went", "place", "first.2", "#7", "second.2", "end")


def _patching(layers: int, heads: int, random: np.random.Generator) -> MakeTable:
    depth = (np.arange(layers) + 0.5) / layers

    def by_position(moved: np.ndarray) -> np.ndarray:
        grid = 0.1 * random.normal(size=(3, layers, len(PLACES)))
        grid[:, :, 6] += 1 - moved
        grid[:, :, 8] += 0.3 * (1 - moved)
        grid[:, :, 9] += moved
        grid[:, :, :6] = 0.0
        return grid

    by_site = {
        "resid_pre": by_position(depth**2),
        "attn_out": by_position(np.zeros(layers)) / 3,
        "mlp_out": by_position(1 - depth) / 3,
    }
    z = 0.03 * random.normal(size=(3, layers, heads))
    z[:, -2:, : heads // 2] += random.normal(0.2, 0.15, (3, 2, heads // 2))
    part = random.random(z.shape)
    by_site |= {"z": z, "q": 0.4 * z, "k": 0.1 * z, "v": part * z, "pattern": (1 - part) * z}

    def make(step: int, learned: float) -> pa.Table:
        rows = []
        for site, grid in by_site.items():
            now = (0.5 + 0.5 * learned) * grid
            now = now + (now != 0) * random.normal(0, 0.01, grid.shape)
            for (corruption, layer, at), value in np.ndenumerate(now):
                placed = site in ("resid_pre", "attn_out", "mlp_out")
                rows.append(
                    {
                        "step": step,
                        "corruption": CORRUPTIONS[corruption],
                        "site": site,
                        "layer": layer,
                        "head": None if placed else at,
                        "position": PLACES[at] if placed else None,
                        "value": value,
                        "std_error": (0.02 + 0.05 * abs(value)) * (value != 0),
                    }
                )
        return pa.Table.from_pylist(rows, schema=tables.PATCHING)

    return make


LABELS = ("io", "first", "second", "place", "first.2", "second.2", "thing", "end")


def _heads(layers: int, heads: int) -> list[tuple[int, int]]:
    return [(layer, head) for layer in range(layers) for head in range(heads)]


def _attention(layers: int, heads: int, random: np.random.Generator) -> MakeTable:
    places = _heads(layers, heads)
    before, after = random.dirichlet(np.full(len(LABELS) + 3, 0.15), (2, len(places)))

    def make(step: int, learned: float) -> pa.Table:
        rows = [
            {
                "step": step,
                "layer": layer,
                "head": head,
                "query": query,
                "key": key,
                "value": (1 - learned) * before[at, k] + learned * after[at, k],
                "std_error": 0.02,
            }
            for at, (layer, head) in enumerate(places)
            for query in ("thing", "end")
            for k, key in enumerate(LABELS)
        ]
        return pa.Table.from_pylist(rows, schema=tables.ATTENTION)

    return make


def _attention_change(layers: int, heads: int, random: np.random.Generator) -> MakeTable:
    places = _heads(layers, heads)
    most = random.beta(0.6, 3, len(places))

    def make(step: int, learned: float) -> pa.Table:
        value = 0.0 * most if step == 0 else learned * most * random.uniform(0.9, 1.0, len(most))
        rank = np.argsort(np.argsort(-value, kind="stable"))
        rows = [
            {
                "step": step,
                "layer": layer,
                "head": head,
                "value": value[at],
                "ci_low": 0.9 * value[at],
                "ci_high": 1.1 * value[at],
                "rank": rank[at] + 1,
            }
            for at, (layer, head) in enumerate(places)
        ]
        return pa.Table.from_pylist(rows, schema=tables.ATTENTION_CHANGE)

    return make


ROLE_NAMES = ("previous_token", "duplicate_token", "induction", "name_mover", "negative_mover")


def _head_roles(layers: int, heads: int, random: np.random.Generator) -> MakeTable:
    """Movers come with learning, few heads hold the others, and S-inhibition is never defined."""
    places = _heads(layers, heads)
    ends = random.beta(0.4, 2.5, (len(ROLE_NAMES), len(places)))
    ends[4] *= 0.2

    def make(step: int, learned: float) -> pa.Table:
        rows = []
        for role, name in enumerate((*ROLE_NAMES, "s_inhibition")):
            for at, (layer, head) in enumerate(places):
                defined = name != "s_inhibition"
                score = (
                    ends[role, at] * (learned if name == "name_mover" else 1) if defined else None
                )
                rows.append(
                    {
                        "step": step,
                        "layer": layer,
                        "head": head,
                        "role": name,
                        "score": score,
                        "std_error": 0.02 if defined else None,
                        "holds": defined and score >= 0.3,
                    }
                )
        return pa.Table.from_pylist(rows, schema=tables.HEAD_ROLES)

    return make


def _logit_lens(layers: int, random: np.random.Generator) -> MakeTable:
    names = ["input", *(f"pre{layer}" for layer in range(1, layers)), "final"]

    def make(step: int, learned: float) -> pa.Table:
        rows = []
        for layer, name in enumerate(names):
            depth = layer / layers
            for token, share in (("answer", 0.3 + 0.6 * learned), ("foil", 0.25 - 0.2 * learned)):
                probability = share * depth**2
                for measure, value in (
                    ("probability", probability),
                    ("rank", 1 + 40000 * (1 - probability) ** 12),
                ):
                    rows.append(
                        {
                            "step": step,
                            "place": name,
                            "layer": layer,
                            "token": token,
                            "measure": measure,
                            "value": value,
                            "std_error": 0.05 * value,
                        }
                    )
        return pa.Table.from_pylist(rows, schema=tables.LOGIT_LENS)

    return make


FRACTIONS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
SIZES = {"size_50": 0.5, "size_80": 0.8, "size_90": 0.9, "size_95": 0.95}


def _needed(number: int, learned: float, total: int) -> float:
    """How many edges half of the behaviour needs."""
    return total * (0.02 + 0.01 * number) * (1.6 - learned)


def _faithfulness(layers: int, heads: int, random: np.random.Generator) -> MakeTable:
    """Circuits that keep little of a half-trained model and more of a trained one."""
    total = len(edge_names(layers, heads))

    def make(step: int, learned: float) -> pa.Table:
        rows = []
        for number, corruption in enumerate(CORRUPTIONS):
            half = _needed(number, learned, total)
            for fraction in FRACTIONS:
                n = total if fraction == 1 else int(0.8 * fraction * total)
                kept = 1.0 if fraction == 1 else n / (n + half) + random.normal(0, 0.02)
                error = 0.0 if fraction == 1 else 0.05
                rows.append(
                    {
                        "step": step,
                        "corruption": corruption,
                        "method": "eap",
                        "fraction": fraction,
                        "n_edges": n,
                        "faithfulness": kept,
                        "ci_low": kept - error,
                        "ci_high": kept + error,
                        "completeness": 0.0 if fraction == 1 else 1.0 - n / (n + 0.6 * half),
                        "weighted_size": 0.9 * n,
                    }
                )
        return pa.Table.from_pylist(rows, schema=tables.FAITHFULNESS)

    return make


def _circuit_quality(layers: int, heads: int, random: np.random.Generator) -> MakeTable:
    """Sizes, some of which no circuit reaches, and the areas."""
    total = len(edge_names(layers, heads))

    def make(step: int, learned: float) -> pa.Table:
        rows = []
        for number, corruption in enumerate(CORRUPTIONS):
            half = _needed(number, learned, total)
            for name, share in SIZES.items():
                n: float | None = half * share / (1 - share) * random.uniform(0.9, 1.1)
                if n is not None and n > total:
                    n = None
                rows.append(_quality(step, corruption, name, n, 0.15))
            rows.append(_quality(step, corruption, "CMD", 0.3, 0.1))
        return pa.Table.from_pylist(rows, schema=tables.CIRCUIT_QUALITY)

    return make


def _quality(
    step: int, corruption: str, measure: str, value: float | None, doubt: float
) -> dict[str, object]:
    return {
        "step": step,
        "corruption": corruption,
        "method": "eap",
        "measure": measure,
        "value": value,
        "ci_low": None if value is None else value * (1 - doubt),
        "ci_high": None if value is None else value * (1 + doubt),
    }


def _heads_table(
    layers: int, heads: int, steps: tuple[int, ...], random: np.random.Generator
) -> pa.Table:
    """Scores that mostly fade away, a few that grow, and labels that follow from them."""
    places = _heads(layers, heads)
    before = random.normal(0, 0.04, len(places)) - random.exponential(0.15, len(places)) ** 2 * 6
    after = before * random.uniform(0.2, 1.8, len(places))
    after[random.choice(len(places), 2, replace=False)] = -0.9, 0.5
    after[np.argmin(before)] = -0.01
    rows = []
    for step in steps:
        now = before + _learned(step) * (after - before) + random.normal(0, 0.01, len(places))
        for at, (layer, head) in enumerate(places):
            there, gone = abs(now[at]) > 0.08, abs(before[at]) <= 0.08
            growth = abs(now[at]) / abs(before[at])
            label = "" if gone else "lost"
            if there and (gone or now[at] * before[at] < 0):
                label = "added"
            elif there:
                label = "amplified" if growth > 1.2 else "weakened" if growth < 0.8 else "kept"
            rows.append(
                {
                    "step": step,
                    "layer": layer,
                    "head": head,
                    "score": now[at],
                    "ci_low": now[at] - 0.03 - 0.06 * abs(now[at]),
                    "ci_high": now[at] + 0.03 + 0.06 * abs(now[at]),
                    "label": label,
                }
            )
    return pa.Table.from_pylist(rows, schema=tables.HEADS)


def made_up_comparison(
    layers: int,
    heads: int,
    steps: tuple[int, ...],
    task: str,
    tasks: tuple[str, ...],
    random: np.random.Generator,
) -> pa.Table:
    """Overlaps that fall while the model learns, at up to twelve of the steps."""
    chosen = [steps[at] for at in np.linspace(0, len(steps) - 1, min(12, len(steps))).astype(int)]
    parts = [f"{kind}{layer}" for layer in range(layers) for kind in "am"] + ["logits"]
    weight = dict(zip(parts, random.exponential(1.0, len(parts)), strict=True))
    moved = random.normal(0, 0.15, (2, layers * heads)) ** 3 * 30
    rows: list[dict[str, object]] = []

    def add(
        pair: tuple[int, int],
        other: str,
        measure: str,
        value: float,
        doubt: float,
        null: float | None,
    ) -> None:
        rows.append(
            {
                "step_a": pair[0],
                "step_b": pair[1],
                "task_a": other,
                "task_b": task,
                "measure": measure,
                "value": value,
                "ci_low": value - doubt,
                "ci_high": value + doubt,
                "null_mean": null,
            }
        )

    for pair, other in _pairs(chosen, task, tasks):
        far = abs(_learned(pair[1]) - _learned(pair[0])) + 0.5 * (other != task)
        same = pair[0] == pair[1] and other == task
        overlap = 1.0 if same else 0.9 - 0.45 * far + random.normal(0, 0.02)
        doubt = 0.0 if same else 0.06
        for sign, loss in (("", 0.0), ("signed_", 0.03)):
            value = overlap - loss * (not same)
            add(pair, other, f"{sign}edge_jaccard", 0.05 + 0.95 * value, doubt, 0.88 - loss)
            add(pair, other, f"{sign}edge_jaccard_corrected", value, doubt, 0.85 - loss)
        flips = 60 * (1 - overlap)
        add(pair, other, "edge_flips", flips, 60 * doubt, 9.0)
        add(pair, other, "edge_flips_changed_node", 0.35 * flips, 25 * doubt, 2.5)
        add(pair, other, "edge_flips_same_nodes", 0.65 * flips, 40 * doubt, 6.5)
        for part, size in weight.items():
            change = 0.0 if same else size * far + 0.05
            add(pair, other, f"layer_change:{part}", change, 0.1 * change, 0.15 + 0.05 * size)
    for a in chosen:
        for b in chosen:
            far = abs(_learned(b) - _learned(a))
            value = 0.92 - 0.5 * far + 0.05 * (a < b) + random.normal(0, 0.02)
            add((a, b), task, "cross_faithfulness", value, 0.05, 0.9)
    for other in tasks:
        for b in chosen if other != task else ():
            for a in dict.fromkeys((b, chosen[0])):
                value = 0.3 + 0.4 * _learned(b) - 0.15 * (a != b) + random.normal(0, 0.02)
                add((a, b), other, "cross_task_faithfulness", value, 0.07, 0.9)
    for b in chosen[1:]:
        for side, pair in enumerate(((chosen[0], b), (b, chosen[0]))):
            for at, (layer, head) in enumerate(_heads(layers, heads)):
                value = _learned(b) * moved[side, at]
                add(pair, task, f"head_transplant:a{layer}.h{head}", value, 0.03, None)
    return pa.Table.from_pylist(rows, schema=tables.COMPARISON)


def _pairs(
    steps: list[int], task: str, tasks: tuple[str, ...]
) -> Iterator[tuple[tuple[int, int], str]]:
    for at, a in enumerate(steps):
        for b in steps[at:]:
            yield (a, b), task
    for other in tasks:
        if other != task:
            yield from (((step, step), other) for step in steps)
            yield from (((steps[0], step), other) for step in steps[1:])
