# Circuits: the scored edges of every checkpoint, one job per run and task.
for run in STUDY.runs.values():

    rule:
        name:
            f"edges_{run.name}"
        input:
            checkpoints=run.checkpoints,
            dataset="results/datasets/{task}/test.parquet",
            code=library_files(SCRIPTS / "edges.py"),
        output:
            tables=run.tables("edges"),
        log:
            f"logs/edges/{run.name}-{{task}}.log",
        wildcard_constraints:
            task="|".join(run.evaluate),
        conda:
            "../envs/torch.yaml"
        threads: 1
        resources:
            gpu=1,
        params:
            probe=STUDY.probes["edges"],
            corruptions=lambda wildcards: [
                corruption.name for corruption in SPECS[wildcards.task].corruptions
            ],
        message:
            f"Scoring the edges of run {run.name} on {{wildcards.task}}"
        script:
            "../workflow/scripts/edges.py"
