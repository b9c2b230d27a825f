rule publish:
    input:
        "stages/processed",
    output:
        touch("stages/published"),
    log:
        "logs/stage-publish.log",
    shell:
        "{THALWEG} campaign publish . > {log} 2>&1"
