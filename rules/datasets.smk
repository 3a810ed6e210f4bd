# Task specs -> Parquet datasets, one file per split.
rule expand_task:
    input:
        spec=lambda wildcards: STUDY.task_file(wildcards.task),
    output:
        train="results/datasets/{task}/train.parquet",
        validation="results/datasets/{task}/validation.parquet",
        test="results/datasets/{task}/test.parquet",
    log:
        "logs/expand_task/{task}.log",
    cache: True
    conda:
        "../envs/figures.yaml"
    resources:
        **asks(REQUESTS.tables, 3),
    params:
        code=code_digest(SCRIPTS / "expand_task.py"),
        task=lambda wildcards: wildcards.task,
        seed=STUDY.seed,
    message:
        "Expanding task {wildcards.task}"
    script:
        "../workflow/scripts/expand_task.py"
