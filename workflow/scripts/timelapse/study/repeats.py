"""Repeats of runs with other seeds: `seeds: [1, 2]` of a run stands for two more runs like it."""

from collections.abc import Mapping
from typing import Any

from timelapse.errors import UserError


def repeat_name(name: str, seed: int) -> str:
    """The name of a run, or of its model, repeated with a seed: `two_to_three_seed1`."""
    return f"{name}_seed{seed}"


def with_repeats(document: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A study's config with its repeats written out as runs of their own.

    A repeat has another seed and nothing else. If its model is embedded, the model is trained anew
    with that seed too; a model that was fetched is the same for all repeats.

    Args:
        document: a validated config.
        source: where it came from, for messages.

    Raises:
        UserError: a repeat has the seed of its run, or the name of another run or model.
    """
    models, runs = dict(document["models"]), dict(document["runs"])
    for name, settings in document["runs"].items():
        seeds = settings.get("seeds", [])
        own = settings.get("seed", document["seed"])
        if own in seeds:
            raise UserError(
                source, f"runs.{name}.seeds", f"{own} is the run's own seed", "List the others"
            )
        for seed in seeds:
            model = _repeated_model(models, settings["model"], seed, (source, name))
            repeat = repeat_name(name, seed)
            if repeat in document["runs"]:
                raise UserError(
                    source,
                    f"runs.{name}.seeds",
                    f"seed {seed} makes a run {repeat!r}, which is there already",
                    "Rename that run or leave the seed out",
                )
            kept = {key: value for key, value in settings.items() if key != "seeds"}
            runs[repeat] = {**kept, "model": model, "seed": seed}
    return {**document, "models": models, "runs": runs}


def _repeated_model(models: dict[str, Any], name: str, seed: int, where: tuple[str, str]) -> str:
    """The name of a run's model under another seed; it is added to `models` if it is embedded."""
    if "embedded" not in models.get(name, {}):
        return name
    repeat = repeat_name(name, seed)
    settings = {"embedded": {**models[name]["embedded"], "seed": seed}}
    if models.setdefault(repeat, settings) != settings:
        source, run = where
        raise UserError(
            source,
            f"runs.{run}.seeds",
            f"seed {seed} makes a model {repeat!r}, which is there already and another one",
            "Rename that model or leave the seed out",
        )
    return repeat
