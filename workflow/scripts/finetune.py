"""Rule finetune: a model fine-tuned on a task, with its checkpoints and the training table."""

from pathlib import Path

from job import start


def main(smk):
    import torch

    from timelapse.files.parquet import write
    from timelapse.models.checkpoints import publish, step_folder
    from timelapse.models.checksums import checksums
    from timelapse.models.device import Device
    from timelapse.models.finetuning import finetune
    from timelapse.models.training_store import claimed, training_key

    torch.set_num_threads(smk.threads)
    training, base, dataset = smk.params.training, Path(smk.input.model), Path(smk.input.dataset)
    Device.for_training(smk.params.tf32)
    key = training_key([dataset], [training, checksums(base), smk.params.code])
    steps = tuple(training["steps"])
    with claimed(Path(smk.config["store"]), key) as folder:
        table = finetune(base, dataset, training["recipe"], steps, training["seed"], folder)
        for step, checkpoint in zip(steps, smk.output.checkpoints, strict=True):
            publish(step_folder(folder / "checkpoints", step), Path(checkpoint))
        write(table, smk.output.training)


if "snakemake" in globals():
    start(main, snakemake)
