"""What a study is asked for when no file is named, and which files are no longer part of it."""

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from timelapse import paths
from timelapse.probes.registry import PROBES, SCHEMAS
from timelapse.study.resources import settings_of
from timelapse.study.runs import Run
from timelapse.study.study import Study


def results(
    study: Study,
    films: Mapping[str, str],
    overviews: Mapping[str, list[str]],
    not_linear: Collection[str] = (),
) -> list[str]:
    """The files that rule `all` asks for.

    Of a run's repeats it asks only for what the run's summary depends on.

    Args:
        study: the config.
        films: the probe whose tables each kind of film draws.
        overviews: of each run the pictures over all its steps; none of a run without circuits.
        not_linear: the tasks whose metric cannot be taken apart.
    """
    repeats = {repeat for run in study.runs.values() for repeat in run.repeats}
    return [
        result
        for name, run in study.runs.items()
        if name not in repeats
        for result in _of_run(run, study, films, overviews[name], not_linear)
    ]


def _of_run(
    run: Run,
    study: Study,
    films: Mapping[str, str],
    overviews: list[str],
    not_linear: Collection[str],
) -> list[str]:
    found = [
        paths.fill(paths.TRAINING, run=run.name),
        paths.fill(paths.RUN_OVERVIEW, run=run.name, overview="win_rate"),
    ]
    for task in run.evaluate:
        probes = [
            probe
            for probe in PROBES.values()
            if (run.circuits or not probe.circuits) and not (probe.linear and task in not_linear)
        ]
        filled = {table for probe in probes for table in probe.tables}
        for probe in probes:
            # A job writes all of its tables, so that one stands for them.
            found += run.tables(probe.filled(settings_of(study, probe.name))[0], task)
        for film, table in films.items():
            if table in filled:
                found.append(paths.fill(paths.FILM, run=run.name, task=task, film=film))
        if run.circuits:
            found.append(paths.fill(paths.CIRCUITS, run=run.name, task=task))
    if run.circuits:
        found += [paths.fill(paths.SUMMARY_TEXT, run=run.name), *overviews]
    return found


def stale_parts(runs: Iterable[Run]) -> list[Path]:
    """The parts of tables that the study has no longer, where all of its own parts are there.

    After a change of the granularity or of the checkpoints, files of former parts would lie beside
    the present ones and repeat or add steps. Until the present parts are complete they are kept:
    whoever changes back has lost nothing.

    Args:
        runs: the study's runs.

    Returns:
        Files, sorted, whose names are those of parts; whatever is called otherwise stays.
    """
    found = []
    for run in runs:
        for task in {*run.evaluate, *run.controls}:
            for table in SCHEMAS:
                present = {Path(file) for file in run.tables(table, task)}
                folder = next(iter(present)).parent
                there = set(folder.iterdir()) if folder.is_dir() else set()
                if present <= there:
                    others = there - present
                    found += [path for path in others if _is_part(path)]
    return sorted(found)


def remove_stale_parts(runs: Iterable[Run], report: Callable[[str], None]) -> None:
    """Remove `stale_parts`, and report each.

    Args:
        runs: the study's runs.
        report: takes a line for the terminal.
    """
    for path in stale_parts(runs):
        path.unlink()
        report(f"Removed {path}: the study now has other parts")


def _is_part(path: Path) -> bool:
    location = paths.parse(path)
    return location is not None and location.kind == "table"
