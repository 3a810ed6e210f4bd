"""Rule expand_task: a task spec becomes a Parquet dataset for each split."""

from pathlib import Path

from job import start


def main(smk):
    from timelapse.tasks.dataset import write_datasets
    from timelapse.tasks.spec import load_spec

    paths = {split: Path(path) for split, path in smk.output.items()}
    write_datasets(load_spec(Path(smk.input.spec)), smk.params.seed, paths)


if "snakemake" in globals():
    start(main, snakemake)
