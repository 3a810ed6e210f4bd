# The study, checked before anything runs, and what all stages share.
import sys

RULES = Path(workflow.current_basedir.get_path_or_uri(True)).resolve()
SCRIPTS = RULES.parent / "workflow" / "scripts"
sys.path.insert(0, str(SCRIPTS))

from timelapse.circuits.comparison.pairs import compared_steps
from timelapse.errors import UserError
from timelapse.preflight import check_circuit_size, check_embedded_models
from timelapse.provenance import code_digest
from timelapse.requests import Requests
from timelapse.results import results
from timelapse.study import read_study
from timelapse.tasks.spec import load_spec

try:
    STUDY = read_study(config, workflow.configfiles, Path("tasks"))
    SPECS = {task: load_spec(f"tasks/{task}.yaml") for task in STUDY.tasks}
    check_circuit_size(STUDY)
    check_embedded_models(STUDY, SPECS)
except UserError as error:
    raise WorkflowError(str(error)) from None

REQUESTS = Requests(STUDY, SPECS)


def asks(request, *arguments):
    """Memory and minutes that grow with every attempt; asked for anew when a job's input is there."""
    return {
        "mem_mb": lambda wildcards, attempt: request(*arguments).mem_mb(attempt),
        "runtime": lambda wildcards, attempt: request(*arguments).runtime(attempt),
    }


def drawn(wildcards, shown):
    """The steps that a picture or film stands on: those of the film, and the picture's own."""
    return sorted({*shown, int(wildcards.get("step", 0))})


# Scripts read here, and not among their params, what no result stands on.
config.update(store=STUDY.store, activations=STUDY.activations, probes=STUDY.probes)


wildcard_constraints:
    run="|".join(STUDY.runs),
    task="|".join(STUDY.tasks),
    model="|".join(STUDY.models),
    step=r"\d{6}",
