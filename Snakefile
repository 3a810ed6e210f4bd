"""Films a circuit inside a language model while the model is fine-tuned."""

from snakemake.utils import min_version

min_version("9.27")


resource_scopes:
    gpu="local",


include: "rules/common.smk"
include: "rules/inputs.smk"
include: "rules/datasets.smk"
include: "rules/models.smk"
include: "rules/activations.smk"
include: "rules/probes.smk"
include: "rules/circuits.smk"
include: "rules/figures.smk"
include: "rules/report.smk"
include: "rules/verify.smk"


rule all:
    default_target: True
    input:
        results(
            STUDY,
            films={name: film.table for name, film in FILMS.items()},
            overviews={name: pictures(run) for name, run in STUDY.runs.items()},
            not_linear=[
                task
                for task, spec in SPECS.items()
                if not METRICS[spec.metric].is_linear
            ],
        ),
