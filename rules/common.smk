# The study, checked before anything runs, and what all stages share.
import os
import sys

RULES = Path(workflow.current_basedir.get_path_or_uri(True)).resolve()
SCRIPTS = RULES.parent / "workflow" / "scripts"
sys.path.insert(0, str(SCRIPTS))

from timelapse.circuits.comparison.circuit_sets import compared_steps
from timelapse.errors import UserError
from timelapse.machine.shutdown import SNAKEMAKE
from timelapse.provenance import code_digest
from timelapse.study.checks import check_writable, checked
from timelapse.study.requests import Requests
from timelapse.study.targets import results

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

REQUESTS = Requests(STUDY, SPECS)


def asks(request, *arguments):
    """Memory and minutes that grow with every attempt; asked for anew when a job's input is there.

    An argument may be a function of the job's wildcards.
    """

    def of(wildcards):
        return request(*(one(wildcards) if callable(one) else one for one in arguments))

    return {
        "mem_mb": lambda wildcards, attempt: of(wildcards).mem_mb(attempt),
        "runtime": lambda wildcards, attempt: of(wildcards).runtime(attempt),
    }


def drawn(wildcards, shown):
    """The steps that a picture or film stands on: those of the film, and the picture's own."""
    return sorted({*shown, int(wildcards.get("step", 0))})


# Scripts read here, and not among their params, what no result stands on.
config.update(
    store=STUDY.store,
    activations=STUDY.activations.model_dump(),
    probes={name: probe.model_dump() for name, probe in STUDY.probes.items()},
)


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


wildcard_constraints:
    run="|".join(STUDY.runs),
    task="|".join(STUDY.tasks),
    model="|".join(STUDY.models),
    step=r"\d{6}",
