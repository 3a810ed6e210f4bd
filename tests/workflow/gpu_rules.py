"""Which rules are to say `gpu=1`."""

from timelapse.probes.registry import PROBES

TRAINING = {"train_embedded", "finetune"}
GPU_RULES = TRAINING | set(PROBES)
