# The circuits of a run on a task: compared with each other, and written for other tools.
rule compare:
    input:
        edges=lambda wildcards: run_of(wildcards).tables(
            "edges", wildcards.task, run_of(wildcards).steps[:1]
        ),
        edge_samples=lambda wildcards: run_of(wildcards).tables(
            "edge_samples", wildcards.task
        ),
        other_samples=lambda wildcards: samples_of(
            wildcards,
            other_tasks(run_of(wildcards), wildcards.task),
            run_of(wildcards).compared,
        ),
        control_samples=lambda wildcards: samples_of(
            wildcards, run_of(wildcards).controls, None
        ),
        transfer=lambda wildcards: run_of(wildcards).tables("transfer", wildcards.task),
    output:
        comparison=paths.COMPARISON,
        heads=paths.HEADS,
    log:
        "logs/compare/{run}-{task}.log",
    benchmark:
        "logs/benchmarks/compare/{run}-{task}.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        **for_attempts(lambda wildcards: REQUESTS.comparing(run_of(wildcards))),
    params:
        job=lambda wildcards, code=code_digest(SCRIPTS / "compare.py"): {
            "comparison": settings_of(STUDY, "transfer").model_dump(mode="json"),
            "method": METHOD,
            "task": wildcards.task,
            "steps": run_of(wildcards).steps,
            "others": other_tasks(run_of(wildcards), wildcards.task),
            "controls": run_of(wildcards).controls,
            "seed": STUDY.seed,
            "code": code,
        },
    message:
        "Comparing the circuits of run {wildcards.run} on {wildcards.task}"
    script:
        "../workflow/scripts/compare.py"


rule export_circuits:
    input:
        edges=lambda wildcards: run_of(wildcards).tables("edges", wildcards.task),
        checkpoints=paths.CHECKPOINTS,
    output:
        circuits=directory(paths.CIRCUITS),
    log:
        "logs/export_circuits/{run}-{task}.log",
    benchmark:
        "logs/benchmarks/export_circuits/{run}-{task}.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        **tables_of(MOST_STEPS),
    params:
        job=lambda wildcards, code=code_digest(SCRIPTS / "export_circuits.py"): {
            "run": wildcards.run,
            "task": wildcards.task,
            "method": METHOD,
            "edges": settings_of(STUDY, "transfer").edges,
            "code": code,
        },
    message:
        "Writing the circuits of run {wildcards.run} on {wildcards.task} for other tools"
    script:
        "../workflow/scripts/export_circuits.py"
