"""The bands of a view, rendered strip by strip, so that a full tile needs no more memory than its fields."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thalweg.demo import spectra
from thalweg.demo.fractal import Field, doubled, halved, noise, smoothstep
from thalweg.demo.scene import Season, View, snow_share
from thalweg.demo.sky import Mask
from thalweg.demo.spectra import BANDS, FINE

Image = tuple[str, str]
"""Correction (FRE or SRE) and band, such as ("FRE", "B3")."""
Strip = Mapping[Image, NDArray[np.int16]]
"""Image to reflectance x 10000 on the band's own pixels, -10000 outside the swath."""

STRIP = 512
"""Rows of 20 m that are rendered at a time: whole rows of blocks of 512, so that each block is written once."""
NODATA = -10000
"""Stored number of pixels outside the swath."""
DARKEST, BRIGHTEST = -200, 24000
"""Smallest and largest stored reflectance x 10000."""
SHALLOWEST = 0.25
"""Light on a slope, against that on flat ground, below which the slope correction goes no further."""

_TEXTURE = {"forest": 0.22, "grass": 0.10, "rock": 0.16, "water": 0.03, "snow": 0.02}


@dataclass(frozen=True, slots=True)
class Surface:
    """A strip of ground and what lies above it, on the pixels of one group of bands."""

    weights: NDArray[np.float32]
    """Cover x rows x columns: share of the pixel times brightness."""
    sunlight: Field
    """Direct light of the sun against that on flat ground, shadows taken off."""
    slope_light: Field
    """The same without shadows, on smoother terrain: what the slope correction takes for true."""
    dusk: Field
    """Exponent of the skylight: 2 on open ground, more in deep shade."""
    opacity: Field
    """Of clouds and veil together, 0 to 1."""
    valid: Mask
    """Inside the swath."""


def rendered(view: View, images: Sequence[Image]) -> Iterator[tuple[int, Strip]]:
    """The images strip by strip, each with the first row of 20 m of its strip."""
    rows = view.margin.shape[0]
    for top in range(0, rows, STRIP):
        yield top, _strip(view, top, min(top + STRIP, rows), images)


def _strip(view: View, top: int, bottom: int, images: Sequence[Image]) -> Strip:
    fine = _surface(view, top, bottom)
    coarse = _halved(fine)
    covers = _covers(view.season)
    strip: dict[Image, NDArray[np.int16]] = {}
    for number, band in enumerate(BANDS):
        wanted = [kind for kind in ("FRE", "SRE") if (kind, band) in images]
        if not wanted:
            continue
        surface = fine if band in FINE else coarse
        reflectance = dict(zip(("FRE", "SRE"), _reflectance(surface, covers[number], number), strict=True))
        rng = np.random.default_rng([view.place.seed, 5, view.sensed.toordinal(), top, number])
        grain = noise(surface.opacity.shape, rng)
        for kind in wanted:
            strip[kind, band] = _stored(reflectance[kind], grain, surface.valid)
    return strip


def _covers(season: Season) -> NDArray[np.float32]:
    """Reflectance, bands x covers, in the order of the weights."""
    aged = np.float32(0.3 * season.age)
    snow = (1 - aged) * spectra.SNOW * spectra.FRESH_SWIR ** np.float32(1 - season.age) + aged * spectra.ICE
    return np.stack([spectra.FOREST, spectra.GRASS, spectra.ROCK, spectra.WATER, snow], axis=1)


def _surface(view: View, top: int, bottom: int) -> Surface:
    """The strip on pixels of 10 m, with the texture that 20 m do not show."""
    lumps = _lumps(view, top, bottom)

    def finer(field: Field) -> Field:
        return _finer(field, top, bottom)

    flat_light = np.float32(math.cos(math.radians(view.sun.zenith)))
    depth = finer(view.light.depth)
    unshaded = (1 - smoothstep(depth, 0, 6)) * (1 - finer(view.sky.shadow))
    opacity = 1 - (1 - finer(view.sky.cloud)) * (1 - finer(view.sky.veil))
    return Surface(
        weights=_weights(view, top, bottom, lumps),
        sunlight=finer(view.light.incidence) / flat_light * (1 + np.float32(0.03) * lumps) * unshaded,
        slope_light=finer(view.light.smooth) / flat_light,
        dusk=np.float32(3.3) - np.float32(1.3) * np.exp(depth * np.float32(-1 / 90)),
        opacity=opacity * (1 + np.float32(0.04) * lumps * opacity),
        valid=_repeated(view.sky.valid[top:bottom]),
    )


