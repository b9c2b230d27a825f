"""The batches of one shard as jobs of an executor plug-in: snakemake --snakefile shard.smk --directory FOLDER/shards/NAME

For sites that run everything as Snakemake jobs; `shard.json` names the batches and what each is given. A job that leaves
units (40) has done its part: the ledger sends what is left again.
"""


configfile: "shard.json"


rule all:
    input:
        expand("{batch}.done", batch=config["batches"]),


rule work:
    input:
        "../../batches/{batch}.json",
    output:
        touch("{batch}.done"),
    log:
        "../../logs/{batch}.log",
    threads: config["cores"]
    resources:
        mem_mb=config["memory_mb"],
        runtime=config["minutes"],
    shell:
        "{config[thalweg]} work {input} >> {log} 2>&1 || [ $? = 40 ]"
