# Task specs -> Parquet datasets, one file per split.
rule expand_task:
    input:
        spec=lambda wildcards: STUDY.task_file(wildcards.task),
    output:
        train=paths.fill(paths.DATASET, split="train"),
        validation=paths.fill(paths.DATASET, split="validation"),
        test=paths.fill(paths.DATASET, split="test"),
    log:
        "logs/expand_task/{task}.log",
    # Snakemake measures no rule whose results it shares between studies: no `benchmark:` here.
    cache: True
    conda:
        "../envs/figures.yaml"
    resources:
        **tables_of(3),
    params:
        code=code_digest(SCRIPTS / "expand_task.py"),
        task=lambda wildcards: wildcards.task,
        seed=STUDY.seed,
    message:
        "Expanding task {wildcards.task}"
    script:
        "../workflow/scripts/expand_task.py"
