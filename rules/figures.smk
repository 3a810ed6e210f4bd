# Pictures and films, drawn from probe tables alone: no model, no torch.
# A film's job also draws its frames; a frame asked for by name is redrawn alone.
FILMS = {"stream": "logit_diff", "layer": "logit_diff", "head": "logit_diff", "circuit": "edges"}
GRAPHS = ["circuit"]


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
    for name, figures, suffixes in (
        ("film", [figure for figure in FILMS if figure not in GRAPHS], ["png"]),
        ("graph_film", GRAPHS, ["png", "svg", "json"]),
    ):

        rule:
            name:
                f"draw_{name}_{run.name}"
            message:
                f"Drawing {{wildcards.figure}} of run {run.name} on {{wildcards.task}}"
            wildcard_constraints:
                task="|".join(run.evaluate),
                figure="|".join(figures),
            input:
                tables=lambda wildcards, run=run: run.tables(
                    FILMS[wildcards.figure], wildcards.task
                ),
                win_rates=run.tables("win_rate"),
                code=library_files(SCRIPTS / "draw_film.py"),
            output:
                [
                    f"results/runs/{run.name}/{{task}}/figures/{{figure}}/step-{step}.{suffix}"
                    for step in run.step_names
                    for suffix in suffixes
                ],
                f"results/runs/{run.name}/{{task}}/figures/{{figure}}.gif",
            params:
                run=run.name,
                options=lambda wildcards: STUDY.figures.get(wildcards.figure, {}),
            log:
                f"logs/draw_film/{run.name}-{{task}}-{{figure}}.log",
            conda:
                "../envs/figures.yaml"
            script:
                "../workflow/scripts/draw_film.py"

    rule:
        name:
            f"draw_frame_{run.name}"
        message:
            f"Drawing {{wildcards.figure}} of run {run.name} on {{wildcards.task}} at step {{wildcards.step}}"
        wildcard_constraints:
            task="|".join(run.evaluate),
            figure="|".join(FILMS),
            step="|".join(run.step_names),
            suffix="png|svg|json",
        input:
            tables=lambda wildcards, run=run: run.tables(FILMS[wildcards.figure], wildcards.task),
            win_rates=run.tables("win_rate"),
            code=library_files(SCRIPTS / "draw_film.py"),
        output:
            f"results/runs/{run.name}/{{task}}/figures/{{figure}}/step-{{step}}.{{suffix}}",
        params:
            run=run.name,
            options=lambda wildcards: STUDY.figures.get(wildcards.figure, {}),
        log:
            f"logs/draw_frame/{run.name}-{{task}}-{{figure}}-{{step}}-{{suffix}}.log",
        conda:
            "../envs/figures.yaml"
        script:
            "../workflow/scripts/draw_film.py"

    workflow.ruleorder(
        f"draw_frame_{run.name}", f"draw_film_{run.name}", f"draw_graph_film_{run.name}"
    )
