# Models and their fine-tuning: results/models/{model}, results/runs/{run}/checkpoints/step-{step}.
TRAIN_EMBEDDED = SCRIPTS / "train_embedded.py"
FETCH_MODEL = SCRIPTS / "fetch_model.py"
FINETUNE = SCRIPTS / "finetune.py"

EMBEDDED = [model.name for model in STUDY.models.values() if model.source == "embedded"]
FETCHED = [model.name for model in STUDY.models.values() if model.source != "embedded"]


rule train_embedded:
    message:
        "Training the embedded model {wildcards.model} on its mixture"
    wildcard_constraints:
        model="|".join(EMBEDDED) or "(?!)",
    input:
        datasets=lambda wildcards: [
            f"results/datasets/{task}/train.parquet" for task in STUDY.models[wildcards.model].mixture
        ],
        specs=lambda wildcards: [
            f"tasks/{task}.yaml" for task in STUDY.models[wildcards.model].mixture
        ],
        code=library_files(TRAIN_EMBEDDED),
    output:
        directory("results/models/{model}"),
    params:
        model=lambda wildcards: vars(STUDY.models[wildcards.model]),
        store=STUDY.store,
    threads: 2
    resources:
        gpu=1,
    log:
        "logs/train_embedded/{model}.log",
    conda:
        "../envs/torch.yaml"
    script:
        "../workflow/scripts/train_embedded.py"


rule fetch_model:
    message:
        "Fetching model {wildcards.model}"
    wildcard_constraints:
        model="|".join(FETCHED) or "(?!)",
    input:
        code=library_files(FETCH_MODEL),
    output:
        directory("results/models/{model}"),
    params:
        model=lambda wildcards: vars(STUDY.models[wildcards.model]),
    log:
        "logs/fetch_model/{model}.log",
    conda:
        "../envs/torch.yaml"
    script:
        "../workflow/scripts/fetch_model.py"


for run in STUDY.runs.values():

    rule:
        name:
            f"finetune_{run.name}"
        message:
            f"Fine-tuning {run.model} on {run.task}: run {run.name}"
        input:
            model=f"results/models/{run.model}",
            dataset=f"results/datasets/{run.task}/train.parquet",
            code=library_files(FINETUNE),
        output:
            checkpoints=[directory(folder) for folder in run.checkpoints],
            training=f"results/runs/{run.name}/training.parquet",
        params:
            run=vars(run),
            store=STUDY.store,
        threads: 2
        resources:
            gpu=1,
        log:
            f"logs/finetune/{run.name}.log",
        conda:
            "../envs/torch.yaml"
        script:
            "../workflow/scripts/finetune.py"
