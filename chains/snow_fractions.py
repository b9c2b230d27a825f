"""Fraction, uncertainty and quality layers of the snow chain, in both profiles."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from thalweg.chains.snow_parameters import Snow
from thalweg.kernels import fraction

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from thalweg.scene import Scene

    Bands = tuple[NDArray[np.int16], NDArray[np.int16]]

_lis_ground_table = cache(fraction.og_table)
_toc_classes = cache(fraction.qc_toc_table)
_ground_classes = cache(fraction.qc_og_table)


def lis_fractions(
    scene: Scene, seb: NDArray[np.uint8], bands: Bands, parameters: Snow
) -> dict[str, NDArray[np.uint8]]:
    """Fraction and quality layers of `lis-1.11`."""

    def layer() -> NDArray[np.uint8]:
        return np.empty(scene.shape, np.uint8)

    ndsi, toc, shaded = layer(), layer(), layer()
    fraction.ndsi_lis(seb, *bands, ndsi)
    fraction.fsc_toc_lis(seb, ndsi, fraction.toc_table(*parameters.fsc_toc_eq), toc)
    fraction.fsc_toc_hs_lis(scene.state, toc, shaded)
    layers = {"ndsi": ndsi, "fsc_toc": toc, "fsc_toc_hs": shaded}
    if "tcd" not in scene:
        return layers
    ground, flags, toc_class, ground_class = layer(), layer(), layer(), layer()
    fraction.fsc_og_lis(seb, shaded, scene.tcd, _lis_ground_table(), ground)
    fraction.qcflags_lis(scene.state, scene.values.get("slope"), scene.tcd, shaded, flags)
    fraction.qc_toc(flags, shaded, _toc_classes(), toc_class)
    fraction.qc_og(flags, scene.tcd, ground, _ground_classes(), ground_class)
    return {**layers, "fsc_og": ground, "qcflags": flags, "qctoc": toc_class, "qcog": ground_class}


def fractions(
    scene: Scene, seb: NDArray[np.uint8], bands: Bands, parameters: Snow
) -> dict[str, NDArray[np.uint8]]:
    """Fraction, uncertainty and quality layers of `default`."""
    tcd = scene.values.get("tcd")
    names = ["ndsi", "fsc_toc", "fsc_toc_unc", "qcflags", "qctoc"]
    names += ["fsc_og", "fsc_og_unc", "qcog"] if tcd is not None else []
    layers = {name: np.empty(scene.shape, np.uint8) for name in names}
    fraction.fractions(
        scene.state,
        seb,
        *bands,
        tcd,
        fraction.canopy_table(parameters.tcd_cap, parameters.tcd_sigma),
        (*parameters.fsc_toc_eq, parameters.fsc_rmse, parameters.fsc_rmse_shaded),
        layers["ndsi"],
        layers["fsc_toc"],
        layers["fsc_toc_unc"],
        layers.get("fsc_og"),
        layers.get("fsc_og_unc"),
    )
    fraction.qcflags(scene.state, scene.values.get("slope"), tcd, seb, layers["qcflags"])
    fraction.qc_toc(layers["qcflags"], seb, _toc_classes(), layers["qctoc"])
    if tcd is not None:
        fraction.qc_og(layers["qcflags"], tcd, seb, _ground_classes(), layers["qcog"])
    return layers
