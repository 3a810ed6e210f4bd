# The store of activations, which probes fill and read; it is no output of any rule.
rule store_report:
    message:
        "Looking through the store of activations"
    localrule: True
    params:
        store=STUDY.store,
        cap_gb=STUDY.activations["cap_gb"],
    log:
        "logs/store_report.log",
    conda:
        "../envs/figures.yaml"
    script:
        "../workflow/scripts/store_report.py"
