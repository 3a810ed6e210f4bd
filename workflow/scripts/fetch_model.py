"""Rule fetch_model: a model from elsewhere, saved as a folder like every other."""

import os
from pathlib import Path
from pkgutil import resolve_name

from job import start


def main(smk):
    model = smk.params.model
    resolve_name(smk.params.function)(model["settings"], Path(smk.output[0]))


if "snakemake" in globals():
    if snakemake.params.is_online:  # unless the user has said otherwise
        os.environ.setdefault("HF_HUB_OFFLINE", "0")
    start(main, snakemake)
