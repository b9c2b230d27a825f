"""DN4 as the specification of the water chain says it (2.1), number by number, in exact decimals."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext


def dn4(stored: int, scale: str, offset: str, nodata: int | None) -> int:
    with localcontext(prec=60):
        value = Decimal(stored) * Decimal(scale) + Decimal(offset)
        counts = math.floor(value * 10000 + Decimal("0.5"))
    return -10000 if stored == nodata else min(max(counts, -2000), 32767)
