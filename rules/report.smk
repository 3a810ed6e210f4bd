# What has become of a run: in words, and as pages of `snakemake --report`.
rule summarise:
    input:
        comparisons=of_repeats(paths.COMPARISON),
        heads=of_repeats(paths.HEADS),
        win_rates=lambda wildcards: [
            table
            for run in with_repeats(wildcards)
            for task in run.evaluate
            for table in run.tables("win_rate", task)
        ],
    output:
        table=paths.SUMMARY,
        text=report(
            paths.SUMMARY_TEXT,
            caption="../workflow/report/summary.rst",
            category="{run}",
        ),
    log:
        "logs/summarise/{run}.log",
    benchmark:
        "logs/benchmarks/summarise/{run}.tsv"
    conda:
        "../envs/figures.yaml"
    resources:
        **tables_of(MOST_STEPS),
    params:
        job=lambda wildcards, code=code_digest(SCRIPTS / "summarise.py"): {
            "run": wildcards.run,
            "task": run_of(wildcards).task,
            "code": code,
        },
    message:
        "Summarising run {wildcards.run}"
    script:
        "../workflow/scripts/summarise.py"
