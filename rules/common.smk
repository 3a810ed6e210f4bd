# The study, checked before anything runs, and what all stages share.
import sys

RULES = Path(workflow.current_basedir.get_path_or_uri(True)).resolve()
SCRIPTS = RULES.parent / "workflow" / "scripts"
sys.path.insert(0, str(SCRIPTS))

from timelapse.errors import told_as
from timelapse.preflight import checked
from timelapse.provenance import library_files
from timelapse.results import results
from timelapse.study import read_config

with told_as(WorkflowError):
    if Path("config.yaml").exists() or not workflow.configfiles:
        read_config("config.yaml")


configfile: "config.yaml"


with told_as(WorkflowError):
    STUDY, SPECS = checked(config, workflow.configfiles, Path("tasks"))

# Scripts read here, and not among their params, what no result stands on.
config.update(store=STUDY.store, activations=STUDY.activations, probes=STUDY.probes)


wildcard_constraints:
    run="|".join(STUDY.runs),
    task="|".join(STUDY.tasks),
    model="|".join(STUDY.models),
    step=r"\d{6}",
