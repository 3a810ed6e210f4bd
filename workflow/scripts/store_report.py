"""Rule store_report: what the store of activations holds, how often it served, how to clear it."""

from pathlib import Path

from job import start


def main(smk):
    from timelapse.activations.cache import report
    from timelapse.activations.cache_directory import FOLDER, GB, CacheDirectory

    folder = Path(smk.params.store, FOLDER).resolve()
    print(report(CacheDirectory(folder, round(smk.params.cap_gb * GB))), end="")


if "snakemake" in globals():
    start(main, snakemake)
