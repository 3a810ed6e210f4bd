"""The columns of a dataset."""

from collections.abc import Sequence

import pyarrow as pa

POSITION = pa.struct([("label", pa.string()), ("start", pa.int32()), ("end", pa.int32())])


def dataset_schema(corruptions: Sequence[str]) -> pa.Schema:
    """The schema of a dataset with these corruptions.

    Positions are character offsets into the clean prompt, their end exclusive; the last label of
    every row is `end`, the prompt's last word. `answer_NAME` is null where the corrupted prompt has
    no single answer.
    """
    fields = [
        pa.field("example_id", pa.int64(), nullable=False),
        pa.field("template", pa.string(), nullable=False),
        pa.field("prompt", pa.string(), nullable=False),
        pa.field("answer", pa.string(), nullable=False),
        pa.field("foils", pa.list_(pa.string()), nullable=False),
        pa.field("positions", pa.list_(POSITION), nullable=False),
    ]
    for name in corruptions:
        fields += [
            pa.field(f"corrupted_{name}", pa.string(), nullable=False),
            pa.field(f"answer_{name}", pa.string()),
        ]
    return pa.schema(fields)
