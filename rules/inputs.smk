# What the rules of the other files take: input files, params, memory and time.
from dataclasses import asdict
from timelapse.figures.films.registry import FILMS
from timelapse.figures.options import MetricWords
from timelapse.figures.overviews.registry import OVERVIEWS, pictures

CACHED = "timelapse.probes.sweep_cached:CachedActivations"


def filled(probe):
    """The files of the tables that a probe fills in this study."""
    settings = settings_of(STUDY, probe)
    return {name: paths.table(name) for name in PROBES[probe].filled(settings)}


def measuring(probe):
    """Memory and minutes of a probe's jobs."""

    def request(wildcards):
        run = run_of(wildcards)
        steps = run.part(probe, wildcards.task, wildcards.part).steps
        return REQUESTS.probe(probe, run, wildcards.task, len(steps))

    return for_attempts(request)


def code_of_metric(name):
    """The code of a metric's functions, which may lie in a module of their own."""
    metric = METRICS[name]
    return code_digest(*filter(None, (metric.function, metric.linear_function)))


def measurement(probe):
    """All that a probe's tables depend on besides its input; `sweep.Measurement` and the code."""
    declared, settings = PROBES[probe], settings_of(STUDY, probe)
    sources = [declared.function, declared.prepare, declared.needs]
    sources += [CACHED] if declared.needs else []
    common = {
        "probe": probe,
        "settings": settings.model_dump(mode="json"),
        "seed": STUDY.seed,
        "compute": STUDY.compute.model_dump(),
        "code": code_digest(
            SCRIPTS / "probe.py", *filter(None, sources), *declared.code(settings)
        ),
    }
    if declared.needs:
        kept = ("dtype", "rows")
        common["activations"] = {key: getattr(STUDY.activations, key) for key in kept}
    if declared.reads:
        common["method"] = METHOD

    def of_job(wildcards):
        run, task = run_of(wildcards), wildcards.task
        job = {
            **common,
            "task": task,
            "steps": run.part(probe, task, wildcards.part).steps,
            "first": run.steps[0],
            "corruptions": SPECS[task].corruption_names,
            "metric": SPECS[task].metric,
            "code": (
                common["code"],
                (declared.model, declared.first, declared.reads),
                code_of_metric(SPECS[task].metric),
            ),
        }
        if declared.compared:
            job["compared"] = run.compared
        if probe == "edges" and task in run.controls:
            job["settings"] = {**common["settings"], "methods": [METHOD]}
        return job

    return of_job


def circuits_of_all_tasks(wildcards):
    """The edges of the checkpoints that are compared, on every task of their run."""
    run = run_of(wildcards)
    return [
        file
        for task in run.evaluate
        for file in run.tables("edges", task, run.compared)
    ]


def samples_of_part(wildcards):
    """The edges of a part's checkpoints prompt by prompt."""
    run = run_of(wildcards)
    steps = run.part("transfer", wildcards.task, wildcards.part).steps
    return run.tables("edge_samples", wildcards.task, steps)


def other_tasks(run, task):
    return [other for other in run.evaluate if other != task]


def samples_of(wildcards, tasks, steps):
    """The edges of some tasks at some steps prompt by prompt."""
    run = run_of(wildcards)
    return [file for task in tasks for file in run.tables("edge_samples", task, steps)]


OF_RUN = [name for name, overview in OVERVIEWS.items() if overview.of_run]
OF_TASK = [name for name in OVERVIEWS if name not in OF_RUN]
ONE_FILE = {"comparison": paths.COMPARISON, "heads": paths.HEADS}


def metric_words(task):
    """Name and unit of a task's metric, as they stand in pictures."""
    metric = METRICS[SPECS[task].metric]
    return MetricWords(metric.label, metric.unit)


def film_steps(wildcards):
    """The steps of a film; of a frame those of its film, which fix its scales, and its own."""
    steps = spread(run_of(wildcards).steps, STUDY.films.checkpoints)
    own = [int(wildcards.step)] if "step" in wildcards.keys() else []
    return sorted({*steps, *own})


def film_inputs(wildcards):
    """The tables of a film or frame."""
    return [
        file
        for table in FILMS[wildcards.film].tables
        for file in run_of(wildcards).tables(
            table, wildcards.task, film_steps(wildcards)
        )
    ]


def film_job(wildcards):
    """All that a film or one of its frames depends on besides its tables."""
    film = FILMS[wildcards.film]
    return {
        "declaration": repr(film),
        "steps": film_steps(wildcards),
        "options": STUDY.figures.get(film.name, {}),
        "metric": asdict(metric_words(wildcards.task)),
        "code": code_digest(SCRIPTS / "draw_film.py", film.drawing),
    }


def overview_steps(wildcards):
    """The steps that an overview shows; None for all that its tables have."""
    steps = run_of(wildcards).steps
    return [steps[0], steps[-1]] if OVERVIEWS[wildcards.overview].ends_only else None


def overview_inputs(wildcards):
    """The tables of an overview, of its task or of all that its run evaluates."""
    run, overview = run_of(wildcards), OVERVIEWS[wildcards.overview]
    return [
        file
        for task in (run.evaluate if overview.of_run else [wildcards.task])
        for table in overview.tables
        for file in (
            [paths.fill(ONE_FILE[table], run=run.name, task=task)]
            if table in ONE_FILE
            else run.tables(table, task, overview_steps(wildcards))
        )
    ]


def overview_job(wildcards):
    """All that an overview depends on besides its tables."""
    overview = OVERVIEWS[wildcards.overview]
    # A picture of several tasks has the words of the task that the run is trained on.
    task = run_of(wildcards).task if overview.of_run else wildcards.task
    words = metric_words(task)
    return {
        "declaration": repr(overview),
        "title": words.fill(overview.title),
        "caption": words.fill(overview.caption),
        "steps": overview_steps(wildcards),
        "options": overview.settings(STUDY.figures),
        "metric": asdict(words),
        "code": code_digest(SCRIPTS / "draw_overview.py", overview.drawing),
    }


def with_repeats(wildcards):
    """The run and those that are like it but for the seed."""
    run = run_of(wildcards)
    return [run, *(STUDY.runs[repeat] for repeat in run.repeats)]


def of_repeats(pattern):
    """The files of a task of a run and its repeats."""
    return lambda wildcards: [
        paths.fill(pattern, run=run.name, task=task)
        for run in with_repeats(wildcards)
        for task in run.evaluate
    ]
