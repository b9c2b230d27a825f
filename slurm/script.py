"""The script that a job runs: it finds its batch in a list and becomes the worker."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from thalweg.campaign.dispatch import Request

WORK = (sys.executable, "-P", "-m", "thalweg.cli.main", "work")
"""The worker's command, without the batch."""

_TEXT = """\
#!/bin/sh
# Job {name}: element N works through the batch that line N of the list beside this script names.
element=${{SLURM_ARRAY_TASK_ID:-${{SGE_TASK_ID:-1}}}}
[ "$element" != undefined ] || element=1
manifest=$(sed -n "${{element}}p" {list})
exec {work} "$manifest" >>{logs}/"$(basename "$manifest" .json)".log 2>&1
"""


def write_script(folder: Path, request: Request) -> Path:
    """Write ``jobs/<name>.sh`` and its list in a campaign's folder, for a log a batch in ``logs``."""
    jobs, logs = folder / "jobs", folder / "logs"
    for each in (jobs, logs):
        each.mkdir(parents=True, exist_ok=True)
    manifests = jobs / f"{request.name}.list"
    manifests.write_text("".join(f"{path}\n" for path in request.manifests), encoding="utf-8")
    script = jobs / f"{request.name}.sh"
    script.write_text(
        _TEXT.format(
            name=request.name,
            list=shlex.quote(str(manifests)),
            work=shlex.join(WORK),
            logs=shlex.quote(str(logs)),
        ),
        encoding="utf-8",
    )
    script.chmod(0o775)
    return script
