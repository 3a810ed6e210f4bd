"""What the base model does before fine-tuning, and how many heads of two-object IOI it takes.

    python benchmarks/base_models.py [FOLDER]

Scores a model folder (the shipped one if left out) by what the default study wants of its base
model and writes that to `base_models.json`, beside the table of the recipes that were tried:
- `win_rates`: on the test prompts of every task.
- `patching`: what the clean z of one head restores of the logit difference on ioi2, by corruption;
  `most_restored` is the largest.
- `circuits`, by corruption: the smallest circuit, of those that the EAP-IG scores of 204 prompts
  make, that keeps 80 % of the logit difference on other prompts; `heads` in it, with what taking a
  head out of that circuit costs of its faithfulness. A head is `needed` if that is more than 0.05.
- `roles`: which heads hold which role, with their scores.
"""

import json
import sys
import tempfile
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "workflow" / "scripts"))

import numpy as np  # noqa: E402
from transformer_lens.model_bridge import TransformerBridge  # noqa: E402

from timelapse.activations.source import LiveSource  # noqa: E402
from timelapse.circuits.intervention.evaluate import CircuitEvaluator  # noqa: E402
from timelapse.circuits.methods import MethodSettings  # noqa: E402
from timelapse.circuits.model_check import graph_of  # noqa: E402
from timelapse.circuits.reachability import wiring  # noqa: E402
from timelapse.circuits.scoring import score_edges  # noqa: E402
from timelapse.circuits.selection import choose  # noqa: E402
from timelapse.models.loading import each_bridge, load_model, load_tokenizer  # noqa: E402
from timelapse.models.metric import LOGIT_DIFF  # noqa: E402
from timelapse.models.prompts import Prompts, encode  # noqa: E402
from timelapse.probes.head_roles import name_movers  # noqa: E402
from timelapse.probes.head_roles.role_scores import head_roles  # noqa: E402
from timelapse.probes.patching.patching import patching  # noqa: E402
from timelapse.probes.win_rate import win_rate  # noqa: E402
from timelapse.tasks.dataset import read_dataset, write_datasets  # noqa: E402
from timelapse.tasks.spec import load_spec  # noqa: E402

REPORT = ROOT / "benchmarks" / "base_models.json"
TASKS = ("ioi2", "ioi3", "two_pairs", "interrupted2", "repeated_words", "months")
CORRUPTIONS = ("flip", "abc")
ENOUGH, NEEDED = 0.8, 0.05


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "models" / "base"
    model = load_model(folder, "cpu")
    with tempfile.TemporaryDirectory() as datasets:
        prompts = partial(prompts_of, folder, Path(datasets))
        rates = {
            task: win_rate(model, prompts(task, "test"), 200)["win_rate"][0].as_py()
            for task in TASKS
        }
        bridge = next(each_bridge([folder], "cpu"))
        found = prompts("ioi2", "test", 204)
        held_out = prompts("ioi2", "validation", 100)
        restored = restored_by_z(bridge, prompts("ioi2", "test", 108))
        shipped = {
            "parameters": sum(parameter.numel() for parameter in model.parameters()),
            "win_rates": {task: round(rate, 3) for task, rate in rates.items()},
            "most_restored": max(max(of.values()) for of in restored.values()),
            "patching": restored,
            "circuits": {name: circuit(bridge, found, held_out, name) for name in CORRUPTIONS},
            "roles": roles(bridge, found),
        }
    report = json.loads(REPORT.read_text()) if REPORT.exists() else {}
    text = json.dumps(report | {"shipped": shipped}, indent=1)
    REPORT.write_text(text + "\n")
    print(json.dumps(shipped, indent=1))


def prompts_of(
    folder: Path, datasets: Path, task: str, split: str, n: int | None = None
) -> list[Prompts]:
    """The first prompts of a task."""
    path = datasets / f"{task}-{split}.parquet"
    write_datasets(load_spec(ROOT / "tasks" / f"{task}.yaml"), 0, {split: path})
    return encode(read_dataset(path).slice(0, n), load_tokenizer(folder), path)


def restored_by_z(bridge: TransformerBridge, prompts: list[Prompts]) -> dict[str, dict[str, float]]:
    """What patching a head's z restores, by head and corruption; those above 0.05."""
    rows = patching(bridge, prompts, CORRUPTIONS, 108).to_pylist()
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["site"] == "z":
            name = f"a{row['layer']}.h{row['head']}"
            found.setdefault(name, {})[row["corruption"]] = round(row["value"], 3)
    return {name: of for name, of in found.items() if max(map(abs, of.values())) > 0.05}


def circuit(
    bridge: TransformerBridge, found: list[Prompts], held_out: list[Prompts], corruption: str
) -> dict[str, object]:
    """The smallest circuit that is faithful enough, and what each of its heads is worth."""
    shape = graph_of(bridge, found, corruption, LOGIT_DIFF)
    tables = score_edges(bridge, found, [corruption], ["EAP-IG"], MethodSettings(), LOGIT_DIFF)
    scores = tables["edges"]["score"].to_numpy()
    graph = wiring(shape)
    sizes = sorted({int(size) for size in np.geomspace(3, len(scores) / 2, 30)})
    circuits = np.stack([choose(scores, shape, size) for size in sizes])
    nothing = np.zeros((1, len(scores)), dtype=bool)
    evaluator = CircuitEvaluator(bridge, shape, held_out, corruption, LOGIT_DIFF)
    none, whole = evaluator.values(np.concatenate([nothing, ~nothing])).mean(1)

    def faithfulness(kept: np.ndarray) -> np.ndarray:
        return (evaluator.values(kept).mean(1) - none) / (whole - none)

    shares = faithfulness(circuits)
    smallest = int(np.argmax(shares >= ENOUGH))
    kept = circuits[smallest]
    numbers = [n for n in np.unique(graph.source[kept]) if shape.sources[n].kind == "head"]
    without = graph.on_paths(kept & (graph.source != np.array(numbers)[:, None]))
    costs = shares[smallest] - faithfulness(without)
    heads = {
        f"a{shape.sources[number].layer}.h{shape.sources[number].head}": round(float(cost), 3)
        for number, cost in zip(numbers, costs, strict=True)
    }
    needed = [number for number, cost in zip(numbers, costs, strict=True) if cost > NEEDED]
    return {
        "edges": int(kept.sum()),
        "faithfulness": round(float(shares[smallest]), 3),
        "heads": heads,
        "needed": len(needed),
        "layers": len({shape.sources[number].layer for number in needed}),
    }


def roles(bridge: TransformerBridge, prompts: list[Prompts]) -> dict[str, dict[str, float]]:
    """The heads that hold each role, with their scores."""
    source = LiveSource(bridge, name_movers.needs(bridge.cfg))
    rows = head_roles(bridge, source, prompts, 100, sequences=100, length=8, seed=0).to_pylist()
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["holds"]:
            name = f"a{row['layer']}.h{row['head']}"
            found.setdefault(row["role"], {})[name] = round(row["score"], 2)
    return found


if __name__ == "__main__":
    main()
