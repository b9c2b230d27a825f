"""Where the sun stands, and how its light falls on terrain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from thalweg.demo.fractal import Field, doubled, halved
from thalweg.errors import BadParameters
from thalweg.granule import Sun, SunGrid
from thalweg.tile import Tile, lonlat

NODES = 23
"""Nodes of the angle grids of Sentinel-2 products, in each direction."""
STEP = 5000.0
"""Distance of the nodes, metres, counted from the tile's upper-left corner."""


@dataclass(frozen=True, slots=True)
class Light:
    """How the sun's direct light reaches each pixel."""

    incidence: Field
    """Cosine of the angle between the sun and the normal of the ground, 0 where the ground faces away."""
    smooth: Field
    """The same on smoother ground, as a coarser terrain model has it."""
    depth: Field
    """How far below the edge of the cast shadow the ground lies, metres; 0 in the sun."""


def sun_over(tile: Tile, sensed: datetime, extent: float) -> Sun:
    """Mean angles over the first `extent` metres of the tile, and the grids of the whole tile.

    Raises BadParameters where the sun is below 3 degrees: there is no winter scene at night.
    """
    nodes = np.linspace(0, STEP * (NODES - 1), NODES)
    zenith, azimuth = sun_at(sensed, *_degrees(tile, nodes[None, :], nodes[:, None]))
    middle = np.array([extent / 2])
    mean_zenith, mean_azimuth = sun_at(sensed, *_degrees(tile, middle, middle))
    if mean_zenith[0] > 87:
        raise BadParameters(
            f"the sun stands {90 - mean_zenith[0]:.1f} degrees high over {tile} at {sensed:%F %R} UTC"
        )
    return Sun(float(mean_zenith[0]), float(mean_azimuth[0]), SunGrid(zenith, azimuth, (STEP, STEP)))


def sun_at(
    sensed: datetime, lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Zenith and azimuth (clockwise from north) in degrees, good to a degree.

    Declination and equation of time: Spencer 1971, Fourier series representation of the position of the sun.
    """
    moment = sensed.astimezone(UTC) if sensed.tzinfo else sensed
    hours = moment.hour + moment.minute / 60 + moment.second / 3600
    year = 2 * math.pi * (moment.timetuple().tm_yday - 1 + (hours - 12) / 24) / 365
    declination = (
        0.006918
        - 0.399912 * math.cos(year)
        + 0.070257 * math.sin(year)
        - 0.006758 * math.cos(2 * year)
        + 0.000907 * math.sin(2 * year)
        - 0.002697 * math.cos(3 * year)
        + 0.00148 * math.sin(3 * year)
    )
    minutes = 229.18 * (
        0.000075
        + 0.001868 * math.cos(year)
        - 0.032077 * math.sin(year)
        - 0.014615 * math.cos(2 * year)
        - 0.040849 * math.sin(2 * year)
    )
    hour_angle = np.radians(15 * (hours - 12) + minutes / 4 + lon)
    phi = np.radians(lat)
    up = np.sin(phi) * math.sin(declination) + np.cos(phi) * math.cos(declination) * np.cos(hour_angle)
    north = np.cos(phi) * math.sin(declination) - np.sin(phi) * math.cos(declination) * np.cos(hour_angle)
    east = -math.cos(declination) * np.sin(hour_angle)
    return np.degrees(np.arccos(up)), np.degrees(np.arctan2(east, north)) % 360


def light(elevation: Field, pixel: float, sun: Sun) -> Light:
    """Incidence and cast shadow on the terrain (even rows and columns) under the mean sun."""
    cosine = incidence(elevation, pixel, sun)
    return Light(cosine, doubled(halved(cosine)), shadow_depth(elevation, pixel, sun))


def incidence(elevation: Field, pixel: float, sun: Sun) -> Field:
    """Cosine of the angle between the sun and the normal of each pixel, at least 0."""
    zenith, azimuth = math.radians(sun.zenith), math.radians(sun.azimuth)
    down, right = np.gradient(elevation, np.float32(pixel))
    cosine = np.float32(math.sin(zenith) * math.cos(azimuth)) * down
    cosine -= np.float32(math.sin(zenith) * math.sin(azimuth)) * right
    cosine += np.float32(math.cos(zenith))
    down *= down
    right *= right
    down += right
    down += 1
    cosine /= np.sqrt(down)
    return np.asarray(np.maximum(cosine, 0), np.float32)


def shadow_depth(elevation: Field, pixel: float, sun: Sun) -> Field:
    """Height of the shadow's edge above each pixel, metres, 0 in the sun."""
    azimuth = math.radians(sun.azimuth)
    fall = pixel / math.tan(math.radians(sun.zenith))
    return np.ascontiguousarray(_swept(elevation, -math.cos(azimuth), math.sin(azimuth), fall))


def _swept(field: Field, down: float, right: float, fall: float) -> Field:
    """Depth of the shadow that a sun down and right of the field casts, `fall` metres lower with each pixel."""
    if abs(down) < abs(right):
        return _swept(field.T, right, down, fall).T
    if down < 0:
        return _swept(field[::-1], -down, right, fall)[::-1]
    depth = np.zeros_like(field)
    edge, places = field[-1].copy(), np.arange(field.shape[1], dtype=np.float32)
    for row in range(field.shape[0] - 2, -1, -1):
        edge = np.interp(places + right / down, places, edge).astype(np.float32) - np.float32(fall / down)
        np.maximum(edge - field[row], 0, out=depth[row])
        np.maximum(edge, field[row], out=edge)
    return depth


def _degrees(
    tile: Tile, right: NDArray[np.float64], down: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitude and latitude of points so many metres right of and below the tile's corner."""
    left, top = tile.corner
    northing = top - down - (10_000_000 if tile.epsg > 32700 else 0)
    easting, northing = np.broadcast_arrays(left + right, northing)
    return lonlat(np.int64(tile.zone), easting, northing)
