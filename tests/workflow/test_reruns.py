"""What reruns when one thing changes: exactly what stands on it."""

from collections.abc import Callable

import pytest
from projects import ROOT, Project

RUN = "results/runs/tiny"
LIBRARY = "workflow/scripts/timelapse"
FILMS_REGISTRY = f"{LIBRARY}/figures/films/registry.py"
MEASURED = {
    **{"win_rate": 2, "logit_diff": 2, "patching": 2, "edges": 3},
    **{"attention": 2, "head_roles": 2, "logit_lens": 2, "faithfulness": 2},
}
COMPARED = {"transfer": 2, "compare": 2, "export_circuits": 2, "summarise": 1}
OVERVIEWS = {"draw_task_overview": 18, "draw_run_overview": 3}
FILMS = {"draw_film": 38} | OVERVIEWS
AFTER_EDGES = {
    **{"faithfulness": 2, "draw_film": 4},
    **{"draw_task_overview": 18, "draw_run_overview": 2},
} | COMPARED
AFTER_COMPARING = {"summarise": 1, "draw_task_overview": 14, "draw_run_overview": 1}
READERS = {
    **{"logit_diff": 2, "attention": 2, "head_roles": 2, "logit_lens": 2},
    **{"draw_film": 16, "draw_task_overview": 2},
}
AFTER_FINETUNING = MEASURED | COMPARED | FILMS
AFTER_BASE = {"train_embedded": 1, "finetune": 1} | AFTER_FINETUNING
ALL = {"expand_task": 3} | AFTER_BASE


def appended(file: str) -> Callable[[Project], None]:
    def change(project: Project) -> None:
        path = project.folder / file
        path.write_text(path.read_text() + "\nCHANGED = 1\n")

    return change


def commented(project: Project) -> None:
    """Add a comment, and a line to the first docstring, of every module of the library."""
    for path in (project.folder / LIBRARY).rglob("*.py"):
        text = path.read_text()
        assert text.startswith('"""') or not text
        path.write_text(text.replace('"""', '"""Once more: ', 1) + "\n# a comment\n")


def replaced(file: str, old: str, new: str) -> Callable[[Project], None]:
    return lambda project: project.replace(file, old, new)


def removed(file: str) -> Callable[[Project], None]:
    return lambda project: project.remove(file)


