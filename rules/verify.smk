# Are the files under results/ what was written? It makes nothing.
rule verify:
    log:
        "logs/verify.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        frames={run.name: len(run.steps) for run in STUDY.runs.values()},
        options=[
            option
            for file in workflow.configfiles
            if str(file) != "config.yaml"
            for option in ("--configfile", str(file))
        ],
    message:
        "Looking at every file under results/"
    script:
        "../workflow/scripts/verify.py"
