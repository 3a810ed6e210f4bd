"""Rule compare: circuits of a run's checkpoints on one task, compared; and what became of heads."""

from pathlib import Path

from job import start, without_pandas


def main(smk):
    without_pandas()
    import pyarrow as pa

    from timelapse.circuits.comparison.heads import head_table
    from timelapse.circuits.comparison.table import ComparisonSettings, compare
    from timelapse.circuits.edge_samples import EdgeSamples
    from timelapse.circuits.score_tables import ScoredEdges
    from timelapse.files.parquet import read, write
    from timelapse.paths import tables_of

    job = smk.params.job
    task, comparison = job["task"], job["comparison"]
    names = ("edges", "checkpoints", "resamples", "splits")
    settings = ComparisonSettings(**{name: comparison[name] for name in names}, seed=job["seed"])
    shape = ScoredEdges.read(smk.input.edges).shape

    def opened(files):
        return {
            name: EdgeSamples.open(paths, job["method"], len(shape.edges))
            for (name, _), paths in tables_of(files).items()
        }

    samples = opened(smk.input.edge_samples)
    others = opened(smk.input.other_samples)
    controls = opened(smk.input.control_samples)
    compared = compare(task, samples | others, shape, settings, controls)
    transfer = [read(path, compared.schema).cast(compared.schema) for path in smk.input.transfer]
    write(pa.concat_tables([compared, *transfer]), Path(smk.output.comparison))
    heads = head_table(samples[task], shape, settings.resamples, settings.seed, task)
    write(heads, Path(smk.output.heads))


if "snakemake" in globals():
    start(main, snakemake)
