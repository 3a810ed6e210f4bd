"""Rule finetune: a model fine-tuned on a task, with its checkpoints and the training table."""

from pathlib import Path

from job import start, store


def main(smk):
    import torch

    from timelapse.files.parquet import write
    from timelapse.models.checkpoints import checksums, publish
    from timelapse.models.device import Device
    from timelapse.models.finetuning import finetune
    from timelapse.models.training_store import TrainingFolder, training_key
    from timelapse.paths import step_folder

    torch.set_num_threads(smk.threads)
    training, base, dataset = smk.params.training, Path(smk.input.model), Path(smk.input.dataset)
    steps = tuple(training["steps"])
    checkpoints = Path(smk.output.checkpoints)
    Device.for_training(smk.params.tf32)
    key = training_key([dataset], [training, checksums(base), smk.params.code])
    folder = TrainingFolder(store(), smk.wildcards.run, key)
    table = finetune(
        base,
        dataset,
        training["recipe"],
        steps,
        training["seed"],
        folder,
        keep=lambda step, checkpoint: publish(checkpoint, step_folder(checkpoints, step)),
    )
    write(table, smk.output.training)
    folder.finish()


if "snakemake" in globals():
    start(main, snakemake)
