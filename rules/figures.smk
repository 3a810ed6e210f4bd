# Pictures and films, drawn from tables alone: no model, no torch.
# A film's job writes its frames beside it; a frame asked for by name is redrawn alone.
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
