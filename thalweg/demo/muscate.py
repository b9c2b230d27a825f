"""Writes a view as a MUSCATE L2A product, in the layout of Theia, and the static layers of its place.

Layout and field names follow genuine products and the template of MAJA; pixels and angles are synthetic, and the
product says so in its metadata and in a README.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from thalweg.demo.masks import cloud_mask, edge_mask, geophysical_mask
from thalweg.demo.reflectance import NODATA, Image, rendered
from thalweg.demo.scene import Place, View
from thalweg.demo.spectra import BANDS, FINE
from thalweg.grid import Grid

SNOW_BANDS = (("FRE", "B3"), ("FRE", "B4"), ("FRE", "B11"), ("SRE", "B2"), ("SRE", "B8A"))
"""What the snow chain reads."""
ALL_BANDS = tuple((kind, band) for kind in ("SRE", "FRE") for band in BANDS)
"""What a genuine product holds."""
NOTE = (
    "SYNTHETIC product of the demonstration of thalweg: terrain, cover, weather and reflectances are invented. "
    "It is no observation of this place or day."
)
"""Said in the metadata and beside the bands."""

_SATURATED = 20000
_TILED = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
_GROUPS = {"R1": FINE, "R2": tuple(band for band in BANDS if band not in FINE)}


@dataclass(frozen=True, slots=True)
class Written:
    """A product on disk."""

    path: Path
    """Folder of the product."""
    bits: Mapping[str, float]
    """Size of each band's file, such as ``FRE_B3``, in bits per pixel."""


def product_name(view: View) -> str:
    """Name of the product, such as SENTINEL2A_20250122-103000-000_L2A_T31TCH_C_V3-1."""
    moment = f"{view.sensed:%Y%m%d-%H%M%S}-{view.sensed.microsecond // 1000:03d}"
    return f"SENTINEL2A_{moment}_L2A_T{view.place.tile.id}_C_V3-1"


def write_product(view: View, folder: Path, bands: Sequence[Image] = SNOW_BANDS) -> Written:
    """The view as a product in `folder`, with the bands that are asked for: (FRE or SRE, band) pairs."""
    product = folder / product_name(view)
    (product / "MASKS").mkdir(parents=True, exist_ok=True)
    saturated = _write_bands(view, product, bands)
    _write_masks(view, product, saturated)
    metadata = ElementTree.ElementTree(_metadata(view, product, bands))
    ElementTree.indent(metadata)
    metadata.write(product / f"{product.name}_MTD_ALL.xml", encoding="UTF-8", xml_declaration=True)
    (product / "README.txt").write_text(f"{NOTE}\n", encoding="utf-8")
    return Written(
        product, {f"{kind}_{band}": _bits(_band_file(product, kind, band)) for kind, band in bands}
    )


def write_statics(place: Place, folder: Path) -> Path:
    """The static layers dem (int16), tcd and water (uint8) of the place, in ``folder/<tile>``."""
    home = folder / place.tile.id
    home.mkdir(parents=True, exist_ok=True)
    _write(home / "dem.tif", place.grid, np.rint(place.elevation).astype(np.int16), predictor=2)
    _write(home / "tcd.tif", place.grid, place.tree_cover)
    _write(home / "water.tif", place.grid, place.lake.astype(np.uint8))
    (home / "README.txt").write_text(f"{NOTE}\n", encoding="utf-8")
    return home


def _write_bands(view: View, product: Path, bands: Sequence[Image]) -> dict[str, NDArray[np.uint8]]:
    """Writes the bands strip by strip; gives back the saturation mask of each group."""
    rows, columns = view.place.grid.shape
    saturated = {"R1": np.zeros((2 * rows, 2 * columns), np.uint8), "R2": np.zeros((rows, columns), np.uint8)}
    with ExitStack() as files, rasterio.Env(GDAL_CACHEMAX=512):
        images = {
            (kind, band): files.enter_context(
                _band_image(view.place.grid, _band_file(product, kind, band), band)
            )
            for kind, band in bands
        }
        for top, strip in rendered(view, bands):
            for (kind, band), values in strip.items():
                group = "R1" if band in FINE else "R2"
                first = top * (2 if group == "R1" else 1)
                window = Window(0, first, values.shape[1], values.shape[0])
                images[kind, band].write(values, 1, window=window)
                bit = np.uint8(1 << _GROUPS[group].index(band))
                saturated[group][first : first + values.shape[0]] |= (values >= _SATURATED) * bit
    return saturated


def _write_masks(view: View, product: Path, saturated: Mapping[str, NDArray[np.uint8]]) -> None:
    clouds = cloud_mask(view)
    coarse = {"CLM": clouds, "MG2": geophysical_mask(view, clouds), "EDG": edge_mask(view)}
    grids = {"R1": _fine(view.place.grid), "R2": view.place.grid}
    for group, grid in grids.items():
        factor = round(view.place.grid.resolution / grid.resolution)
        for kind, codes in coarse.items():
            _write(_mask_file(product, kind, group), grid, codes.repeat(factor, 0).repeat(factor, 1))
        _write(_mask_file(product, "SAT", group), grid, saturated[group])


