# What a run has come to: in words, and as pages of `snakemake --report`.
for run in STUDY.runs.values():
    everyone = [run, *(STUDY.runs[repeat] for repeat in run.repeats)]

    rule:
        name:
            f"summarise_{run.name}"
        input:
            comparisons=[
                f"results/runs/{one.name}/{task}/comparison.parquet"
                for one in everyone
                for task in one.evaluate
            ],
            heads=[
                f"results/runs/{one.name}/{task}/heads.parquet"
                for one in everyone
                for task in one.evaluate
            ],
            win_rates=[
                table
                for one in everyone
                for task in one.evaluate
                for table in one.tables("win_rate", task)
            ],
        output:
            table=f"results/runs/{run.name}/summary.parquet",
            text=report(
                f"results/runs/{run.name}/summary.md",
                caption="../workflow/report/summary.rst",
                category=run.name,
            ),
        log:
            f"logs/summarise/{run.name}.log",
        conda:
            "../envs/figures.yaml"
        resources:
            **asks(REQUESTS.tables, len(run.steps)),
        params:
            code=code_digest(SCRIPTS / "summarise.py"),
            run=run.name,
            task=run.task,
        message:
            f"Summarising run {run.name}"
        script:
            "../workflow/scripts/summarise.py"
