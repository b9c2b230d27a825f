"""The masks that come with a view, in the codes of MUSCATE products."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from thalweg.demo.scene import View

Codes = NDArray[np.uint8]
"""Rows x columns of bit fields."""

SUN_LOW = math.cos(math.radians(80))
"""Cosine of the incidence from which the slope correction is not to be trusted."""
SUN_TANGENT = math.cos(math.radians(86))
"""Cosine of the incidence at which the sun only grazes the ground."""


def cloud_mask(view: View) -> Codes:
    """CLM: 1, 2 and 4 thick clouds, 8 multi-temporal, 16 thinnest, 32 and 64 shadows from inside and outside, 128 high.

    Shadows and all clouds but the thinnest have bit 1. Outside the swath 0.
    """
    sky = view.sky
    codes = np.zeros(sky.cloud.shape, np.uint8)
    codes[(sky.cloud > 0.02) & (sky.cloud <= 0.2)] = 16
    codes[sky.cloud > 0.2] = 1 | 2 | 4
    codes[view.taken_for_cloud] |= 1 | 2 | 8
    codes[sky.veil > 0.03] |= 16 | 128
    shadow = (sky.shadow > 0.12) & (sky.cloud <= 0.2) & ~view.taken_for_cloud
    codes[shadow & ~sky.from_outside] |= 1 | 32
    codes[shadow & sky.from_outside] |= 1 | 64
    codes[~sky.valid] = 0
    return codes


def geophysical_mask(view: View, clouds: Codes) -> Codes:
    """MG2: 1 water, 2 cloud, 4 snow, 8 cloud shadow, 16 topographic shadow, 64 sun too low, 128 sun tangent.

    `clouds` is the cloud mask. Outside the swath 0.
    """
    conditions = (
        (1, view.water),
        (2, clouds & 2 > 0),
        (4, (view.snow > 0.5) & (clouds == 0) & (view.place.tree_cover < 60)),
        (8, clouds & (32 | 64) > 0),
        (16, view.light.depth > 0),
        (64, view.light.incidence < SUN_LOW),
        (128, view.light.incidence < SUN_TANGENT),
    )
    codes = np.zeros(clouds.shape, np.uint8)
    for bit, where in conditions:
        codes[where & view.sky.valid] |= np.uint8(bit)
    return codes


def edge_mask(view: View) -> Codes:
    """EDG: 1 outside the swath."""
    return (~view.sky.valid).astype(np.uint8)
