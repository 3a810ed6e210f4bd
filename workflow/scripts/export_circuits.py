"""Rule export_circuits: the circuits of a run on one task as GraphML and for the MIB benchmark."""

from pathlib import Path

from job import start


def main(smk):
    from timelapse.circuits.export import Circuit, graphml, importances, width
    from timelapse.circuits.score_tables import ScoredEdges

    scored = ScoredEdges.read(smk.input.edges)
    d_model = width(Path(smk.input.checkpoint, "config.json"))
    outputs = zip(scored.steps, smk.output.graphml, smk.output.importances, strict=True)
    for step, graph, scores in outputs:
        circuit = Circuit.strongest(scored, step, smk.params.method, smk.params.edges)
        about = {
            "run": smk.params.run,
            "task": smk.params.task,
            "step": step,
            "method": smk.params.method,
            "chosen_edges": smk.params.edges,
        }
        Path(graph).write_text(graphml(circuit, about), encoding="utf-8")
        Path(scores).write_text(importances(circuit, d_model), encoding="utf-8")


if "snakemake" in globals():
    start(main, snakemake)
