"""Every rule of rules/probes.smk: a probe measures the checkpoints of a part."""

from pathlib import Path

from job import cache_gb, start, store


def main(smk):
    from timelapse.sweep import Cache, Measurement, measure

    named = {"checkpoints", "dataset"}
    measure(
        Measurement(**{key: value for key, value in smk.params.job.items() if key != "code"}),
        checkpoints=Path(smk.input.checkpoints),
        dataset=Path(smk.input.dataset),
        inputs=[
            Path(path)
            for name, paths in smk.input.items()
            if name not in named
            for path in ([paths] if isinstance(paths, str) else paths)
        ],
        outputs={name: Path(path) for name, path in smk.output.items()},
        cache=Cache(store(), cache_gb()),
    )


if "snakemake" in globals():
    start(main, snakemake)
