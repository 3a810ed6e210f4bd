# Pictures and films, drawn from probe tables alone: no model, no torch.
FILMS = {"stream": "logit_diff", "layer": "logit_diff", "head": "logit_diff", "circuit": "edges"}


rule draw_win_rate:
    message:
        "Drawing the win rates of run {wildcards.run}"
    input:
        tables=lambda wildcards: [
            f"results/runs/{wildcards.run}/{task}/win_rate/step-{step}.parquet"
            for task in STUDY.runs[wildcards.run].evaluate
            for step in STUDY.runs[wildcards.run].step_names
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
    for figure, probe in FILMS.items():

        rule:
            name:
                f"draw_film_{figure}_{run.name}"
            message:
                f"Drawing {figure} of run {run.name} on {{wildcards.task}}"
            wildcard_constraints:
                task="|".join(run.evaluate),
            input:
                tables=[
                    f"results/runs/{run.name}/{{task}}/{probe}/step-{step}.parquet"
                    for step in run.step_names
                ],
                win_rates=[
                    f"results/runs/{run.name}/{{task}}/win_rate/step-{step}.parquet"
                    for step in run.step_names
                ],
                code=library_files(SCRIPTS / "draw_film.py"),
            output:
                film=f"results/runs/{run.name}/{{task}}/figures/{figure}.gif",
                frames=[
                    f"results/runs/{run.name}/{{task}}/figures/{figure}/step-{step}.png"
                    for step in run.step_names
                ],
            params:
                run=run.name,
                figure=figure,
                options=STUDY.figures.get(figure, {}),
            log:
                f"logs/draw_film/{run.name}-{{task}}-{figure}.log",
            conda:
                "../envs/figures.yaml"
            script:
                "../workflow/scripts/draw_film.py"
