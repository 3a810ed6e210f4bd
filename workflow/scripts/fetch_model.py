"""Rule fetch_model: a model from elsewhere, saved as a folder like every other."""

import os
from pathlib import Path
from pkgutil import resolve_name

from job import start
from timelapse.models.sources import SOURCES


def main(smk):
    model = smk.params.model
    make = resolve_name(SOURCES[model["source"]].function)
    make(model["settings"], Path(smk.output[0]))


if "snakemake" in globals():
    if SOURCES[snakemake.params.model["source"]].is_online:  # unless the user has said otherwise
        os.environ.setdefault("HF_HUB_OFFLINE", "0")
    start(main, snakemake)