CHANGES = {
    "nothing": (lambda project: None, {}),
    "a figure's option": (
        replaced(
            "config.yaml",
            "comparison:",
            "figures: {circuit: {edges: 5}}\ncomparison:",
        ),
        {"draw_film": 2, "draw_task_overview": 2, "draw_run_overview": 1},
    ),
    "a probe's prompts": (
        replaced("config.yaml", "logit_diff: {prompts: 6", "logit_diff: {prompts: 5"),
        {"logit_diff": 2, "draw_film": 6},
    ),
    "two settings swapped": (
        replaced("config.yaml", "{prompts: 6, batch: 4}", "{prompts: 4, batch: 6}"),
        {"logit_diff": 2, "draw_film": 6},
    ),
    "where the store is": (replaced("config.yaml", "seed: 0", "seed: 0\nstore: elsewhere"), {}),
    "how large the store may get": (
        replaced("config.yaml", "seed: 0", "seed: 0\nactivations: {cap_gb: 1}"),
        {},
    ),
    "the precision of the store": (
        replaced("config.yaml", "seed: 0", "seed: 0\nactivations: {dtype: float16}"),
        READERS,
    ),
    "how activations are stored": (
        appended(f"{LIBRARY}/activations/cached_source.py"),
        READERS,
    ),
    "the precision of the measured models": (
        replaced("config.yaml", "seed: 0", "seed: 0\ncompute: {dtype: bfloat16}"),
        AFTER_FINETUNING,
    ),
    "the precision of products on a GPU": (
        replaced("config.yaml", "seed: 0", "seed: 0\ncompute: {tf32: false}"),
        AFTER_BASE,
    ),
    "where jobs run": (appended(f"{LIBRARY}/machine/gpus.py"), {}),
    "the learning rate of the run": (
        replaced("config.yaml", "learning_rate: 1e-3", "learning_rate: 2e-3"),
        {"finetune": 1} | AFTER_FINETUNING,
    ),
    "the base model's steps": (replaced("config.yaml", "steps: 6", "steps: 7"), AFTER_BASE),
    "the seed": (replaced("config.yaml", "seed: 0", "seed: 1"), ALL),
    "a task of the mixture alone": (
        replaced("tasks/ambiguous3.yaml", "train: 20000", "train: 19999"),
        {"expand_task": 1} | AFTER_BASE,
    ),
    "a comment in a task nobody uses": (
        replaced("tasks/newcomer.yaml", "description:", "# changed\ndescription:"),
        {},
    ),
    "the title of a figure": (
        replaced(
            f"{LIBRARY}/figures/films/registry.py",
            "Logit lens: what each",
            "Logit lens: what every",
        ),
        {"draw_film": 2},
    ),
    "how figures look": (appended(f"{LIBRARY}/figures/style.py"), FILMS),
    "how heatmaps are drawn": (
        appended(f"{LIBRARY}/figures/films/heatmap.py"),
        {"draw_film": 20},
    ),
    "the attribution kernel": (
        appended(f"{LIBRARY}/circuits/attribution/eap.py"),
        {"edges": 3} | AFTER_EDGES,
    ),
    "the size of the circuits that are compared": (
        replaced("config.yaml", "comparison: {edges: 20", "comparison: {edges: 10"),
        COMPARED
        | AFTER_COMPARING
        | {"draw_film": 2, "draw_task_overview": 16, "draw_run_overview": 2},
    ),
    "how circuits are compared": (
        appended(f"{LIBRARY}/circuits/comparison/overlap.py"),
        {"compare": 2} | AFTER_COMPARING,
    ),
    "how faithfulness is measured": (
        appended(f"{LIBRARY}/circuits/faithfulness.py"),
        {"faithfulness": 2, "draw_film": 2, "draw_task_overview": 2},
    ),
    "the patching kernel": (
        appended(f"{LIBRARY}/probes/patching/fast_patching.py"),
        {"patching": 2, "draw_film": 20},
    ),
    "whose whole patterns are kept": (
        replaced("config.yaml", "examples: [0, 5]", "examples: [5]"),
        {"attention": 2, "draw_film": 4},
    ),
    "the thresholds of the roles": (
        appended(f"{LIBRARY}/probes/head_roles/role_definitions.py"),
        {"head_roles": 2, "draw_film": 4} | {"draw_task_overview": 2},
    ),
    "the win rate": (
        appended(f"{LIBRARY}/probes/win_rate.py"),
        {"win_rate": 2, "summarise": 1} | FILMS | {"draw_task_overview": 4, "draw_run_overview": 1},
    ),
    "the script of a rule": (
        appended("workflow/scripts/export_circuits.py"),
        {"export_circuits": 2},
    ),
    "comments and docstrings": (commented, {}),
    "the declaration of another probe": (appended(f"{LIBRARY}/probes/registry.py"), {}),
    "a film deleted": (removed(f"{RUN}/ioi3/figures/head.gif"), {"draw_film": 1}),
    "a table deleted": (
        removed(f"{RUN}/ioi3/edges/000000-000004.parquet"),
        {
            **{"edges": 1, "faithfulness": 1, "export_circuits": 1},
            **{"transfer": 2, "compare": 2, "summarise": 1},
            **{"draw_film": 2},
            **{"draw_task_overview": 16, "draw_run_overview": 2},
        },
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_reruns_what_stands_on_it_and_no_more(copy: Project, name: str) -> None:
    change, rerun = CHANGES[name]
    change(copy)
    assert copy.planned() == rerun


def test_one_picture_is_redrawn_alone_and_as_it_was(copy: Project) -> None:
    target = f"{RUN}/ioi3/figures/circuit/step-000002.png"
    before = (copy.folder / target).read_bytes()
    copy.remove(target)
    assert copy.planned(target) == {"draw_frame": 1}
    done = copy.snakemake(target)
    assert done.returncode == 0, done.stderr
    assert (copy.folder / target).read_bytes() == before
    assert copy.planned() == {}
    assert copy.planned(target) == {}


def test_a_picture_asked_for_by_name_follows_the_options_of_its_film(copy: Project) -> None:
    """The film's job writes it, and Snakemake keeps no notes of what is no output."""
    target = f"{RUN}/ioi3/figures/circuit/step-000002.png"
    before = (copy.folder / target).read_bytes()
    copy.replace("config.yaml", "seed: 0", "seed: 0\nfigures: {circuit: {edges: 3}}")
    assert copy.planned(target) == {"draw_film": 1}
    assert copy.snakemake("--cores", "1", target).returncode == 0
    assert (copy.folder / target).read_bytes() != before


def test_a_picture_and_its_film_are_redrawn_in_one_command(copy: Project) -> None:
    film, picture = f"{RUN}/ioi3/figures/circuit.gif", f"{RUN}/ioi3/figures/circuit/step-000002.png"
    before = [(copy.folder / target).read_bytes() for target in (film, picture)]
    for target in (film, picture):
        copy.remove(target)
    assert copy.snakemake("--cores", "1", film, picture).returncode == 0
    assert [(copy.folder / target).read_bytes() for target in (film, picture)] == before


def test_a_film_is_redrawn_as_it_was(copy: Project) -> None:
    target = f"{RUN}/ioi2/figures/stream.gif"
    before = (copy.folder / target).read_bytes()
    copy.remove(target)
    assert copy.planned(target) == {"draw_film": 1}
    assert copy.snakemake("--cores", "1", target).returncode == 0
    assert (copy.folder / target).read_bytes() == before


@pytest.mark.parametrize(
    "target",
    [
        "results/datasets/ioi3/validation.parquet",
        "results/models/base",
        f"{RUN}/checkpoints",
        f"{RUN}/training.parquet",
        f"{RUN}/ioi2/win_rate/000000-000004.parquet",
        f"{RUN}/ioi3/logit_diff/000000-000004.parquet",
        f"{RUN}/ioi3/patching/000000-000004.parquet",
        f"{RUN}/ioi3/attention_pattern/000000-000004.parquet",
        f"{RUN}/ioi2/logit_lens_top/000000-000004.parquet",
        f"{RUN}/ioi3/edges/000000-000004.parquet",
        f"{RUN}/ioi3/figures/out_vs_value.gif",
        f"{RUN}/ioi3/figures/head_roles.gif",
        f"{RUN}/ioi3/figures/layer/step-000000.png",
        f"{RUN}/ioi3/figures/circuit/step-000004.svg",
        f"{RUN}/ioi3/figures/circuit/step-000004.json",
        f"{RUN}/ioi3/figures/circuit.gif",
        f"{RUN}/figures/win_rate.png",
    ],
)
def test_every_path_of_the_contract_is_a_target(finished: Project, target: str) -> None:
    assert finished.planned(target) == {}


def test_the_shipped_study_has_the_jobs_that_its_config_asks_for(fresh) -> None:
    planned = fresh((ROOT / "config.yaml").read_text()).planned()
    for rule in ("train_embedded", "fetch_model", "expand_task"):
        planned.pop(rule, None)
    assert planned == {
        **{"finetune": 1, "win_rate": 2, "logit_diff": 2, "patching": 2, "attention": 2},
        **{"head_roles": 2, "logit_lens": 2, "edges": 4, "faithfulness": 2, "transfer": 2},
        **{"compare": 2, "export_circuits": 2, "summarise": 1},
        **{"draw_film": 38, "draw_task_overview": 18, "draw_run_overview": 3},
    }


def test_a_picture_and_its_film_are_drawn_in_one_command(copy: Project) -> None:
    picture, film = f"{RUN}/ioi3/figures/head/step-000002.png", f"{RUN}/ioi3/figures/head.gif"
    before = {name: (copy.folder / name).read_bytes() for name in (picture, film)}
    for name in before:
        copy.remove(name)
    assert copy.planned(picture, film) == {"draw_frame": 1, "draw_film": 1}
    done = copy.snakemake("--cores", "2", picture, film)
    assert done.returncode == 0, done.stderr
    assert {name: (copy.folder / name).read_bytes() for name in before} == before
