# What has become of a run: in words, and as pages of `snakemake --report`.
def with_repeats(wildcards):
    """The run and those that are like it but for the seed."""
    run = run_of(wildcards)
    return [run, *(STUDY.runs[repeat] for repeat in run.repeats)]


def of_repeats(pattern):
    """The files of a task of a run and its repeats."""
    return lambda wildcards: [
        paths.fill(pattern, run=run.name, task=task)
        for run in with_repeats(wildcards)
        for task in run.evaluate
    ]


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
