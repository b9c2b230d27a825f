# 42 says that units are missing: the account says which, and is complete.
rule report:
    input:
        "stages/published",
    output:
        "stages/account.json",
    shell:
        "{THALWEG} campaign account . --json > {output} || [ $? = 42 ]"
