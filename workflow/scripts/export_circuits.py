"""Rule export_circuits: the circuits of a run on one task as GraphML and for the MIB benchmark."""

from pathlib import Path

from job import start, without_pandas


def main(smk):
    without_pandas()
    from timelapse.circuits.export import ExportedCircuit, graphml, importances, width
    from timelapse.circuits.score_tables import ScoredEdges
    from timelapse.paths import step_folder
    from timelapse.steps import step_name

    job, folder = smk.params.job, Path(smk.output.circuits)
    scored = ScoredEdges.read(smk.input.edges)
    first = step_folder(smk.input.checkpoints, scored.steps[0])
    d_model = width(first / "config.json")
    folder.mkdir()
    for step in scored.steps:
        circuit = ExportedCircuit.strongest(scored, step, job["method"], job["edges"])
        about = {
            "run": job["run"],
            "task": job["task"],
            "step": step,
            "method": job["method"],
            "chosen_edges": job["edges"],
        }
        name = f"step-{step_name(step)}"
        text = graphml(circuit, about)
        (folder / f"{name}.graphml").write_text(text, encoding="utf-8")
        text = importances(circuit, d_model)
        (folder / f"{name}.importances.json").write_text(text, encoding="utf-8")


if "snakemake" in globals():
    start(main, snakemake)