def _lumps(view: View, top: int, bottom: int) -> Field:
    """Texture of the ground, the same on every date: mean 0, standard deviation about 1."""
    rng = np.random.default_rng([view.place.seed, 6, top])
    columns = view.margin.shape[1]
    coarse = doubled(noise((bottom - top, columns), rng))
    return np.float32(0.9) * coarse + np.float32(0.4) * noise(coarse.shape, rng)


def _weights(view: View, top: int, bottom: int, lumps: Field) -> NDArray[np.float32]:
    """Shares of forest, grass, rock, water and snow, each with its texture."""
    water = _repeated(view.water[top:bottom])
    land = (~water).astype(np.float32)
    margin = _finer(view.margin, top, bottom)
    snow = snow_share(margin + 20 * lumps)
    cover = _finer(view.place.tree_cover[top:bottom].astype(np.float32), 0, bottom - top)
    # Crowns hide most of the ground that they cover, and carry a little snow themselves.
    forest = np.clip(cover * (np.float32(0.009) + np.float32(0.0012) * lumps), 0, 0.95)
    forest *= land * (1 - np.float32(0.12) * snow)
    bare = (land - forest) * (1 - snow)
    rocky = smoothstep(margin + 500 * lumps, -600, 900)
    shares = (forest, bare * (1 - rocky), bare * rocky, 1 - land, (land - forest) * snow)
    contrasts = map(np.float32, _TEXTURE.values())
    return np.stack(
        [share * (1 + contrast * lumps) for share, contrast in zip(shares, contrasts, strict=True)]
    )


def _reflectance(surface: Surface, covers: NDArray[np.float32], band: int) -> tuple[Field, Field]:
    """Reflectance with and without slope correction."""
    ground = np.tensordot(covers, surface.weights, axes=1)
    skylight = spectra.SKYLIGHT[band]
    sky = skylight * skylight
    sloped = ground * (np.exp(surface.dusk * np.log(skylight)) + (1 - sky) * surface.sunlight)
    flat = sloped / (sky + (1 - sky) * np.clip(surface.slope_light, SHALLOWEST, None))
    through = 1 - surface.opacity
    above = surface.opacity * spectra.CLOUD[band]
    return flat * through + above, sloped * through + above


def _stored(reflectance: Field, grain: Field, valid: Mask) -> NDArray[np.int16]:
    """Reflectance x 10000 with the sensor's noise."""
    counts = reflectance * np.float32(10000)
    counts += grain * (np.float32(12) + np.float32(0.0025) * counts)
    stored = np.asarray(np.clip(np.rint(counts), DARKEST, BRIGHTEST), np.int16)
    stored[~valid] = NODATA
    return stored


def _halved(fine: Surface) -> Surface:
    """The strip on pixels of 20 m."""
    return Surface(
        weights=np.stack([halved(weight) for weight in fine.weights]),
        sunlight=halved(fine.sunlight),
        slope_light=halved(fine.slope_light),
        dusk=halved(fine.dusk),
        opacity=halved(fine.opacity),
        valid=fine.valid[::2, ::2],
    )


def _finer(field: Field, top: int, bottom: int) -> Field:
    """Rows of a field of 20 m on pixels of 10 m, the same whatever the strip."""
    above, below = max(top - 1, 0), min(bottom + 1, field.shape[0])
    start = 2 * (top - above)
    return doubled(field[above:below])[start : start + 2 * (bottom - top)]


def _repeated(mask: Mask) -> Mask:
    return mask.repeat(2, axis=0).repeat(2, axis=1)
