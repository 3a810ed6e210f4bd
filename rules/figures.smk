# Pictures and films, drawn from probe tables alone: no model, no torch.
# A film's job also draws its frames; a frame asked for by name is redrawn alone.
from timelapse.figures.films.registry import KINDS
from timelapse.figures.overviews.registry import OVERVIEWS, pictures

# A figure stands on the description of its own kind, which is among its params.
DRAWING = code_digest(SCRIPTS / "draw_film.py", without=["figures/films/registry.py"])
OVERVIEW_DRAWING = code_digest(
    SCRIPTS / "draw_overview.py", without=["figures/overviews/registry.py"]
)
GRAPHS = [kind.name for kind in KINDS.values() if kind.is_graph]
PICTURES = [kind.name for kind in KINDS.values() if not kind.is_graph]
MOST_STEPS = max(len(run.steps) for run in STUDY.runs.values())


rule draw_run_overview:
    input:
        tables=lambda wildcards: OVERVIEWS[wildcards.overview].inputs(
            STUDY.runs[wildcards.run]
        ),
    output:
        report(
            "results/runs/{run}/figures/{overview}.png",
            caption="../workflow/report/overview.rst",
            category="{run}",
            subcategory="all tasks",
        ),
    log:
        "logs/draw_overview/{run}-{overview}.log",
    wildcard_constraints:
        overview="|".join(name for name, one in OVERVIEWS.items() if one.of_run),
    conda:
        "../envs/figures.yaml"
    resources:
        **asks(REQUESTS.tables, MOST_STEPS),
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
            "results/runs/{run}/{task}/figures/{overview}.png",
            caption="../workflow/report/overview.rst",
            category="{run}",
            subcategory="{task}",
        ),
    log:
        "logs/draw_overview/{run}-{task}-{overview}.log",
    wildcard_constraints:
        overview="|".join(name for name, one in OVERVIEWS.items() if not one.of_run),
    conda:
        "../envs/figures.yaml"
    resources:
        **asks(REQUESTS.tables, MOST_STEPS),
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


for run in STUDY.runs.values():
    shown = compared_steps(run.steps, STUDY.films.checkpoints)
    for task in run.evaluate:
        folder = f"results/runs/{run.name}/{task}/figures/{{figure}}"
        # One block for all: Snakemake then knows that a film's job has drawn a frame.
        for name, figures, outputs, log_suffix in (
            (
                "frame",
                KINDS,
                [f"{folder}/step-{{step}}.{{suffix}}"],
                "-{step}-{suffix}",
            ),
            ("film", PICTURES, run.frames(folder, shown, "png"), ""),
            ("graph_film", GRAPHS, run.frames(folder, shown, "png", "svg", "json"), ""),
        ):

            rule:
                name:
                    f"draw_{name}_{run.name}-{task}"
                input:
                    tables=lambda wildcards, run=run, task=task, shown=shown: run.tables(
                        KINDS[wildcards.figure].table, task, drawn(wildcards, shown)
                    ),
                    extras=lambda wildcards, run=run, task=task, shown=shown: [
                        table
                        for probe in KINDS[wildcards.figure].extras
                        for table in run.tables(probe, task, drawn(wildcards, shown))
                    ],
                    win_rates=lambda wildcards, run=run, task=task, shown=shown: run.tables(
                        "win_rate", task, drawn(wildcards, shown)
                    ),
                output:
                    outputs,
                log:
                    f"logs/draw_{name}/{run.name}-{task}-{{figure}}{log_suffix}.log",
                wildcard_constraints:
                    figure="|".join(figures),
                    step="|".join(run.step_names),
                    suffix="png" if name == "film" else "png|svg|json",
                conda:
                    "../envs/figures.yaml"
                resources:
                    **asks(REQUESTS.tables, len(shown)),
                params:
                    code=DRAWING,
                    run=run.name,
                    task=task,
                    kind=lambda wildcards: repr(KINDS[wildcards.figure]),
                    options=lambda wildcards: STUDY.figures.get(wildcards.figure, {}),
                message:
                    f"Drawing {{wildcards.figure}} of run {run.name} on {task}"
                script:
                    "../workflow/scripts/draw_film.py"

        workflow.ruleorder(
            f"draw_frame_{run.name}-{task}",
            f"draw_film_{run.name}-{task}",
            f"draw_graph_film_{run.name}-{task}",
        )
