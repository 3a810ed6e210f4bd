# Measurements of every checkpoint on every evaluated task: one job per run, task and probe.
def whole_patterns(run: Run) -> dict[str, list[str]]:
    """The tables of whole attention patterns, if the study names heads."""
    wanted = STUDY.probes["attention"]["heads"]
    return {"attention_pattern": run.tables("attention_pattern")} if wanted else {}


for run in STUDY.runs.values():

    rule:
        name:
            f"win_rate_{run.name}"
        message:
            f"Measuring the win rate of run {run.name} on {{wildcards.task}}"
        wildcard_constraints:
            task="|".join(run.evaluate),
        input:
            checkpoints=run.checkpoints,
            dataset="results/datasets/{task}/test.parquet",
            code=library_files(SCRIPTS / "win_rate.py"),
        output:
            tables=run.tables("win_rate"),
        params:
            probe=STUDY.probes["win_rate"],
        threads: 1
        resources:
            gpu=1,
        log:
            f"logs/win_rate/{run.name}-{{task}}.log",
        conda:
            "../envs/torch.yaml"
        script:
            "../workflow/scripts/win_rate.py"

    rule:
        name:
            f"logit_diff_{run.name}"
        message:
            f"Decomposing the logit difference of run {run.name} on {{wildcards.task}}"
        wildcard_constraints:
            task="|".join(run.evaluate),
        input:
            checkpoints=run.checkpoints,
            dataset="results/datasets/{task}/test.parquet",
            code=library_files(SCRIPTS / "logit_diff.py"),
        output:
            tables=run.tables("logit_diff"),
        params:
            probe=STUDY.probes["logit_diff"],
        threads: 1
        resources:
            gpu=1,
        log:
            f"logs/logit_diff/{run.name}-{{task}}.log",
        conda:
            "../envs/torch.yaml"
        script:
            "../workflow/scripts/logit_diff.py"

    rule:
        name:
            f"attention_{run.name}"
        message:
            f"Reading the attention of run {run.name} on {{wildcards.task}}"
        wildcard_constraints:
            task="|".join(run.evaluate),
        input:
            checkpoints=run.checkpoints,
            dataset="results/datasets/{task}/test.parquet",
            code=library_files(SCRIPTS / "attention.py"),
        output:
            attention=run.tables("attention"),
            attention_change=run.tables("attention_change"),
            **whole_patterns(run),
        params:
            probe=STUDY.probes["attention"],
            seed=STUDY.seed,
        threads: 1
        resources:
            gpu=1,
        log:
            f"logs/attention/{run.name}-{{task}}.log",
        conda:
            "../envs/torch.yaml"
        script:
            "../workflow/scripts/attention.py"

    rule:
        name:
            f"head_roles_{run.name}"
        message:
            f"Scoring the heads of run {run.name} on {{wildcards.task}}"
        wildcard_constraints:
            task="|".join(run.evaluate),
        input:
            checkpoints=run.checkpoints,
            dataset="results/datasets/{task}/test.parquet",
            code=library_files(SCRIPTS / "head_roles.py"),
        output:
            tables=run.tables("head_roles"),
        params:
            probe=STUDY.probes["head_roles"],
            seed=STUDY.seed,
        threads: 1
        resources:
            gpu=1,
        log:
            f"logs/head_roles/{run.name}-{{task}}.log",
        conda:
            "../envs/torch.yaml"
        script:
            "../workflow/scripts/head_roles.py"

    rule:
        name:
            f"logit_lens_{run.name}"
        message:
            f"Reading the layers of run {run.name} on {{wildcards.task}}"
        wildcard_constraints:
            task="|".join(run.evaluate),
        input:
            checkpoints=run.checkpoints,
            dataset="results/datasets/{task}/test.parquet",
            code=library_files(SCRIPTS / "logit_lens.py"),
        output:
            logit_lens=run.tables("logit_lens"),
            logit_lens_top=run.tables("logit_lens_top"),
        params:
            probe=STUDY.probes["logit_lens"],
        threads: 1
        resources:
            gpu=1,
        log:
            f"logs/logit_lens/{run.name}-{{task}}.log",
        conda:
            "../envs/torch.yaml"
        script:
            "../workflow/scripts/logit_lens.py"
