"""GRS L2A products in genuine layout, with values made on the spot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.readers.grs import WAVELENGTHS

NAME = "S2B_MSIL2Agrs_20220703T105619_N0400_R094_T31TCJ_20220703T125800"
FILL = -32768
_CRS = (
    'PROJCRS["WGS 84 / UTM zone 31N",BASEGEOGCRS["WGS 84",DATUM["World Geodetic System 1984",ELLIPSOID["WGS 84",'
    '6378137,298.257223563]],ID["EPSG",4326]],CONVERSION["UTM zone 31N",METHOD["Transverse Mercator",ID["EPSG",9807]],'
    'PARAMETER["Latitude of natural origin",0,ANGLEUNIT["degree",0.0174532925199433]],'
    'PARAMETER["Longitude of natural origin",3,ANGLEUNIT["degree",0.0174532925199433]],'
    'PARAMETER["Scale factor at natural origin",0.9996,SCALEUNIT["unity",1]],'
    'PARAMETER["False easting",500000,LENGTHUNIT["metre",1]],PARAMETER["False northing",0,LENGTHUNIT["metre",1]]],'
    'CS[Cartesian,2],AXIS["easting",east],AXIS["northing",north],LENGTHUNIT["metre",1],ID["EPSG",32631]]'
)


def make_grs(
    folder: Path,
    rrs: Mapping[int, np.ndarray],
    flags: np.ndarray,
    *,
    name: str = NAME,
    layout: str = "datacube",
    attributes: Mapping[str, Any] | None = None,
    corner: tuple[float, float] = (300000.0, 4900020.0),
    pixel: float = 20.0,
    sza: np.ndarray | None = None,
    chunk: int = 512,
    leave_out: tuple[str, ...] = (),
) -> Path:
    """A product of counts (R = (count + 30000)/100000), wavelength to rows; the .nc file comes back.

    `leave_out` names variables, or attributes of variables as ``variable#attribute``, that are missing.
    """
    import netCDF4

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.nc"
    with netCDF4.Dataset(path, "w") as file:
        said = {"satellite": "S2B", "acquisition_date": "2022-07-03T10:56:19", "metadata_profile": layout}
        file.setncatts(
            {key: value for key, value in {**said, **(attributes or {})}.items() if value is not None}
        )
        place_grid(file, flags.shape, corner, pixel, tuple(rrs))
        make = _Maker(file, flags.shape, chunk, leave_out)
        packing = {"scale_factor": 1e-5, "add_offset": 0.3}
        if layout == "datacube":
            make.cube("Rrs", np.stack(list(rrs.values())), packing)
        else:
            for wavelength, counts in rrs.items():
                make.raster(f"Rrs_{wavelength}", counts, packing)
                make.raster(f"Rrs_g_{wavelength}", counts, packing)
        zenith = np.full(flags.shape, 1000, np.int16) if sza is None else sza
        make.raster("sza", zenith, {"scale_factor": 0.01, "add_offset": 30.0})
        make.raster("BRDFg", np.full(flags.shape, -29600, np.int16), packing)
        make.raster("flags", flags.astype(np.int32), {}, fill=None)
    return path


def counts(value: float, shape: tuple[int, int]) -> np.ndarray:
    """Rows of one reflectance, stored."""
    return np.full(shape, round(value * 1e5) - 30000, np.int16)


def water_counts(shape: tuple[int, int]) -> dict[int, np.ndarray]:
    """Reflectance of a green lake at every wavelength."""
    spectrum = (0.0026, 0.0047, 0.0105, 0.0054, 0.0071, 0.0025, 0.0030, 0.0022, 0.0012, 0.0, 0.0)
    return {wavelength: counts(value, shape) for wavelength, value in zip(WAVELENGTHS, spectrum, strict=True)}


def place_grid(
    file: Any, shape: tuple[int, int], corner: tuple[float, float], pixel: float, wavelengths: tuple[int, ...]
) -> None:
    """Dimensions, coordinates and grid mapping."""
    rows, columns = shape
    left, top = corner
    for axis, size in (("y", rows), ("x", columns), ("wl", len(wavelengths))):
        file.createDimension(axis, size)
    file.createVariable("wl", "i4", ("wl",))[:] = wavelengths
    x, y = file.createVariable("x", "f8", ("x",)), file.createVariable("y", "f8", ("y",))
    x[:] = left + pixel * (np.arange(columns) + 0.5)
    y[:] = top - pixel * (np.arange(rows) + 0.5)
    x.setncatts({"standard_name": "projection_x_coordinate", "units": "m"})
    y.setncatts({"standard_name": "projection_y_coordinate", "units": "m"})
    mapping = file.createVariable("spatial_ref", "i4", ())
    transform = f"{left} {pixel} 0.0 {top} 0.0 {-pixel}"
    mapping.setncatts(
        {
            "crs_wkt": _CRS,
            "spatial_ref": _CRS,
            "grid_mapping_name": "transverse_mercator",
            "GeoTransform": transform,
        }
    )


class _Maker:
    """Makes variables of a file."""

    def __init__(self, file: Any, shape: tuple[int, int], chunk: int, leave_out: tuple[str, ...]) -> None:
        self.file, self.leave_out = file, leave_out
        self.chunks = (min(chunk, shape[0]), min(chunk, shape[1]))

    def cube(self, name: str, values: np.ndarray, attributes: Mapping[str, Any]) -> None:
        self._make(name, values, ("wl", "y", "x"), (1, *self.chunks), attributes, FILL)

    def raster(
        self, name: str, values: np.ndarray, attributes: Mapping[str, Any], fill: int | None = FILL
    ) -> None:
        self._make(name, values, ("y", "x"), self.chunks, attributes, fill)

    def _make(
        self,
        name: str,
        values: np.ndarray,
        axes: tuple[str, ...],
        chunks: tuple[int, ...],
        attributes: Mapping[str, Any],
        fill: int | None,
    ) -> None:
        if name in self.leave_out:
            return
        made = self.file.createVariable(
            name, values.dtype, axes, zlib=True, complevel=1, shuffle=True, chunksizes=chunks, fill_value=fill
        )
        made.set_auto_maskandscale(False)
        made[:] = values
        kept = {key: value for key, value in attributes.items() if f"{name}#{key}" not in self.leave_out}
        made.setncatts({**kept, "grid_mapping": "spatial_ref"})
