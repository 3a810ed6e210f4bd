"""All models whose circuit is known, by name."""

from circuits.ground_truth.induction import induction_truth
from circuits.ground_truth.lookup import lookup_truths

TRUTHS = {"induction": induction_truth(), **lookup_truths()}