def _band_file(product: Path, kind: str, band: str) -> Path:
    return product / f"{product.name}_{kind}_{band}.tif"


def _mask_file(product: Path, kind: str, group: str) -> Path:
    return product / "MASKS" / f"{product.name}_{kind}_{group}.tif"


def _band_image(grid: Grid, path: Path, band: str) -> Any:
    shown = _fine(grid) if band in FINE else grid
    return rasterio.open(path, "w", **_profile(shown, "int16"), nodata=NODATA, predictor=2, num_threads=2)


def _write(path: Path, grid: Grid, values: NDArray[Any], **options: Any) -> None:
    with rasterio.open(path, "w", **_profile(grid, str(values.dtype)), **options) as image:
        image.write(values, 1)


def _profile(grid: Grid, dtype: str) -> dict[str, Any]:
    rows, columns = grid.shape
    size = {"width": columns, "height": rows, "count": 1, "dtype": dtype}
    return {
        "driver": "GTiff",
        "crs": grid.crs,
        "transform": rasterio.Affine(*grid.transform),
        **size,
        **_TILED,
    }


def _fine(grid: Grid) -> Grid:
    rows, columns = grid.shape
    return Grid(
        grid.crs, grid.left, grid.top, (grid.resolution / 2, grid.resolution / 2), (2 * rows, 2 * columns)
    )


def _bits(path: Path) -> float:
    with rasterio.open(path) as image:
        pixels: int = image.width * image.height
    return 8 * path.stat().st_size / pixels


def _metadata(view: View, product: Path, bands: Sequence[Image]) -> Element:
    """The document ``*_MTD_ALL.xml``: the fields of MAJA's template that a reader may want."""
    root = Element("Muscate_Metadata_Document")
    root.append(ElementTree.Comment(f" {NOTE} "))
    moment = f"{view.sensed:%Y-%m-%dT%H:%M:%S}.{view.sensed.microsecond // 1000:03d}Z"
    _identification(root, view, product, moment)
    _organisation(root, product, bands)
    _geoposition(root, view.place.grid)
    _geometry(root, view)
    radiometry = SubElement(root, "Radiometric_Informations")
    _leaf(radiometry, "REFLECTANCE_QUANTIFICATION_VALUE", 10000)
    _leaf(SubElement(radiometry, "Special_Values_List"), "SPECIAL_VALUE", NODATA, name="nodata")
    _quality(root, view, product, moment)
    return root


def _leaf(parent: Element, tag: str, text: object, **attributes: str) -> Element:
    element = SubElement(parent, tag, attributes)
    element.text = str(text)
    return element


def _identification(root: Element, view: View, product: Path, moment: str) -> None:
    document = SubElement(root, "Metadata_Identification")
    _leaf(document, "METADATA_FORMAT", "METADATA_MUSCATE", version="1.16")
    _leaf(document, "METADATA_PROFILE", "DISTRIBUTED")
    dataset = SubElement(root, "Dataset_Identification")
    _leaf(dataset, "IDENTIFIER", product.name.removesuffix("_V3-1"))
    _leaf(dataset, "AUTHORITY", "SYNTHETIC")
    _leaf(dataset, "PRODUCER", "thalweg demo")
    _leaf(dataset, "PROJECT", "SENTINEL2")
    _leaf(dataset, "GEOGRAPHICAL_ZONE", f"T{view.place.tile.id}", type="Tile")
    characteristics = SubElement(root, "Product_Characteristics")
    _leaf(characteristics, "PRODUCT_ID", product.name)
    _leaf(characteristics, "ACQUISITION_DATE", moment)
    _leaf(characteristics, "PRODUCTION_DATE", moment)
    _leaf(characteristics, "PRODUCT_VERSION", "3.1")
    _leaf(characteristics, "PRODUCT_LEVEL", "L2A")
    _leaf(characteristics, "PLATFORM", "SENTINEL2A")
    _leaf(characteristics, "ORBIT_NUMBER", 51, type="Orbit")
    everything = SubElement(characteristics, "Band_Global_List", count=str(len(BANDS)))
    for band in BANDS:
        _leaf(everything, "BAND_ID", band)
    groups = SubElement(characteristics, "Band_Group_List")
    for group, members in _GROUPS.items():
        listed = SubElement(SubElement(groups, "Group", group_id=group), "Band_List", count=str(len(members)))
        for band in members:
            _leaf(listed, "BAND_ID", band)


