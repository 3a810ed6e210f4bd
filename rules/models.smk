# Models and their fine-tuning: results/models/{model}, results/runs/{run}/checkpoints/step-{step}.

EMBEDDED = [model.name for model in STUDY.models.values() if model.source == "embedded"]
FETCHED = [model.name for model in STUDY.models.values() if model.source != "embedded"]


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
        directory("results/models/{model}"),
    log:
        "logs/train_embedded/{model}.log",
    wildcard_constraints:
        model="|".join(EMBEDDED) or "(?!)",
    conda:
        "../envs/torch.yaml"
    threads: 2
    resources:
        **asks(REQUESTS.training, lambda wildcards: wildcards.model),
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
        directory("results/models/{model}"),
    log:
        "logs/fetch_model/{model}.log",
    wildcard_constraints:
        model="|".join(FETCHED) or "(?!)",
    conda:
        "../envs/torch.yaml"
    resources:
        **asks(REQUESTS.fetching, lambda wildcards: wildcards.model),
    params:
        code=code_digest(SCRIPTS / "fetch_model.py"),
        model=lambda wildcards: STUDY.models[wildcards.model].params,
    message:
        "Fetching model {wildcards.model}"
    script:
        "../workflow/scripts/fetch_model.py"


for run in STUDY.runs.values():

    rule:
        name:
            f"finetune_{run.name}"
        input:
            model=f"results/models/{run.model}",
            dataset=f"results/datasets/{run.task}/train.parquet",
        output:
            # First, for it is looked up most often, and in this order.
            training=run.training_table,
            checkpoints=[directory(folder) for folder in run.checkpoints],
        log:
            f"logs/finetune/{run.name}.log",
        conda:
            "../envs/torch.yaml"
        threads: 2
        resources:
            **asks(REQUESTS.finetuning, run),
            gpu=1,
        params:
            code=code_digest(SCRIPTS / "finetune.py"),
            training=run.training,
            tf32=STUDY.compute.tf32,
        message:
            f"Fine-tuning {run.model} on {run.task}: run {run.name}"
        script:
            "../workflow/scripts/finetune.py"
