# Models and the checkpoints of runs: results/models/{model}, results/runs/{run}/checkpoints.
# Which rule makes which is declared in timelapse/models/sources.py and run_sources.py.


rule train_embedded:
    input:
        datasets=lambda wildcards: [
            f"results/datasets/{task}/train.parquet"
            for task in STUDY.models[wildcards.model].mixture
        ],
        specs=lambda wildcards: [
            STUDY.task_file(task) for task in STUDY.models[wildcards.model].mixture
        ],
    output:
        directory(paths.MODEL),
    log:
        "logs/train_embedded/{model}.log",
    benchmark:
        "logs/benchmarks/train_embedded/{model}.tsv"
    wildcard_constraints:
        model="|".join(STUDY.models_of("train_embedded")) or "(?!)",
    conda:
        "../envs/torch.yaml"
    threads: 2
    resources:
        **for_attempts(lambda wildcards: REQUESTS.training(wildcards.model)),
        gpu=1,
    params:
        code=code_digest(SCRIPTS / "train_embedded.py"),
        model=lambda wildcards: STUDY.models[wildcards.model].params,
        tf32=STUDY.compute.tf32,
    message:
        "Training the embedded model {wildcards.model} on its mixture"
    script:
        "../workflow/scripts/train_embedded.py"


rule fetch_model:
    input:
        model=lambda wildcards: STUDY.models[wildcards.model].files,
    output:
        directory(paths.MODEL),
    log:
        "logs/fetch_model/{model}.log",
    benchmark:
        "logs/benchmarks/fetch_model/{model}.tsv"
    wildcard_constraints:
        model="|".join(STUDY.models_of("fetch_model")) or "(?!)",
    conda:
        "../envs/torch.yaml"
    resources:
        **for_attempts(lambda wildcards: REQUESTS.fetching(wildcards.model)),
    params:
        code=lambda wildcards: code_digest(
            SCRIPTS / "fetch_model.py", STUDY.models[wildcards.model].function
        ),
        model=lambda wildcards: STUDY.models[wildcards.model].params,
    message:
        "Fetching model {wildcards.model}"
    script:
        "../workflow/scripts/fetch_model.py"


rule finetune:
    input:
        model=lambda wildcards: paths.fill(paths.MODEL, model=run_of(wildcards).model),
        dataset=lambda wildcards: paths.fill(
            paths.DATASET, task=run_of(wildcards).task, split="train"
        ),
    output:
        training=paths.TRAINING,
        checkpoints=directory(paths.CHECKPOINTS),
    log:
        "logs/finetune/{run}.log",
    benchmark:
        "logs/benchmarks/finetune/{run}.tsv"
    wildcard_constraints:
        run="|".join(STUDY.runs_of("finetune")) or "(?!)",
    conda:
        "../envs/torch.yaml"
    threads: 2
    resources:
        **for_attempts(lambda wildcards: REQUESTS.finetuning(wildcards.run)),
        gpu=1,
    params:
        code=code_digest(SCRIPTS / "finetune.py"),
        training=lambda wildcards: run_of(wildcards).training,
        tf32=STUDY.compute.tf32,
    message:
        "Fine-tuning for run {wildcards.run}"
    script:
        "../workflow/scripts/finetune.py"
