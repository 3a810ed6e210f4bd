# Pictures and films, drawn from probe tables alone: no model, no torch.
# A film's job also draws its frames; a frame asked for by name is redrawn alone.
from timelapse.figures.films.registry import KINDS
from timelapse.figures.overviews.registry import OVERVIEWS, pictures

# A figure stands on the description of its own kind, which is among its params.
DRAWING = code_digest(SCRIPTS / "draw_film.py")
OVERVIEW_DRAWING = code_digest(SCRIPTS / "draw_overview.py")


rule draw_run_overview:
    input:
        tables=lambda wildcards: OVERVIEWS[wildcards.overview].inputs(
            STUDY.runs[wildcards.run]
        ),
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
        overview="|".join(name for name, one in OVERVIEWS.items() if one.of_run),
    conda:
        "../envs/figures.yaml"
    resources:
        **tables_of(MOST_STEPS),
    params:
        code=OVERVIEW_DRAWING,
        overview=lambda wildcards: wildcards.overview,
        title=lambda wildcards: OVERVIEWS[wildcards.overview].title,
        caption=lambda wildcards: OVERVIEWS[wildcards.overview].caption,
        drawn=lambda wildcards: repr(OVERVIEWS[wildcards.overview]),
        run=lambda wildcards: wildcards.run,
        options=lambda wildcards: OVERVIEWS[wildcards.overview].settings(STUDY.figures),
    message:
        "Drawing {wildcards.overview} of run {wildcards.run}"
    script:
        "../workflow/scripts/draw_overview.py"


rule draw_task_overview:
    input:
        tables=lambda wildcards: OVERVIEWS[wildcards.overview].inputs(
            STUDY.runs[wildcards.run], wildcards.task
        ),
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
        overview="|".join(name for name, one in OVERVIEWS.items() if not one.of_run),
    conda:
        "../envs/figures.yaml"
    resources:
        **tables_of(MOST_STEPS),
    params:
        code=OVERVIEW_DRAWING,
        overview=lambda wildcards: wildcards.overview,
        title=lambda wildcards: OVERVIEWS[wildcards.overview].title,
        caption=lambda wildcards: OVERVIEWS[wildcards.overview].caption,
        drawn=lambda wildcards: repr(OVERVIEWS[wildcards.overview]),
        run=lambda wildcards: wildcards.run,
        options=lambda wildcards: OVERVIEWS[wildcards.overview].settings(STUDY.figures),
    message:
        "Drawing {wildcards.overview} of run {wildcards.run} on {wildcards.task}"
    script:
        "../workflow/scripts/draw_overview.py"


def shown(wildcards):
    """The steps that a film shows."""
    return spread(run_of(wildcards).steps, STUDY.films.checkpoints)


def drawn(wildcards):
    """The steps that a picture's scales are fixed over: those of the film, and its own."""
    own = [int(wildcards.step)] if "step" in wildcards.keys() else []
    return sorted({*shown(wildcards), *own})


def drawn_from(table):
    """The files of a table that a picture is drawn from."""
    return lambda wildcards: [
        file
        for name in table(KINDS[wildcards.film])
        for file in run_of(wildcards).tables(name, wildcards.task, drawn(wildcards))
    ]


def drawing(wildcards):
    """All that a film or one of its frames depends on besides its tables."""
    return {
        "film": wildcards.film,
        "run": wildcards.run,
        "task": wildcards.task,
        "steps": drawn(wildcards),
        "declaration": repr(KINDS[wildcards.film]),
        "options": STUDY.figures.get(wildcards.film, {}),
        "code": DRAWING,
    }


rule draw_frame:
    input:
        tables=drawn_from(lambda kind: [kind.table]),
        extras=drawn_from(lambda kind: kind.extras),
        win_rates=drawn_from(lambda kind: ["win_rate"]),
    output:
        paths.FRAME,
    log:
        "logs/draw_frame/{run}-{task}-{film}-{step}-{suffix}.log",
    benchmark:
        "logs/benchmarks/draw_frame/{run}-{task}-{film}-{step}-{suffix}.tsv"
    wildcard_constraints:
        film="|".join(KINDS),
        suffix="png|svg|json",
    conda:
        "../envs/figures.yaml"
    resources:
        **tables_of(MOST_STEPS),
    params:
        job=drawing,
    message:
        "Drawing step {wildcards.step} of {wildcards.film} of run {wildcards.run} on {wildcards.task}"
    script:
        "../workflow/scripts/draw_film.py"


# The job also writes the film's frames beside it.
use rule draw_frame as draw_film with:
    output:
        paths.FILM,
    log:
        "logs/draw_film/{run}-{task}-{film}.log",
    benchmark:
        "logs/benchmarks/draw_film/{run}-{task}-{film}.tsv"
    wildcard_constraints:
        film="|".join(KINDS),
    message:
        "Drawing {wildcards.film} of run {wildcards.run} on {wildcards.task}"
