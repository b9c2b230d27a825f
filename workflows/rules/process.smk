rule process:
    input:
        "stages/forecast.json",
    output:
        touch("stages/processed"),
    log:
        "logs/stage-process.log",
    shell:
        "{THALWEG} campaign run . {ENGINE} >> {log} 2>&1"
