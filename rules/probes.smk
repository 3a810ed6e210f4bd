# Measurements of every checkpoint on every evaluated task. STUDY.jobs says how they are cut into
# jobs: one per run, task and probe (some, if the run is long), or one for each of its checkpoints.
KEPT = {key: getattr(STUDY.activations, key) for key in ("dtype", "rows")}

for jobs in STUDY.jobs:

    rule:
        name:
            f"win_rate_{jobs.name}"
        input:
            **jobs.measured,
            dataset=f"results/datasets/{jobs.task}/test.parquet",
        output:
            tables=jobs.tables("win_rate"),
        log:
            jobs.log("win_rate"),
        wildcard_constraints:
            step=jobs.constraint,
        conda:
            "../envs/torch.yaml"
        threads: 1
        resources:
            **asks(
                REQUESTS.probe, "win_rate", jobs.run, jobs.task, len(jobs.checkpoints)
            ),
            gpu=1,
        params:
            code=code_digest(SCRIPTS / "win_rate.py"),
            task=jobs.task,
            compute=STUDY.compute.model_dump(),
            probe=STUDY.probes["win_rate"].model_dump(),
        message:
            f"Measuring the win rate of {jobs.said}"
        script:
            "../workflow/scripts/win_rate.py"

    rule:
        name:
            f"logit_diff_{jobs.name}"
        input:
            **jobs.measured,
            dataset=f"results/datasets/{jobs.task}/test.parquet",
        output:
            tables=jobs.tables("logit_diff"),
        log:
            jobs.log("logit_diff"),
        wildcard_constraints:
            step=jobs.constraint,
        conda:
            "../envs/torch.yaml"
        threads: 1
        resources:
            **asks(
                REQUESTS.probe,
                "logit_diff",
                jobs.run,
                jobs.task,
                len(jobs.checkpoints),
            ),
            gpu=1,
        params:
            code=code_digest(SCRIPTS / "logit_diff.py"),
            task=jobs.task,
            compute=STUDY.compute.model_dump(),
            probe=STUDY.probes["logit_diff"].model_dump(),
            activations=KEPT,
        message:
            f"Decomposing the logit difference of {jobs.said}"
        script:
            "../workflow/scripts/logit_diff.py"

    rule:
        name:
            f"patching_{jobs.name}"
        input:
            **jobs.measured,
            dataset=f"results/datasets/{jobs.task}/test.parquet",
        output:
            tables=jobs.tables("patching"),
        log:
            jobs.log("patching"),
        wildcard_constraints:
            step=jobs.constraint,
        conda:
            "../envs/torch.yaml"
        threads: 1
        resources:
            **asks(
                REQUESTS.probe, "patching", jobs.run, jobs.task, len(jobs.checkpoints)
            ),
            gpu=1,
        params:
            code=code_digest(SCRIPTS / "patching.py"),
            task=jobs.task,
            compute=STUDY.compute.model_dump(),
            probe=STUDY.probes["patching"].model_dump(),
            corruptions=SPECS[jobs.task].corruption_names,
        message:
            f"Patching clean activations into corrupted prompts: {jobs.said}"
        script:
            "../workflow/scripts/patching.py"

    rule:
        name:
            f"attention_{jobs.name}"
        input:
            **jobs.measured,
            first=jobs.run.checkpoints[0],
            dataset=f"results/datasets/{jobs.task}/test.parquet",
        output:
            **jobs.whole_patterns(STUDY.probes),
            attention=jobs.tables("attention"),
            attention_change=jobs.tables("attention_change"),
        log:
            jobs.log("attention"),
        wildcard_constraints:
            step=jobs.constraint,
        conda:
            "../envs/torch.yaml"
        threads: 1
        resources:
            **asks(
                REQUESTS.probe, "attention", jobs.run, jobs.task, len(jobs.checkpoints)
            ),
            gpu=1,
        params:
            code=code_digest(SCRIPTS / "attention.py"),
            task=jobs.task,
            compute=STUDY.compute.model_dump(),
            probe=STUDY.probes["attention"].model_dump(),
            activations=KEPT,
            seed=STUDY.seed,
        message:
            f"Reading the attention of {jobs.said}"
        script:
            "../workflow/scripts/attention.py"

    rule:
        name:
            f"head_roles_{jobs.name}"
        input:
            **jobs.measured,
            dataset=f"results/datasets/{jobs.task}/test.parquet",
        output:
            tables=jobs.tables("head_roles"),
        log:
            jobs.log("head_roles"),
        wildcard_constraints:
            step=jobs.constraint,
        conda:
            "../envs/torch.yaml"
        threads: 1
        resources:
            **asks(
                REQUESTS.probe,
                "head_roles",
                jobs.run,
                jobs.task,
                len(jobs.checkpoints),
            ),
            gpu=1,
        params:
            code=code_digest(SCRIPTS / "head_roles.py"),
            task=jobs.task,
            compute=STUDY.compute.model_dump(),
            probe=STUDY.probes["head_roles"].model_dump(),
            activations=KEPT,
            seed=STUDY.seed,
        message:
            f"Scoring the heads of {jobs.said}"
        script:
            "../workflow/scripts/head_roles.py"

    rule:
        name:
            f"logit_lens_{jobs.name}"
        input:
            **jobs.measured,
            dataset=f"results/datasets/{jobs.task}/test.parquet",
        output:
            logit_lens=jobs.tables("logit_lens"),
            logit_lens_top=jobs.tables("logit_lens_top"),
        log:
            jobs.log("logit_lens"),
        wildcard_constraints:
            step=jobs.constraint,
        conda:
            "../envs/torch.yaml"
        threads: 1
        resources:
            **asks(
                REQUESTS.probe,
                "logit_lens",
                jobs.run,
                jobs.task,
                len(jobs.checkpoints),
            ),
            gpu=1,
        params:
            code=code_digest(SCRIPTS / "logit_lens.py"),
            task=jobs.task,
            compute=STUDY.compute.model_dump(),
            probe=STUDY.probes["logit_lens"].model_dump(),
            activations=KEPT,
        message:
            f"Reading the layers of {jobs.said}"
        script:
            "../workflow/scripts/logit_lens.py"
