"""What a study is asked for when no file is named: everything that its config stands for."""

from collections.abc import Mapping
from itertools import product

from timelapse.study.runs import Run
from timelapse.study.study import Study

OF_CIRCUITS = {"edges", "faithfulness"}
"""The probes that look for circuits, which a run may do without."""


def results(
    study: Study, films: Mapping[str, str], overviews: Mapping[str, list[str]]
) -> list[str]:
    """The files that rule `all` asks for.

    Of a run's repeats it asks only for what the run's summary stands on.

    Args:
        study: the config.
        films: the probe whose tables each kind of film draws.
        overviews: of each run the pictures over all its steps; none of a run without circuits.
    """
    repeats = {repeat for run in study.runs.values() for repeat in run.repeats}
    return [
        result
        for name, run in study.runs.items()
        if name not in repeats
        for result in _of_run(run, study, films, overviews[name])
    ]


def _of_run(run: Run, study: Study, films: Mapping[str, str], overviews: list[str]) -> list[str]:
    folder = f"results/runs/{run.name}"
    left_out = set() if run.circuits else OF_CIRCUITS
    found = [run.training_table, f"{folder}/figures/win_rate.png"]
    for jobs, probe in product(study.jobs, study.probes):
        if jobs.run is run and probe not in left_out:
            found += jobs.asked_for(probe)
    for task, (film, probe) in product(run.evaluate, films.items()):
        if probe not in left_out:
            found.append(f"{folder}/{task}/figures/{film}.gif")
    if run.circuits:
        found += [f"{folder}/summary.md", *overviews]
        for task in run.evaluate:
            found.append(f"{folder}/{task}/circuits/step-{run.step_names[-1]}.graphml")
    return found
