# The store of activations, which probes fill and read; it is no output of any rule.
rule store_report:
    log:
        "logs/store_report.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    resources:
        **tables_of(1),
    params:
        store=STUDY.store,
        cap_gb=STUDY.activations.cap_gb,
    message:
        "Looking through the store of activations"
    script:
        "../workflow/scripts/store_report.py"
