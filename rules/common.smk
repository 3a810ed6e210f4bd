# The study, checked before anything runs, and what all stages share.
import os
import sys

ROOT = Path(workflow.current_basedir.get_path_or_uri(True)).resolve().parent
SCRIPTS = ROOT / "workflow" / "scripts"
sys.path.insert(0, str(SCRIPTS))

from timelapse import paths
from timelapse.errors import UserError
from timelapse.machine.shutdown import SNAKEMAKE
from timelapse.models.metric import METRICS
from timelapse.probes.registry import PROBES
from timelapse.provenance import code_digest
from timelapse.steps import PART, STEP, spread
from timelapse.study.checks import check_writable
from timelapse.study.study import checked
from timelapse.study.resources import Requests, for_attempts, settings_of
from timelapse.study.targets import remove_stale_parts, results

try:
    if workflow.is_main_process:
        check_writable(
            ".snakemake",
            "",
            "Run in a directory that can be written: Snakemake keeps its notes there",
        )
    STUDY, SPECS = checked(
        workflow.overwrite_configfiles or ["config.yaml"],
        workflow.config_settings.config,
    )
except UserError as error:
    raise WorkflowError(str(error)) from None

# A study that is given with --configfile stands alone. For Snakemake, which keeps what it reads
# here beside the results; the study itself has been read by a safer reader.
if not workflow.overwrite_configfiles:

    configfile: "config.yaml"


# Snakemake's own message does not spell the command out.
if workflow.is_main_process and any(Path(".snakemake/locks").glob("*.lock")):
    logger.warning(
        "Another Snakemake works in this directory, or one was killed here. "
        "If none works here any more: snakemake --unlock"
    )

# Jobs end with the Snakemake that runs them: this one, or on a cluster's node the one there.
if not workflow.subprocess_exec:
    os.environ[SNAKEMAKE] = str(os.getpid())

# Scripts read here, and not among their params, what no result depends on.
os.environ.update(
    TIMELAPSE_STORE=STUDY.store, TIMELAPSE_CACHE_GB=str(STUDY.activations.cap_gb)
)
# glibc would give the memory of large tensors back after each use, and clear it for the next.
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", "8000000000")
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", "4000000000")

REQUESTS = Requests(STUDY, SPECS)
METHOD = settings_of(STUDY, "edges").methods[0]
MOST_STEPS = max(len(run.steps) for run in STUDY.runs.values())


def run_of(wildcards):
    return STUDY.runs[wildcards.run]


def tables_of(steps):
    """Memory and minutes to read, write or draw tables of so many steps."""
    return for_attempts(lambda wildcards: REQUESTS.tables(steps))


onstart:
    try:
        check_writable(
            "results", "", "Make it writable, or run in a directory that is"
        )
        # The store of a cluster may lie on disks that its nodes alone have.
        if workflow.local_exec and any(
            "gpu" in job.rule.resources for job in workflow.dag.needrun_jobs()
        ):
            check_writable(
                STUDY.store,
                "store",
                "Make it writable, or name another folder in the config",
            )
    except UserError as error:
        raise WorkflowError(str(error)) from None
    remove_stale_parts(STUDY.runs.values(), logger.info)


onsuccess:
    remove_stale_parts(STUDY.runs.values(), logger.info)


wildcard_constraints:
    run="|".join(STUDY.runs),
    task="|".join(STUDY.tasks),
    model="|".join(STUDY.models),
    step=STEP,
    part=PART,
