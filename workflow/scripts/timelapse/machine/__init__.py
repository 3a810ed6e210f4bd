"""The machine that a job runs on: its GPUs, its disks, and the Snakemake that started the job."""
