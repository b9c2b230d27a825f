"""What receipts say of costs and errors."""

from __future__ import annotations

from typing import Any

from thalweg.campaign.receipt import State
from thalweg.errors import ThalwegError
from thalweg.worker.measure import Cost


def measured(cost: Cost) -> dict[str, Any]:
    """A cost as the fields of a receipt."""
    return {
        "begun": cost.begun,
        "ended": cost.ended,
        "cpu_seconds": round(cost.cpu_seconds, 4),
        "peak_memory_mb": round(cost.peak_memory_mb, 1),
        "bytes_in": cost.bytes_in,
    }


def told(state: State, error: ThalwegError | None) -> dict[str, Any]:
    """An error, or none, as the fields of a receipt."""
    if error is None:
        return {"kind": "done"}
    advice = error.what_to_do if state == "failed" else ""
    return {"kind": error.kind, "error": error.message, "error_id": error.id or "", "advice": advice}
