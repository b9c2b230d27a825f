"""What the snow chain reads, when it does not run at all, and how its files are called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from thalweg.chain import Names
from thalweg.chains.snow_layers import default_names, lis_names
from thalweg.chains.snow_parameters import Snow, gives_fraction, mission_of, wants_shaded
from thalweg.inputs import Band, Codes, Input, Mask, Static

if TYPE_CHECKING:
    from thalweg.granule import Granule


def snow_inputs(parameters: Snow, granule: Granule | None) -> Sequence[Input]:
    """Bands, masks and static layers, as mission and profile want them."""
    mission = mission_of(granule, parameters) if granule else "s2_muscate"
    as_stored = parameters.lis and mission == "sen2cor"
    encoding: Any = "stored" if as_stored else "counts"
    fine = 20 if mission == "sen2cor" and not parameters.lis and parameters.safe_resolution == 20 else None
    overruled = parameters.no_data if parameters.no_data != -10000 and not as_stored else None

    def band(
        role: str, correction: Any = "flat", resolution: int | None = None, required: bool = True
    ) -> Band:
        return Band(role, resolution, encoding, correction, required, "cubic", overruled, "survey")

    inputs: list[Input] = [band("green", resolution=fine), band("red", resolution=fine), band("swir16")]
    if wants_shaded(parameters, mission):
        inputs += [band("blue", "surface", required=False), band("nir08", "surface", required=False)]
    inputs += [
        Mask("cloud", ("any_cloud", "cloud_shadow", "high_cloud", "marked"), step="survey"),
        Mask("slope", ("sun_low", "sun_tangent"), required=mission.endswith("muscate"), step="apply"),
        Static(
            "dem", "int16", whole=True, margin=True, warp="cubic_spline", allow_warp=parameters.aux_resample
        ),
        _static("water", parameters, "nearest", "survey"),
        _static("relief_shadow", parameters, "nearest", "apply"),
    ]
    if gives_fraction(parameters, mission):
        inputs.append(_static("tcd", parameters, "bilinear", "apply"))
    if not parameters.lis:
        inputs.append(Static("dem_buffer", "int16", required=False, whole=True, margin=True))
    if parameters.write_expert:
        inputs.append(Codes("codes", "marked", step="apply"))
    return inputs


def _static(role: str, parameters: Snow, warp: Any, step: Any) -> Static:
    valid = (0.0, 100.0) if role == "tcd" else None
    burn = parameters.water_mask_raster_values[0] if parameters.water_mask_raster_values else 1
    return Static(
        role, "uint8", False, warp=warp, allow_warp=parameters.aux_resample, valid=valid, burn=burn, step=step
    )


def snow_gate(parameters: Snow) -> Sequence[str]:
    """Pixels that cannot be used; the conformance profile makes its product whatever it sees."""
    return () if parameters.lis else ("any_cloud", "nodata")


def snow_names(granule: Granule, parameters: Snow, version: str, available: frozenset[str]) -> Names:
    """File names of the profile."""
    text = parameters.chain_version or version
    if parameters.product_counter:
        text = f"{text}_{parameters.product_counter}"
    if not parameters.lis:
        return default_names(granule, text)
    if mission_of(granule, parameters) == "l89_muscate":
        return lis_names(granule, text, "seb")
    return lis_names(granule, text, "fsc_og" if "tcd" in available else "fsc_toc_hs")
