"""Runs that are repeated with other seeds, written out as runs of their own."""

from collections.abc import Iterable

from timelapse.study.config import Config, FineTuning, ModelSettings

Mistake = tuple[tuple[str, ...], str, str]
"""Path in the config, problem, remedy."""


def repeat_name(name: str, seed: int) -> str:
    """The name of a run, or of its model, repeated with a seed: `two_to_three_seed1`."""
    return f"{name}_seed{seed}"


def with_repeats(
    config: Config,
) -> tuple[dict[str, ModelSettings], dict[str, FineTuning], list[Mistake]]:
    """The models and runs of a config with its repeats among them.

    A repeat has another seed and nothing else. If its model's source is seeded, the model is made
    anew with that seed too; one that was fetched is the same for all repeats.

    Returns:
        Models and runs by name, and what is wrong with the repeats: the seed of the run itself, or
        the name of another run or model.
    """
    models, runs = dict(config.models), dict(config.runs)
    mistakes: list[Mistake] = []
    for name, run in config.runs.items():
        where = ("runs", name, "seeds")
        own = config.seed if run.seed is None else run.seed
        if own in run.seeds:
            mistakes.append((where, f"{own} is the run's own seed", "List the others"))
            continue
        for seed in run.seeds:
            repeat = repeat_name(name, seed)
            if repeat in config.runs:
                problem = f"seed {seed} makes a run {repeat!r}, which is there already"
                mistakes.append((where, problem, "Rename that run or leave the seed out"))
                continue
            model = run.model
            given = models.get(model)
            if given and given.source.is_seeded:
                model = repeat_name(model, seed)
                settings = given.settings.model_copy(update={"seed": seed})
                repeated = given.model_copy(update={given.source.name: settings})
                if models.setdefault(model, repeated) != repeated:
                    problem = (
                        f"seed {seed} makes a model {model!r}, which is there already and another "
                        "one"
                    )
                    mistakes.append((where, problem, "Rename that model or leave the seed out"))
            changes = {"model": model, "seed": seed, "seeds": ()}
            runs[repeat] = run.model_copy(update=changes)
    return models, runs, mistakes


def repeats_of(name: str, seeds: Iterable[int]) -> tuple[str, ...]:
    """The names of a run's repeats."""
    return tuple(repeat_name(name, seed) for seed in seeds)
