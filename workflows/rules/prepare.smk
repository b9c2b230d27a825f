rule prepare:
    input:
        "plan/plan.json",
    output:
        "stages/forecast.json",
    log:
        "logs/stage-prepare.log",
    shell:
        "{THALWEG} campaign forecast . --json > {output} 2> {log}"
