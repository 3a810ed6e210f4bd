# Measurements of checkpoints on tasks. Every probe of timelapse/probes/registry.py has its rule
# here; a job measures the checkpoints of a part and writes a file for each table.
# What the rules below have in common; by itself it makes nothing.
rule measure:
    input:
        checkpoints=paths.CHECKPOINTS,
        dataset=paths.fill(paths.DATASET, split="test"),
    log:
        "logs/measure.log",
    conda:
        "../envs/torch.yaml"
    threads: 1
    script:
        "../workflow/scripts/probe.py"


use rule measure as win_rate with:
    output:
        **filled("win_rate"),
    log:
        "logs/win_rate/{run}-{task}-{part}.log",
    benchmark:
        "logs/benchmarks/win_rate/{run}-{task}-{part}.tsv"
    resources:
        **measuring("win_rate"),
        gpu=1,
    params:
        job=measurement("win_rate"),
    message:
        "Measuring the win rate of run {wildcards.run} on {wildcards.task}: {wildcards.part}"


use rule measure as logit_diff with:
    output:
        **filled("logit_diff"),
    log:
        "logs/logit_diff/{run}-{task}-{part}.log",
    benchmark:
        "logs/benchmarks/logit_diff/{run}-{task}-{part}.tsv"
    resources:
        **measuring("logit_diff"),
        gpu=1,
    params:
        job=measurement("logit_diff"),
    message:
        "Decomposing the logit difference of run {wildcards.run} on {wildcards.task}: {wildcards.part}"


use rule measure as patching with:
    output:
        **filled("patching"),
    log:
        "logs/patching/{run}-{task}-{part}.log",
    benchmark:
        "logs/benchmarks/patching/{run}-{task}-{part}.tsv"
    resources:
        **measuring("patching"),
        gpu=1,
    params:
        job=measurement("patching"),
    message:
        "Patching clean activations into corrupted prompts: run {wildcards.run} on {wildcards.task}: {wildcards.part}"


use rule measure as attention with:
    output:
        **filled("attention"),
    log:
        "logs/attention/{run}-{task}-{part}.log",
    benchmark:
        "logs/benchmarks/attention/{run}-{task}-{part}.tsv"
    resources:
        **measuring("attention"),
        gpu=1,
    params:
        job=measurement("attention"),
    message:
        "Reading the attention of run {wildcards.run} on {wildcards.task}: {wildcards.part}"


use rule measure as head_roles with:
    output:
        **filled("head_roles"),
    log:
        "logs/head_roles/{run}-{task}-{part}.log",
    benchmark:
        "logs/benchmarks/head_roles/{run}-{task}-{part}.tsv"
    resources:
        **measuring("head_roles"),
        gpu=1,
    params:
        job=measurement("head_roles"),
    message:
        "Scoring the heads of run {wildcards.run} on {wildcards.task}: {wildcards.part}"


use rule measure as logit_lens with:
    output:
        **filled("logit_lens"),
    log:
        "logs/logit_lens/{run}-{task}-{part}.log",
    benchmark:
        "logs/benchmarks/logit_lens/{run}-{task}-{part}.tsv"
    resources:
        **measuring("logit_lens"),
        gpu=1,
    params:
        job=measurement("logit_lens"),
    message:
        "Reading the layers of run {wildcards.run} on {wildcards.task}: {wildcards.part}"


use rule measure as edges with:
    output:
        **filled("edges"),
    log:
        "logs/edges/{run}-{task}-{part}.log",
    benchmark:
        "logs/benchmarks/edges/{run}-{task}-{part}.tsv"
    resources:
        **measuring("edges"),
        gpu=1,
    params:
        job=measurement("edges"),
    message:
        "Scoring the edges of run {wildcards.run} on {wildcards.task}: {wildcards.part}"


use rule measure as faithfulness with:
    input:
        checkpoints=paths.CHECKPOINTS,
        dataset=paths.fill(paths.DATASET, split="validation"),
        edges=paths.table("edges"),
    output:
        **filled("faithfulness"),
    log:
        "logs/faithfulness/{run}-{task}-{part}.log",
    benchmark:
        "logs/benchmarks/faithfulness/{run}-{task}-{part}.tsv"
    resources:
        **measuring("faithfulness"),
        gpu=1,
    params:
        job=measurement("faithfulness"),
    message:
        "Measuring how faithful circuits are: run {wildcards.run} on {wildcards.task}: {wildcards.part}"


use rule measure as transfer with:
    input:
        checkpoints=paths.CHECKPOINTS,
        dataset=paths.fill(paths.DATASET, split="validation"),
        edges=circuits_of_all_tasks,
        edge_samples=samples_of_part,
    output:
        **filled("transfer"),
    log:
        "logs/transfer/{run}-{task}-{part}.log",
    benchmark:
        "logs/benchmarks/transfer/{run}-{task}-{part}.tsv"
    resources:
        **measuring("transfer"),
        gpu=1,
    params:
        job=measurement("transfer"),
    message:
        "Running circuits in other checkpoints: run {wildcards.run} on {wildcards.task}: {wildcards.part}"
