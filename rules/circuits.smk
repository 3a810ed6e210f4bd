# Circuits: the scored edges of every checkpoint, how faithful they are, how they compare.
METHOD = STUDY.probes["edges"]["methods"][0]

for run in STUDY.runs.values():

    rule:
        name:
            f"edges_{run.name}"
        input:
            checkpoints=run.checkpoints,
            dataset="results/datasets/{task}/test.parquet",
            code=library_files(SCRIPTS / "edges.py"),
        output:
            **run.edges_by_position(STUDY.probes),
            edges=run.tables("edges"),
            edge_samples=run.tables("edge_samples"),
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
            compute=STUDY.compute,
            probe=STUDY.probes["edges"],
            corruptions=lambda wildcards: SPECS[wildcards.task].schemes,
        message:
            f"Scoring the edges of run {run.name} on {{wildcards.task}}"
        script:
            "../workflow/scripts/edges.py"

    if run.controls:

        rule:
            name:
                f"control_edges_{run.name}"
            input:
                checkpoints=run.checkpoints[:1],
                dataset="results/datasets/{task}/test.parquet",
                code=library_files(SCRIPTS / "edges.py"),
            output:
                edges=run.control_tables("edges"),
                edge_samples=run.control_tables("edge_samples"),
            log:
                f"logs/control_edges/{run.name}-{{task}}.log",
            wildcard_constraints:
                task="|".join(run.controls),
            conda:
                "../envs/torch.yaml"
            threads: 1
            resources:
                gpu=1,
            params:
                compute=STUDY.compute,
                probe={**STUDY.probes["edges"], "methods": [METHOD], "positions": False},
                corruptions=lambda wildcards: SPECS[wildcards.task].schemes,
            message:
                f"Scoring the edges of run {run.name} before learning on the control {{wildcards.task}}"
            script:
                "../workflow/scripts/edges.py"

    rule:
        name:
            f"faithfulness_{run.name}"
        input:
            checkpoints=run.checkpoints,
            dataset="results/datasets/{task}/validation.parquet",
            edges=run.tables("edges"),
            code=library_files(SCRIPTS / "faithfulness.py"),
        output:
            faithfulness=run.tables("faithfulness"),
            circuit_quality=run.tables("circuit_quality"),
        log:
            f"logs/faithfulness/{run.name}-{{task}}.log",
        wildcard_constraints:
            task="|".join(run.evaluate),
        conda:
            "../envs/torch.yaml"
        threads: 1
        resources:
            gpu=1,
        params:
            compute=STUDY.compute,
            probe=STUDY.probes["faithfulness"],
            method=METHOD,
            corruptions=lambda wildcards: SPECS[wildcards.task].schemes,
            seed=STUDY.seed,
        message:
            f"Measuring how faithful the circuits of run {run.name} are on {{wildcards.task}}"
        script:
            "../workflow/scripts/faithfulness.py"

    rule:
        name:
            f"transfer_{run.name}"
        input:
            checkpoints=run.checkpoints,
            dataset="results/datasets/{task}/validation.parquet",
            edges=[
                table for task in run.evaluate for table in run.tables("edges", task)
            ],
            edge_samples=run.tables("edge_samples"),
            code=library_files(SCRIPTS / "transfer.py"),
        output:
            f"results/runs/{run.name}/{{task}}/transfer.parquet",
        log:
            f"logs/transfer/{run.name}-{{task}}.log",
        wildcard_constraints:
            task="|".join(run.evaluate),
        conda:
            "../envs/torch.yaml"
        threads: 1
        resources:
            gpu=1,
        params:
            compute=STUDY.compute,
            comparison=STUDY.comparison,
            method=METHOD,
            tasks=run.evaluate,
            corruptions=lambda wildcards: SPECS[wildcards.task].schemes,
            seed=STUDY.seed,
        message:
            f"Running circuits of run {run.name} in each other's checkpoints on {{wildcards.task}}"
        script:
            "../workflow/scripts/transfer.py"

    rule:
        name:
            f"compare_{run.name}"
        input:
            edges=[
                table for task in run.evaluate for table in run.tables("edges", task)
            ],
            edge_samples=[
                table
                for task in run.evaluate
                for table in run.tables("edge_samples", task)
            ],
            control_samples=[
                table
                for task in run.controls
                for table in run.control_tables("edge_samples", task)
            ],
            transfer=f"results/runs/{run.name}/{{task}}/transfer.parquet",
            code=library_files(SCRIPTS / "compare.py"),
        output:
            comparison=f"results/runs/{run.name}/{{task}}/comparison.parquet",
            heads=f"results/runs/{run.name}/{{task}}/heads.parquet",
        log:
            f"logs/compare/{run.name}-{{task}}.log",
        wildcard_constraints:
            task="|".join(run.evaluate),
        conda:
            "../envs/figures.yaml"
        params:
            comparison=STUDY.comparison,
            method=METHOD,
            tasks=run.evaluate,
            controls=run.controls,
            seed=STUDY.seed,
        message:
            f"Comparing the circuits of run {run.name} on {{wildcards.task}}"
        script:
            "../workflow/scripts/compare.py"

    rule:
        name:
            f"export_circuits_{run.name}"
        input:
            edges=run.tables("edges"),
            checkpoint=run.checkpoints[0],
            code=library_files(SCRIPTS / "export_circuits.py"),
        output:
            graphml=run.circuits_for_others("graphml"),
            importances=run.circuits_for_others("importances.json"),
        log:
            f"logs/export_circuits/{run.name}-{{task}}.log",
        wildcard_constraints:
            task="|".join(run.evaluate),
        conda:
            "../envs/figures.yaml"
        params:
            run=run.name,
            method=METHOD,
            edges=STUDY.comparison["edges"],
        message:
            f"Writing the circuits of run {run.name} on {{wildcards.task}} for other tools"
        script:
            "../workflow/scripts/export_circuits.py"
