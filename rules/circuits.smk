# Circuits: the scored edges of every checkpoint, one job per run and task.
for run in STUDY.runs.values():

    rule:
        name:
            f"edges_{run.name}"
        message:
            f"Scoring the edges of run {run.name} on {{wildcards.task}}"
        wildcard_constraints:
            task="|".join(run.evaluate),
        input:
            checkpoints=run.checkpoints,
            dataset="results/datasets/{task}/test.parquet",
            code=library_files(SCRIPTS / "edges.py"),
        output:
            tables=run.tables("edges"),
        params:
            probe=STUDY.probes["edges"],
            corruptions=lambda wildcards: [
                corruption.name for corruption in SPECS[wildcards.task].corruptions
            ],
        threads: 1
        resources:
            gpu=1,
        log:
            f"logs/edges/{run.name}-{{task}}.log",
        conda:
            "../envs/torch.yaml"
        script:
            "../workflow/scripts/edges.py"
