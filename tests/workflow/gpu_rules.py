"""Which rules are to say `gpu=1`, and how a rule is told by its name."""

GPU_RULES = {
    *("train_embedded", "finetune"),
    *("win_rate", "logit_diff", "patching", "attention", "head_roles", "logit_lens"),
    *("edges", "control_edges", "faithfulness", "transfer"),
}
TRAINING = {"train_embedded", "finetune"}


def kind(rule: str) -> str:
    """What a rule's name says before the run `tiny`: `edges` of `edges_tiny`."""
    return rule.partition("_tiny")[0]
