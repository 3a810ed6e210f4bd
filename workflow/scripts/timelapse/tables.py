"""The schemas of all tables that are measured: tidy, one value a row, the step first.

Every column is explained in docs/tables.md.
"""

import pyarrow as pa

_STEP = pa.field("step", pa.int32(), nullable=False)


def table(*fields: tuple[str, pa.DataType]) -> pa.Schema:
    """The schema of a table: its step, then these columns."""
    return pa.schema([_STEP, *(pa.field(name, kind) for name, kind in fields)])


TRAINING = table(
    ("loss", pa.float32()),
    ("learning_rate", pa.float32()),
    ("tokens", pa.int64()),
    ("seconds", pa.float32()),
)
WIN_RATE = table(
    ("n", pa.int32()),
    ("wins", pa.int32()),
    ("win_rate", pa.float32()),
    ("ci_low", pa.float32()),
    ("ci_high", pa.float32()),
    ("logit_diff", pa.float32()),
    ("logit_diff_se", pa.float32()),
    ("answer_probability", pa.float32()),
    ("metric", pa.string()),
    ("metric_value", pa.float32()),
    ("metric_se", pa.float32()),
)
LOGIT_DIFF = table(
    ("decomposition", pa.string()),
    ("component", pa.string()),
    ("layer", pa.float32()),
    ("head", pa.int32()),
    ("value", pa.float32()),
    ("std_error", pa.float32()),
)
EDGES = table(
    ("corruption", pa.string()),
    ("method", pa.string()),
    ("source", pa.string()),
    ("target", pa.string()),
    ("score", pa.float32()),
    ("std_error", pa.float32()),
)
EDGE_SAMPLES = table(
    ("corruption", pa.string()),
    ("method", pa.string()),
    ("example", pa.int32()),
    ("scores", pa.list_(pa.float32())),
)
EDGES_BY_POSITION = table(
    ("corruption", pa.string()),
    ("method", pa.string()),
    ("source", pa.string()),
    ("target", pa.string()),
    ("position", pa.string()),
    ("score", pa.float32()),
    ("std_error", pa.float32()),
)
FAITHFULNESS = table(
    ("corruption", pa.string()),
    ("method", pa.string()),
    ("fraction", pa.float32()),
    ("n_edges", pa.int32()),
    ("faithfulness", pa.float32()),
    ("ci_low", pa.float32()),
    ("ci_high", pa.float32()),
    ("completeness", pa.float32()),
    ("weighted_size", pa.float32()),
)
CIRCUIT_QUALITY = table(
    ("corruption", pa.string()),
    ("method", pa.string()),
    ("measure", pa.string()),
    ("value", pa.float32()),
    ("ci_low", pa.float32()),
    ("ci_high", pa.float32()),
)
HEADS = table(
    ("layer", pa.int32()),
    ("head", pa.int32()),
    ("score", pa.float32()),
    ("ci_low", pa.float32()),
    ("ci_high", pa.float32()),
    ("label", pa.string()),
)
COMPARISON = pa.schema(
    [
        pa.field("step_a", pa.int32(), nullable=False),
        pa.field("step_b", pa.int32(), nullable=False),
        ("task_a", pa.string()),
        ("task_b", pa.string()),
        ("measure", pa.string()),
        ("value", pa.float32()),
        ("ci_low", pa.float32()),
        ("ci_high", pa.float32()),
        ("null_mean", pa.float32()),
    ]
)
SUMMARY = pa.schema(
    [
        ("run", pa.string()),
        ("task", pa.string()),
        ("measure", pa.string()),
        ("value", pa.float32()),
        ("ci_low", pa.float32()),
        ("ci_high", pa.float32()),
        ("null_mean", pa.float32()),
    ]
)
PATCHING = table(
    ("corruption", pa.string()),
    ("site", pa.string()),
    ("layer", pa.int32()),
    ("head", pa.int32()),
    ("position", pa.string()),
    ("value", pa.float32()),
    ("std_error", pa.float32()),
)
ATTENTION = table(
    ("layer", pa.int32()),
    ("head", pa.int32()),
    ("query", pa.string()),
    ("key", pa.string()),
    ("value", pa.float32()),
    ("std_error", pa.float32()),
)
ATTENTION_CHANGE = table(
    ("layer", pa.int32()),
    ("head", pa.int32()),
    ("value", pa.float32()),
    ("ci_low", pa.float32()),
    ("ci_high", pa.float32()),
    ("rank", pa.int32()),
)
ATTENTION_PATTERN = table(
    ("example_id", pa.int64()),
    ("head", pa.string()),
    ("query_position", pa.int32()),
    ("query_token", pa.string()),
    ("key_position", pa.int32()),
    ("key_token", pa.string()),
    ("value", pa.float32()),
)
HEAD_ROLES = table(
    ("layer", pa.int32()),
    ("head", pa.int32()),
    ("role", pa.string()),
    ("score", pa.float32()),
    ("std_error", pa.float32()),
    ("holds", pa.bool_()),
)
LOGIT_LENS = table(
    ("place", pa.string()),
    ("layer", pa.int32()),
    ("token", pa.string()),
    ("measure", pa.string()),
    ("value", pa.float32()),
    ("std_error", pa.float32()),
)
LOGIT_LENS_TOP = table(
    ("place", pa.string()),
    ("layer", pa.int32()),
    ("token", pa.string()),
    ("probability", pa.float32()),
    ("share", pa.float32()),
)

SCHEMAS: dict[str, pa.Schema] = {
    "training": TRAINING,
    "win_rate": WIN_RATE,
    "logit_diff": LOGIT_DIFF,
    "patching": PATCHING,
    "attention": ATTENTION,
    "attention_change": ATTENTION_CHANGE,
    "attention_pattern": ATTENTION_PATTERN,
    "head_roles": HEAD_ROLES,
    "logit_lens": LOGIT_LENS,
    "logit_lens_top": LOGIT_LENS_TOP,
    "edges": EDGES,
    "edge_samples": EDGE_SAMPLES,
    "edges_by_position": EDGES_BY_POSITION,
    "faithfulness": FAITHFULNESS,
    "circuit_quality": CIRCUIT_QUALITY,
    "transfer": COMPARISON,
    "comparison": COMPARISON,
    "heads": HEADS,
    "summary": SUMMARY,
}
"""The schema of every table by its name."""


def without_step(schema: pa.Schema) -> pa.Schema:
    """The columns that a probe measures; the step is added when its table is written."""
    return schema.remove(schema.get_field_index("step"))
