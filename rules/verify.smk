# Are the files under results/ what was written? It makes nothing.
rule verify:
    log:
        "logs/verify.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    resources:
        **tables_of(MOST_STEPS),
    params:
        frames={
            run.name: len(spread(run.steps, STUDY.films.checkpoints))
            for run in STUDY.runs.values()
        },
        configfiles=[
            str(file) for file in workflow.configfiles if str(file) != "config.yaml"
        ],
        config=dict(workflow.config_settings.config or {}),
    message:
        "Looking at every file under results/"
    script:
        "../workflow/scripts/verify.py"
