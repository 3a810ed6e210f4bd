"""Rule fetch_model: a local or hub model, saved as a folder like every other."""

import os
from pathlib import Path

from job import start


def main(smk):
    model = smk.params.model
    from timelapse.models.sources import fetch

    fetch(model["settings"], Path(smk.output[0]), hub=model["source"] == "hub")


if "snakemake" in globals():
    if snakemake.params.model["source"] == "hub":  # unless the user has said otherwise
        os.environ.setdefault("HF_HUB_OFFLINE", "0")
    start(main, snakemake)
