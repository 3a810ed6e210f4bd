# Pictures and films, drawn from probe tables alone: no model, no torch.
# A film's job also draws its frames; a frame asked for by name is redrawn alone.
FILMS = {
    "stream": "logit_diff",
    "layer": "logit_diff",
    "head": "logit_diff",
    "circuit": "edges",
    **{name: name for name in ("attention", "attention_change", "head_roles", "logit_lens")},
}
GRAPHS = ["circuit"]
PICTURES = [figure for figure in FILMS if figure not in GRAPHS]


rule draw_win_rate:
    message:
        "Drawing the win rates of run {wildcards.run}"
    input:
        tables=lambda wildcards: [
            table
            for task in STUDY.runs[wildcards.run].evaluate
            for table in STUDY.runs[wildcards.run].tables("win_rate", task)
        ],
        code=library_files(SCRIPTS / "draw_win_rate.py"),
    output:
        "results/runs/{run}/figures/win_rate.png",
    params:
        tasks=lambda wildcards: STUDY.runs[wildcards.run].evaluate,
    log:
        "logs/draw_win_rate/{run}.log",
    conda:
        "../envs/figures.yaml"
    script:
        "../workflow/scripts/draw_win_rate.py"


for run in STUDY.runs.values():
    folder = f"results/runs/{run.name}/{{task}}/figures/{{figure}}"
    # One block for all three: Snakemake then knows that a film's job has drawn a frame.
    for name, figures, outputs, log_suffix in (
        ("frame", FILMS, [folder + "/step-{step}.{suffix}"], "-{step}-{suffix}"),
        ("film", PICTURES, run.frames(folder, "png"), ""),
        ("graph_film", GRAPHS, run.frames(folder, "png", "svg", "json"), ""),
    ):

        rule:
            name:
                f"draw_{name}_{run.name}"
            message:
                f"Drawing {{wildcards.figure}} of run {run.name} on {{wildcards.task}}"
            wildcard_constraints:
                task="|".join(run.evaluate),
                figure="|".join(figures),
                step="|".join(run.step_names),
                suffix="png" if name == "film" else "png|svg|json",
            input:
                tables=lambda wildcards, run=run: run.tables(
                    FILMS[wildcards.figure], wildcards.task
                ),
                win_rates=run.tables("win_rate"),
                code=library_files(SCRIPTS / "draw_film.py"),
            output:
                outputs,
            params:
                run=run.name,
                options=lambda wildcards: STUDY.figures.get(wildcards.figure, {}),
            log:
                f"logs/draw_{name}/{run.name}-{{task}}-{{figure}}{log_suffix}.log",
            conda:
                "../envs/figures.yaml"
            script:
                "../workflow/scripts/draw_film.py"

    workflow.ruleorder(
        f"draw_frame_{run.name}", f"draw_film_{run.name}", f"draw_graph_film_{run.name}"
    )


def pictures(run: Run) -> list[str]:
    """What a run's figures are asked for by: their films, or frames that an existing film lost."""
    films = [
        f"results/runs/{run.name}/{task}/figures/{figure}.gif"
        for task in run.evaluate
        for figure in FILMS
    ]
    wanted = []
    for film in films:
        frames = run.frames(film.removesuffix(".gif"), "png")[:-1]
        lost = [frame for frame in frames if not Path(frame).exists()]
        wanted.extend(lost if lost and Path(film).exists() else [film])
    return wanted
