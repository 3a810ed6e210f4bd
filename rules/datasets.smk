# Task specs -> Parquet datasets, one file per split.
EXPAND_TASK = SCRIPTS / "expand_task.py"


rule expand_task:
    input:
        spec="tasks/{task}.yaml",
        code=library_files(EXPAND_TASK),
    output:
        train="results/datasets/{task}/train.parquet",
        validation="results/datasets/{task}/validation.parquet",
        test="results/datasets/{task}/test.parquet",
    log:
        "logs/expand_task/{task}.log",
    conda:
        "../envs/figures.yaml"
    params:
        seed=STUDY.seed,
    message:
        "Expanding task {wildcards.task}"
    script:
        "../workflow/scripts/expand_task.py"