def _organisation(root: Element, product: Path, bands: Sequence[Image]) -> None:
    muscate = SubElement(SubElement(root, "Product_Organisation"), "Muscate_Product")
    images = SubElement(muscate, "Image_List")
    for kind, nature in (("SRE", "Surface_Reflectance"), ("FRE", "Flat_Reflectance")):
        files = _files_of(SubElement(images, "Image"), "Image", nature, "int16")
        for band in (band for listed, band in bands if listed == kind):
            _leaf(files, "IMAGE_FILE", _band_file(product, kind, band).name, band_id=band)
    masks = SubElement(muscate, "Mask_List")
    natures = {"CLM": "Detailed_Cloud", "MG2": "Geophysics", "EDG": "Edge", "SAT": "Saturation"}
    for kind, nature in natures.items():
        files = _files_of(SubElement(masks, "Mask"), "Mask", nature, "byte")
        for group in _GROUPS:
            _leaf(files, "MASK_FILE", f"MASKS/{_mask_file(product, kind, group).name}", group_id=group)


def _files_of(parent: Element, what: str, nature: str, encoding: str) -> Element:
    properties = SubElement(parent, f"{what}_Properties")
    _leaf(properties, "NATURE", nature)
    _leaf(properties, "FORMAT", "image/tiff")
    _leaf(properties, "ENCODING", encoding)
    _leaf(properties, "COMPRESSION", "DEFLATE")
    return SubElement(parent, f"{what}_File_List")


def _geoposition(root: Element, grid: Grid) -> None:
    position = SubElement(root, "Geoposition_Informations")
    system = SubElement(position, "Coordinate_Reference_System")
    _leaf(system, "GEO_TABLES", "EPSG")
    horizontal = SubElement(system, "Horizontal_Coordinate_System")
    _leaf(horizontal, "HORIZONTAL_CS_TYPE", "PROJECTED")
    _leaf(horizontal, "HORIZONTAL_CS_CODE", grid.epsg)
    positioning = SubElement(position, "Geopositioning")
    corners = SubElement(positioning, "Global_Geopositioning")
    left, bottom, right, top = grid.bounds
    points = {"upperLeft": (left, top), "upperRight": (right, top)}
    points |= {"lowerRight": (right, bottom), "lowerLeft": (left, bottom)}
    for name, (x, y) in points.items():
        point = SubElement(corners, "Point", name=name)
        _leaf(point, "X", f"{x:.1f}")
        _leaf(point, "Y", f"{y:.1f}")
    groups = SubElement(positioning, "Group_Geopositioning_List")
    for group, pixels in (("R1", _fine(grid)), ("R2", grid)):
        element = SubElement(groups, "Group_Geopositioning", group_id=group)
        rows, columns = pixels.shape
        numbers = {
            "ULX": pixels.left,
            "ULY": pixels.top,
            "XDIM": pixels.resolution,
            "YDIM": -pixels.resolution,
        }
        for tag, number in {**numbers, "NROWS": rows, "NCOLS": columns}.items():
            _leaf(element, tag, f"{number:.0f}")


def _geometry(root: Element, view: View) -> None:
    geometry = SubElement(root, "Geometric_Informations")
    means = SubElement(geometry, "Mean_Value_List")
    sun = SubElement(means, "Sun_Angles")
    _leaf(sun, "ZENITH_ANGLE", f"{view.sun.zenith:.6f}", unit="deg")
    _leaf(sun, "AZIMUTH_ANGLE", f"{view.sun.azimuth:.6f}", unit="deg")
    incidences = SubElement(means, "Mean_Viewing_Incidence_Angle_List")
    for band in BANDS:
        angles = SubElement(incidences, "Mean_Viewing_Incidence_Angle", band_id=band)
        _leaf(angles, "ZENITH_ANGLE", 4.2, unit="deg")
        _leaf(angles, "AZIMUTH_ANGLE", 104.6, unit="deg")
    grid = view.sun.grid
    if grid is None:
        return
    grids = SubElement(SubElement(geometry, "Angles_Grids_List"), "Sun_Angles_Grids")
    for name, nodes in (("Zenith", grid.zenith), ("Azimuth", grid.azimuth)):
        element = SubElement(grids, name, step_unit="m", values_unit="deg")
        _leaf(element, "COL_STEP", f"{grid.step[1]:.0f}")
        _leaf(element, "ROW_STEP", f"{grid.step[0]:.0f}")
        values = SubElement(element, "Values_List")
        for row in nodes:
            _leaf(values, "VALUES", " ".join(f"{node:.5f}" for node in row))


def _quality(root: Element, view: View, product: Path, moment: str) -> None:
    current = SubElement(SubElement(root, "Quality_Informations"), "Current_Product")
    listed = SubElement(current, "Product_Quality_List", level="N2")
    quality = SubElement(listed, "Product_Quality")
    source = SubElement(quality, "Source_Product")
    _leaf(source, "PRODUCT_ID", product.name)
    _leaf(source, "ACQUISITION_DATE", moment)
    indices = SubElement(quality, "Global_Index_List")
    covered = {"CloudPercent": cloud_mask(view) > 0, "SnowPercent": view.snow > 0.5}
    for name, where in covered.items():
        share = float(np.mean(where[view.sky.valid])) if view.sky.valid.any() else 0.0
        _leaf(indices, "QUALITY_INDEX", math.floor(100 * share), name=name)
