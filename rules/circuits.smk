# Circuits: the scored edges of every checkpoint, how faithful they are, how they compare.
METHOD = STUDY.edges.methods[0]

for run in STUDY.runs.values():
    for task in run.controls:

        rule:
            name:
                f"control_edges_{run.name}-{task}"
            input:
                checkpoints=run.checkpoints[:1],
                dataset=f"results/datasets/{task}/test.parquet",
            output:
                edges=run.tables("edges", task)[:1],
                edge_samples=run.tables("edge_samples", task)[:1],
            log:
                f"logs/control_edges/{run.name}-{task}.log",
            conda:
                "../envs/torch.yaml"
            threads: 1
            resources:
                **asks(REQUESTS.probe, "edges", run, task, 1),
                gpu=1,
            params:
                code=code_digest(SCRIPTS / "edges.py"),
                task=task,
                compute=STUDY.compute.model_dump(),
                probe={
                    **STUDY.edges.model_dump(),
                    "methods": [METHOD],
                    "positions": False,
                },
                corruptions=SPECS[task].corruption_names,
            message:
                f"Scoring the edges of run {run.name} before learning on the control {task}"
            script:
                "../workflow/scripts/edges.py"


for jobs in STUDY.jobs:

    rule:
        name:
            f"edges_{jobs.name}"
        input:
            **jobs.measured,
            dataset=f"results/datasets/{jobs.task}/test.parquet",
        output:
            **jobs.edges_by_position(STUDY.probes),
            edges=jobs.tables("edges"),
            edge_samples=jobs.tables("edge_samples"),
        log:
            jobs.log("edges"),
        wildcard_constraints:
            step=jobs.constraint,
        conda:
            "../envs/torch.yaml"
        threads: 1
        resources:
            **asks(REQUESTS.probe, "edges", jobs.run, jobs.task, len(jobs.checkpoints)),
            gpu=1,
        params:
            code=code_digest(SCRIPTS / "edges.py"),
            task=jobs.task,
            compute=STUDY.compute.model_dump(),
            probe=STUDY.probes["edges"].model_dump(),
            corruptions=SPECS[jobs.task].corruption_names,
        message:
            f"Scoring the edges of {jobs.said}"
        script:
            "../workflow/scripts/edges.py"

    rule:
        name:
            f"faithfulness_{jobs.name}"
        input:
            **jobs.measured,
            dataset=f"results/datasets/{jobs.task}/validation.parquet",
            edges=jobs.tables("edges"),
        output:
            faithfulness=jobs.tables("faithfulness"),
            circuit_quality=jobs.tables("circuit_quality"),
        log:
            jobs.log("faithfulness"),
        wildcard_constraints:
            step=jobs.constraint,
        conda:
            "../envs/torch.yaml"
        threads: 1
        resources:
            **asks(
                REQUESTS.probe,
                "faithfulness",
                jobs.run,
                jobs.task,
                len(jobs.checkpoints),
            ),
            gpu=1,
        params:
            code=code_digest(SCRIPTS / "faithfulness.py"),
            task=jobs.task,
            compute=STUDY.compute.model_dump(),
            probe=STUDY.probes["faithfulness"].model_dump(),
            method=METHOD,
            corruptions=SPECS[jobs.task].corruption_names,
            seed=STUDY.seed,
        message:
            f"Measuring how faithful circuits are: {jobs.said}"
        script:
            "../workflow/scripts/faithfulness.py"


for evaluation in STUDY.evaluations:
    run = evaluation.run
    compared = evaluation.at(compared_steps(run.steps, STUDY.comparison.checkpoints))
    others = [task for task in run.evaluate if task != evaluation.task]

    # The circuits of all compared steps visit each of them: a job reads the edges of all.
    rule:
        name:
            f"transfer_{evaluation.name}"
        input:
            **compared.measured,
            first=run.checkpoints[0],
            dataset=f"results/datasets/{evaluation.task}/validation.parquet",
            edges=[
                table
                for task in run.evaluate
                for table in run.tables("edges", task, compared.steps)
            ],
            edge_samples=compared.tables("edge_samples"),
        output:
            tables=compared.tables("transfer"),
        log:
            evaluation.log("transfer"),
        wildcard_constraints:
            step=compared.constraint,
        conda:
            "../envs/torch.yaml"
        threads: 1
        resources:
            **asks(REQUESTS.transfer, compared),
            gpu=1,
        params:
            code=code_digest(SCRIPTS / "transfer.py"),
            task=evaluation.task,
            compute=STUDY.compute.model_dump(),
            comparison=STUDY.comparison.model_dump(),
            method=METHOD,
            tasks=run.evaluate,
            corruptions=SPECS[evaluation.task].corruption_names,
            seed=STUDY.seed,
        message:
            f"Running circuits in each other's checkpoints: {evaluation.said}"
        script:
            "../workflow/scripts/transfer.py"

    rule:
        name:
            f"compare_{run.name}-{evaluation.task}"
        input:
            edges=run.tables("edges", evaluation.task)[:1],
            edge_samples=run.tables("edge_samples", evaluation.task),
            other_samples=[
                table
                for task in others
                for table in run.tables("edge_samples", task, compared.steps)
            ],
            control_samples=[
                table
                for task in run.controls
                for table in run.tables("edge_samples", task)[:1]
            ],
            transfer=run.tables("transfer", evaluation.task, compared.steps),
        output:
            comparison=f"results/runs/{run.name}/{evaluation.task}/comparison.parquet",
            heads=f"results/runs/{run.name}/{evaluation.task}/heads.parquet",
        log:
            f"logs/compare/{run.name}-{evaluation.task}.log",
        conda:
            "../envs/figures.yaml"
        resources:
            **asks(REQUESTS.comparing, compared),
        params:
            code=code_digest(SCRIPTS / "compare.py"),
            comparison=STUDY.comparison.model_dump(),
            method=METHOD,
            task=evaluation.task,
            others=others,
            controls=run.controls,
            seed=STUDY.seed,
        message:
            f"Comparing the circuits of run {run.name} on {evaluation.task}"
        script:
            "../workflow/scripts/compare.py"

    rule:
        name:
            f"export_circuits_{run.name}-{evaluation.task}"
        input:
            edges=run.tables("edges", evaluation.task),
            checkpoint=run.checkpoints[0],
        output:
            graphml=run.circuits_for_others(evaluation.task, "graphml"),
            importances=run.circuits_for_others(evaluation.task, "importances.json"),
        log:
            f"logs/export_circuits/{run.name}-{evaluation.task}.log",
        conda:
            "../envs/figures.yaml"
        resources:
            **asks(REQUESTS.tables, len(run.steps)),
        params:
            code=code_digest(SCRIPTS / "export_circuits.py"),
            run=run.name,
            task=evaluation.task,
            method=METHOD,
            edges=STUDY.comparison.edges,
        message:
            f"Writing the circuits of run {run.name} on {evaluation.task} for other tools"
        script:
            "../workflow/scripts/export_circuits.py"
