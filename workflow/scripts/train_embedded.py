"""Rule train_embedded: a small model trained from scratch on the study's mixture of tasks."""

from pathlib import Path

from job import start, store


def main(smk):
    import torch

    from timelapse.models.checkpoints import publish
    from timelapse.models.device import Device
    from timelapse.models.embedded import train_embedded
    from timelapse.models.training_store import TrainingFolder, training_key
    from timelapse.tasks.dataset import read_texts
    from timelapse.tasks.spec import load_spec

    torch.set_num_threads(smk.threads)
    model, files = smk.params.model, [*smk.input.datasets, *smk.input.specs]
    words = {word for spec in smk.input.specs for word in load_spec(Path(spec)).words()}
    texts = {path.parent.name: read_texts(path) for path in map(Path, smk.input.datasets)}
    Device.for_training(smk.params.tf32)
    key = training_key(map(Path, files), [model, smk.params.code])
    folder = TrainingFolder(store(), smk.wildcards.model, key)
    train_embedded(
        model["settings"],
        sorted(words),
        texts,
        model["seed"],
        folder,
        keep=lambda _, checkpoint: publish(checkpoint, Path(smk.output[0])),
    )
    folder.finish()


if "snakemake" in globals():
    start(main, snakemake)
