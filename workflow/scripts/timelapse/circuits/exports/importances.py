"""A scored graph in the format of the MIB benchmark's circuit localisation track.

It is what `Graph.to_json` of the reference EAP-IG library writes (github.com/hannamw/EAP-IG), and
what submissions to the benchmark contain as importances.json (Mueller et al., "MIB: A Mechanistic
Interpretability Benchmark", 2025). The benchmark attributes to a loss, the negative logit
difference, so that there a *positive* score means that the edge helps. Scores are therefore written
with the opposite sign of this workflow's.
"""

import json
from pathlib import Path

from timelapse.circuits.exports.circuit import Circuit, plain
from timelapse.errors import UserError
from timelapse.models.checksums import verify


def importances(circuit: Circuit, d_model: int) -> str:
    """All edges with their scores, positive if they help, and whether they are in the circuit.

    The benchmark gives every head its own keys and values. Where heads share them, an edge into a
    shared one is written once for each of its heads, with an equal part of its score, so that sums
    over edges stay what they are; only for heads of the circuit it is marked as in it. How the
    score really divides among the heads is not known.

    Args:
        circuit: what to write.
        d_model: the width of the residual stream, which the format's configuration names.
    """
    shape = circuit.shape
    inside = {node.name for node in circuit.nodes}
    names = [*(source.name for source in shape.sources), "logits"]
    edges = {}
    for number, source, target, readers in circuit.edges():
        port = f"<{target.kind}>" if target.head is not None else ""
        score = -plain(circuit.scores[number] / len(readers)) + 0.0
        for reader in readers:
            kept = bool(circuit.kept[number]) and reader.name in inside
            edges[f"{source.name}->{reader.name}{port}"] = {"score": score, "in_graph": kept}
    document = {
        "cfg": {
            "n_layers": shape.n_layers,
            "n_heads": shape.n_heads,
            "parallel_attn_mlp": shape.parallel,
            "d_model": d_model,
        },
        "nodes": {name: {"in_graph": name in inside} for name in names},
        "edges": edges,
    }
    return json.dumps(document) + "\n"


def width(config: Path) -> int:
    """The width of the residual stream, from a checkpoint's config.json.

    Raises:
        UserError: the file cannot be read or does not say.
    """
    verify(config.parent, lambda name: name == config.name)
    try:
        document = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            config, "", f"not a readable configuration ({error})", "Give a model folder"
        ) from error
    for name in ("hidden_size", "n_embd", "d_model"):
        if isinstance(document.get(name), int):
            return document[name]
    raise UserError(
        config, "hidden_size", "the model's width is missing", "Add it, or leave the export out"
    )
