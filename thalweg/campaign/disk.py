"""Watermark on disk: submission pauses before the destination is full, and goes on when there is room again."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from thalweg.campaign.lease import Control
from thalweg.campaign.ledger import Ledger
from thalweg.campaign.site_file import Site

CAUSE = "disk"
"""Who paused, where it was a lack of room."""

_RETRY_AFTER = 300.0


@dataclass(frozen=True, slots=True)
class Room:
    """Room at a place."""

    bytes: int
    """Bytes that may still be written."""
    inodes: int | None
    """Files that may still be made, None where the file system has no such limit."""

    def shortage(self, site: Site) -> str:
        """What is less than the site's watermark, empty where nothing is."""
        if self.bytes < site.min_free_gb * 1e9:
            return f"{self.bytes / 1e9:.1f} GB free, less than {site.min_free_gb:g} GB"
        if self.inodes is not None and self.inodes < site.min_free_inodes:
            return f"room for {self.inodes} files, less than {site.min_free_inodes}"
        return ""


def room_at(path: Path) -> Room:
    """The room at a path, or where it will be made."""
    place = next(each for each in (path, *path.parents) if each.exists())
    found = os.statvfs(place)
    return Room(found.f_bavail * found.f_frsize, found.f_favail if found.f_files else None)


def watch_disk(ledger: Ledger, destination: Path, site: Site, now: float | None = None) -> Control:
    """Pause the campaign where room is short, resume what paused for it; how it stands comes back.

    A pause that a job's own failure caused, such as a quota that only writing shows, ends after five minutes of room.
    """
    now = time.time() if now is None else now
    control = ledger.control()
    shortage = room_at(destination).shortage(site)
    if shortage and control.mode == "running":
        ledger.steer("paused", f"{destination}: {shortage}", CAUSE)
    elif not shortage and control.mode == "paused" and control.cause == CAUSE:
        was_seen = control.why.startswith(f"{destination}: ")
        if was_seen or (control.since and now - control.since.timestamp() > _RETRY_AFTER):
            ledger.steer("running", "there is room again", CAUSE)
    return ledger.control()
