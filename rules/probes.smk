# Measurements of every checkpoint on every evaluated task: one job per run, task and probe.
for run in STUDY.runs.values():
    for probe in ("win_rate", "logit_diff", "edges"):

        rule:
            name:
                f"{probe}_{run.name}"
            message:
                f"Measuring {probe} of run {run.name} on {{wildcards.task}}"
            wildcard_constraints:
                task="|".join(run.evaluate),
            input:
                checkpoints=[
                    f"results/runs/{run.name}/checkpoints/step-{step}" for step in run.step_names
                ],
                dataset="results/datasets/{task}/test.parquet",
                code=library_files(SCRIPTS / f"{probe}.py"),
            output:
                tables=[
                    f"results/runs/{run.name}/{{task}}/{probe}/step-{step}.parquet"
                    for step in run.step_names
                ],
            params:
                probe=STUDY.probes[probe],
            threads: 1
            resources:
                gpu=1,
            log:
                f"logs/{probe}/{run.name}-{{task}}.log",
            conda:
                "../envs/torch.yaml"
            script:
                f"../workflow/scripts/{probe}.py"
