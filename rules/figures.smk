# Pictures and films, drawn from tables alone: no model, no torch.
# A film's job writes its frames beside it; a frame asked for by name is redrawn alone.
from dataclasses import asdict

from timelapse.figures.films.registry import FILMS
from timelapse.figures.options import MetricWords
from timelapse.figures.overviews.registry import OVERVIEWS, pictures

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


rule draw_film:
    input:
        tables=film_inputs,
    output:
        paths.FILM,
    log:
        "logs/draw_film/{run}-{task}-{film}.log",
    benchmark:
        "logs/benchmarks/draw_film/{run}-{task}-{film}.tsv"
    wildcard_constraints:
        film="|".join(FILMS),
    conda:
        "../envs/figures.yaml"
    resources:
        **tables_of(MOST_STEPS),
    params:
        job=film_job,
    message:
        "Drawing {wildcards.film} of run {wildcards.run} on {wildcards.task}"
    script:
        "../workflow/scripts/draw_film.py"


# The film, whose job writes all frames, is brought up to date first: then a frame is missing, or new.
use rule draw_film as draw_frame with:
    input:
        tables=film_inputs,
        film=ancient(paths.FILM),
    output:
        paths.FRAME,
    log:
        "logs/draw_frame/{run}-{task}-{film}-{step}-{suffix}.log",
    benchmark:
        "logs/benchmarks/draw_frame/{run}-{task}-{film}-{step}-{suffix}.tsv"
    wildcard_constraints:
        film="|".join(FILMS),
        suffix="png|svg|json",
    message:
        "Drawing step {wildcards.step} of {wildcards.film} of run {wildcards.run} on {wildcards.task}"


rule draw_run_overview:
    input:
        tables=overview_inputs,
    output:
        report(
            paths.RUN_OVERVIEW,
            caption="../workflow/report/overview.rst",
            category="{run}",
            subcategory="all tasks",
        ),
    log:
        "logs/draw_overview/{run}-{overview}.log",
    benchmark:
        "logs/benchmarks/draw_overview/{run}-{overview}.tsv"
    wildcard_constraints:
        overview="|".join(OF_RUN),
    conda:
        "../envs/figures.yaml"
    resources:
        **tables_of(MOST_STEPS),
    params:
        job=overview_job,
    message:
        "Drawing {wildcards.overview} of run {wildcards.run}"
    script:
        "../workflow/scripts/draw_overview.py"


use rule draw_run_overview as draw_task_overview with:
    output:
        report(
            paths.TASK_OVERVIEW,
            caption="../workflow/report/overview.rst",
            category="{run}",
            subcategory="{task}",
        ),
    log:
        "logs/draw_overview/{run}-{task}-{overview}.log",
    benchmark:
        "logs/benchmarks/draw_overview/{run}-{task}-{overview}.tsv"
    wildcard_constraints:
        overview="|".join(OF_TASK),
    message:
        "Drawing {wildcards.overview} of run {wildcards.run} on {wildcards.task}"
