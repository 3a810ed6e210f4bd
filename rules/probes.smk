# Measurements of every checkpoint on every evaluated task: one job per run, task and probe.
KEPT = {key: STUDY.activations[key] for key in ("dtype", "rows")}

for run in STUDY.runs.values():

    rule:
        name:
            f"win_rate_{run.name}"
        input:
            checkpoints=run.checkpoints,
            dataset="results/datasets/{task}/test.parquet",
            code=library_files(SCRIPTS / "win_rate.py"),
        output:
            tables=run.tables("win_rate"),
        log:
            f"logs/win_rate/{run.name}-{{task}}.log",
        wildcard_constraints:
            task="|".join(run.evaluate),
        conda:
            "../envs/torch.yaml"
        threads: 1
        resources:
            gpu=1,
        params:
            compute=STUDY.compute,
            probe=STUDY.probes["win_rate"],
        message:
            f"Measuring the win rate of run {run.name} on {{wildcards.task}}"
        script:
            "../workflow/scripts/win_rate.py"

    rule:
        name:
            f"logit_diff_{run.name}"
        input:
            checkpoints=run.checkpoints,
            dataset="results/datasets/{task}/test.parquet",
            code=library_files(SCRIPTS / "logit_diff.py"),
        output:
            tables=run.tables("logit_diff"),
        log:
            f"logs/logit_diff/{run.name}-{{task}}.log",
        wildcard_constraints:
            task="|".join(run.evaluate),
        conda:
            "../envs/torch.yaml"
        threads: 1
        resources:
            gpu=1,
        params:
            compute=STUDY.compute,
            probe=STUDY.probes["logit_diff"],
            activations=KEPT,
        message:
            f"Decomposing the logit difference of run {run.name} on {{wildcards.task}}"
        script:
            "../workflow/scripts/logit_diff.py"

    rule:
        name:
            f"patching_{run.name}"
        input:
            checkpoints=run.checkpoints,
            dataset="results/datasets/{task}/test.parquet",
            code=library_files(SCRIPTS / "patching.py"),
        output:
            tables=run.tables("patching"),
        log:
            f"logs/patching/{run.name}-{{task}}.log",
        wildcard_constraints:
            task="|".join(run.evaluate),
        conda:
            "../envs/torch.yaml"
        threads: 1
        resources:
            gpu=1,
        params:
            compute=STUDY.compute,
            probe=STUDY.probes["patching"],
            corruptions=lambda wildcards: SPECS[wildcards.task].schemes,
        message:
            f"Patching clean activations of run {run.name} into corrupted {{wildcards.task}} prompts"
        script:
            "../workflow/scripts/patching.py"

    rule:
        name:
            f"attention_{run.name}"
        input:
            checkpoints=run.checkpoints,
            dataset="results/datasets/{task}/test.parquet",
            code=library_files(SCRIPTS / "attention.py"),
        output:
            **run.whole_patterns(STUDY.probes),
            attention=run.tables("attention"),
            attention_change=run.tables("attention_change"),
        log:
            f"logs/attention/{run.name}-{{task}}.log",
        wildcard_constraints:
            task="|".join(run.evaluate),
        conda:
            "../envs/torch.yaml"
        threads: 1
        resources:
            gpu=1,
        params:
            compute=STUDY.compute,
            probe=STUDY.probes["attention"],
            activations=KEPT,
            seed=STUDY.seed,
        message:
            f"Reading the attention of run {run.name} on {{wildcards.task}}"
        script:
            "../workflow/scripts/attention.py"

    rule:
        name:
            f"head_roles_{run.name}"
        input:
            checkpoints=run.checkpoints,
            dataset="results/datasets/{task}/test.parquet",
            code=library_files(SCRIPTS / "head_roles.py"),
        output:
            tables=run.tables("head_roles"),
        log:
            f"logs/head_roles/{run.name}-{{task}}.log",
        wildcard_constraints:
            task="|".join(run.evaluate),
        conda:
            "../envs/torch.yaml"
        threads: 1
        resources:
            gpu=1,
        params:
            compute=STUDY.compute,
            probe=STUDY.probes["head_roles"],
            activations=KEPT,
            seed=STUDY.seed,
        message:
            f"Scoring the heads of run {run.name} on {{wildcards.task}}"
        script:
            "../workflow/scripts/head_roles.py"

    rule:
        name:
            f"logit_lens_{run.name}"
        input:
            checkpoints=run.checkpoints,
            dataset="results/datasets/{task}/test.parquet",
            code=library_files(SCRIPTS / "logit_lens.py"),
        output:
            logit_lens=run.tables("logit_lens"),
            logit_lens_top=run.tables("logit_lens_top"),
        log:
            f"logs/logit_lens/{run.name}-{{task}}.log",
        wildcard_constraints:
            task="|".join(run.evaluate),
        conda:
            "../envs/torch.yaml"
        threads: 1
        resources:
            gpu=1,
        params:
            compute=STUDY.compute,
            probe=STUDY.probes["logit_lens"],
            activations=KEPT,
        message:
            f"Reading the layers of run {run.name} on {{wildcards.task}}"
        script:
            "../workflow/scripts/logit_lens.py"
