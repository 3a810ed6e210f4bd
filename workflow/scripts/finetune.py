"""Rule finetune: a model fine-tuned on a task, with its checkpoints and the training table."""

from pathlib import Path

from job import start


def main(smk):
    import pyarrow.parquet as pq
    import torch

    from timelapse.models.checkpoints import discard, publish, step_folder
    from timelapse.models.finetuning import finetune
    from timelapse.provenance import fingerprint

    torch.set_num_threads(smk.threads)
    training, base, dataset = smk.params.training, Path(smk.input.model), Path(smk.input.dataset)
    weights = sorted(file for file in base.iterdir() if not file.name.startswith("."))
    key = fingerprint([*weights, dataset], [smk.rule, training, smk.threads, smk.params.code])
    folder = Path(smk.config["store"], "training", key)
    steps = tuple(training["steps"])
    table = finetune(base, dataset, training["recipe"], steps, training["seed"], folder)
    for step, checkpoint in zip(steps, smk.output.checkpoints, strict=True):
        publish(step_folder(folder / "checkpoints", step), Path(checkpoint))
    pq.write_table(table, smk.output.training)
    discard(folder)


if "snakemake" in globals():
    start(main, snakemake)
