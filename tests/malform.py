"""Many ways in which a good MUSCATE granule, or its static layers, arrive damaged, and how each must end.

`MALFORMATIONS` is the table: the name of the damage, the class of the error in `thalweg.errors`, and what its message
must name. Damage is done to a copy.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import Affine

from thalweg.demo.series import STATICS, write_scene
from thalweg.demo.sky import Weather
from thalweg.tile import Tile

MID_WINTER = datetime(2025, 1, 22, 10, 30, 29, 24000, UTC)
"""When the good granule was sensed."""


@dataclass(frozen=True, slots=True)
class Specimen:
    """What a run is given."""

    granule: Path
    """Product folder or zip."""
    statics: Path
    """Folder of static layers."""

    def file(self, ending: str) -> Path:
        """The one file of granule or static layers whose path ends so."""
        found = [path for folder in (self.granule, self.statics) for path in folder.rglob(f"*{ending}")]
        if len(found) != 1:
            raise ValueError(f"{len(found)} files end with {ending}")
        return found[0]

    def rasters(self) -> list[Path]:
        """All rasters of the granule."""
        return sorted(self.granule.rglob("*.tif"))

    def renamed(self, name: str) -> Specimen:
        """The granule's folder under another name, with its files renamed alike."""
        old, new = self.granule.name, self.granule.with_name(name)
        for path in [path for path in self.granule.rglob("*") if path.is_file()]:
            path.rename(path.with_name(path.name.replace(old, name)))
        self.granule.rename(new)
        return replace(self, granule=new)


Damage = Callable[[Specimen], Specimen]
"""Damages a specimen in place and says where it now is."""


@dataclass(frozen=True, slots=True)
class Malformation:
    """One way of being damaged."""

    name: str
    """What is wrong."""
    error: str
    """Class in `thalweg.errors` with which a run must end."""
    names: str
    """What the message must contain: the file, or as much of its name as is certain."""
    damage: Damage
    """Makes it so."""


def write_specimen(folder: Path) -> Specimen:
    """A good granule of 96 x 96 pixels of 20 m, with clouds, and its static layers."""
    weather = Weather(cloud=0.1, veil=0.05, dark=0.05)
    written = write_scene(folder, Tile("31TCH"), MID_WINTER, size=96, weather=weather)
    return Specimen(written.path, folder / STATICS)


def damaged(good: Specimen, malformation: Malformation, folder: Path) -> Specimen:
    """A damaged copy in `folder`; the good one stays as it is."""
    copy = Specimen(folder / good.granule.name, folder / good.statics.name)
    shutil.copytree(good.granule, copy.granule)
    shutil.copytree(good.statics, copy.statics)
    return malformation.damage(copy)


def without(ending: str) -> Damage:
    """A file that is not there."""
    return _on_file(ending, Path.unlink)


def holding(ending: str, content: bytes) -> Damage:
    """A file with other bytes."""

    def damage(path: Path) -> None:
        path.write_bytes(content)

    return _on_file(ending, damage)


def cut(ending: str, share: float) -> Damage:
    """A file of which only the first `share` arrived."""

    def damage(path: Path) -> None:
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return _on_file(ending, damage)


def replaced(ending: str, old: str, new: str, times: int = 1) -> Damage:
    """A text file with `new` in place of the first `times` occurrences of `old`."""

    def damage(path: Path) -> None:
        text = path.read_text("utf-8")
        if old not in text:
            raise ValueError(f"{path.name} does not hold {old!r}")
        path.write_text(text.replace(old, new, times), "utf-8")

    return _on_file(ending, damage)


def rewritten(ending: str, change: Callable[[np.ndarray, dict[str, Any]], np.ndarray]) -> Damage:
    """A raster with other pixels; `change` gives them and may alter the profile."""

    def damage(path: Path) -> None:
        rewrite(path, change)

    return _on_file(ending, damage)


def rewrite(path: Path, change: Callable[[np.ndarray, dict[str, Any]], np.ndarray]) -> None:
    """Write a raster again, changed."""
    with rasterio.open(path) as source:
        values, profile = source.read(1), dict(source.profile)
    values = change(values, profile)
    profile.update(height=values.shape[0], width=values.shape[1], dtype=values.dtype)
    if values.dtype.kind != "i":
        profile.pop("predictor", None)
    path.unlink()
    with rasterio.open(path, "w", **profile) as target:
        target.write(values, 1)


def in_crs(crs: str | None) -> Callable[[np.ndarray, dict[str, Any]], np.ndarray]:
    """The same pixels said to lie in another CRS."""

    def change(values: np.ndarray, profile: dict[str, Any]) -> np.ndarray:
        profile["crs"] = crs
        return values

    return change


def moved(metres: float) -> Callable[[np.ndarray, dict[str, Any]], np.ndarray]:
    """The same pixels said to lie further east."""

    def change(values: np.ndarray, profile: dict[str, Any]) -> np.ndarray:
        profile["transform"] = Affine.translation(metres, 0) @ profile["transform"]
        return values

    return change


def of_type(dtype: str) -> Callable[[np.ndarray, dict[str, Any]], np.ndarray]:
    """The same numbers stored in another type."""

    def change(values: np.ndarray, profile: dict[str, Any]) -> np.ndarray:
        profile["nodata"] = None
        return values.astype(dtype)

    return change


def on_pixels_of(metres: float) -> Callable[[np.ndarray, dict[str, Any]], np.ndarray]:
    """The same footprint on pixels of another size, nearest neighbour."""

    def change(values: np.ndarray, profile: dict[str, Any]) -> np.ndarray:
        old = profile["transform"]
        rows = np.arange(int(values.shape[0] * old.a / metres)) * metres / old.a
        columns = np.arange(int(values.shape[1] * old.a / metres)) * metres / old.a
        profile["transform"] = Affine(metres, 0, old.c, 0, -metres, old.f)
        return values[rows.astype(int)[:, None], columns.astype(int)[None, :]]

    return change


def smaller(values: np.ndarray, profile: dict[str, Any]) -> np.ndarray:
    """Without the last rows."""
    return values[:-12]


def turned(values: np.ndarray, profile: dict[str, Any]) -> np.ndarray:
    """Said to be rotated by ten degrees."""
    profile["transform"] = profile["transform"] @ Affine.rotation(10)
    return values


def upside_down(values: np.ndarray, profile: dict[str, Any]) -> np.ndarray:
    """South up."""
    a, _, c, _, e, f = tuple(profile["transform"])[:6]
    profile["transform"] = Affine(a, 0, c, 0, -e, f + e * values.shape[0])
    return values[::-1]


def nothing_but(value: int) -> Callable[[np.ndarray, dict[str, Any]], np.ndarray]:
    """One number everywhere, declared to mean nodata."""

    def change(values: np.ndarray, profile: dict[str, Any]) -> np.ndarray:
        profile["nodata"] = value
        return np.full_like(values, value)

    return change


def everywhere(change: Callable[[np.ndarray, dict[str, Any]], np.ndarray]) -> Damage:
    """All rasters of the granule changed alike."""

    def damage(specimen: Specimen) -> Specimen:
        for path in specimen.rasters():
            rewrite(path, change)
        return specimen

    return damage


def in_turn(*damages: Damage) -> Damage:
    """One damage after the other."""

    def damage(specimen: Specimen) -> Specimen:
        for one in damages:
            specimen = one(specimen)
        return specimen

    return damage


def as_folder(path: Path) -> None:
    """A folder where a file should be."""
    path.unlink()
    path.mkdir()


def as_loop(path: Path) -> None:
    """A link to itself."""
    path.unlink()
    path.symlink_to(path.name)


def with_spoilt_block(path: Path) -> None:
    """The first compressed block overwritten; header and directory stay whole."""
    with rasterio.open(path) as raster:
        start = int(raster.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xff" * 64)


def twice(path: Path) -> None:
    """A second file that matches the same pattern."""
    shutil.copy(path, path.with_name(f"COPY_{path.name}"))


def without_pixels(specimen: Specimen) -> Specimen:
    """Nodata everywhere, as the mask of the edge says too."""
    for path in specimen.rasters():
        if "EDG" in path.name:
            rewrite(path, lambda values, profile: np.ones_like(values))
        elif path.parent == specimen.granule:
            rewrite(path, nothing_but(-10000))
    return specimen


def emptied(specimen: Specimen) -> Specimen:
    """A folder with the right name and nothing in it."""
    shutil.rmtree(specimen.granule)
    specimen.granule.mkdir()
    return specimen


def absent(specimen: Specimen) -> Specimen:
    """No granule at all."""
    shutil.rmtree(specimen.granule)
    return specimen


def single_file(specimen: Specimen) -> Specimen:
    """A raster in the place of the product's folder."""
    band = specimen.file("_FRE_B4.tif").read_bytes()
    shutil.rmtree(specimen.granule)
    specimen.granule.write_bytes(band)
    return specimen


def without_statics(specimen: Specimen) -> Specimen:
    """No folder of static layers."""
    shutil.rmtree(specimen.statics)
    return specimen


def named(old: str, new: str) -> Damage:
    """The product under another name, its files renamed alike."""

    def damage(specimen: Specimen) -> Specimen:
        return specimen.renamed(specimen.granule.name.replace(old, new))

    return damage


def zipped(add: Callable[[zipfile.ZipFile, Path], None] | None = None) -> Damage:
    """The product as a zip, with what `add` puts into it besides."""

    def damage(specimen: Specimen) -> Specimen:
        path = specimen.granule.with_name(f"{specimen.granule.name}.zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(specimen.granule.rglob("*")):
                archive.write(file, file.relative_to(specimen.granule.parent))
            if add is not None:
                add(archive, specimen.granule)
        shutil.rmtree(specimen.granule)
        return replace(specimen, granule=path)

    return damage


def member(name: str, content: bytes = b"out") -> Callable[[zipfile.ZipFile, Path], None]:
    """A member of the zip under a name of its own."""

    def add(archive: zipfile.ZipFile, granule: Path) -> None:
        archive.writestr(name, content)

    return add


def bomb(archive: zipfile.ZipFile, granule: Path) -> None:
    """A hundred megabytes of zeros in a hundred kilobytes."""
    with archive.open(f"{granule.name}/{granule.name}_FRE_B8.tif", "w") as stream:
        for _ in range(100):
            stream.write(bytes(2**20))


def link(archive: zipfile.ZipFile, granule: Path) -> None:
    """A member that is a symbolic link."""
    info = zipfile.ZipInfo(f"{granule.name}/{granule.name}_FRE_B8.tif")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    archive.writestr(info, "../../secret")


def second_product(archive: zipfile.ZipFile, granule: Path) -> None:
    """A second product beside the first."""
    name = granule.name.replace("20250122", "20250127")
    archive.writestr(f"{name}/{name}_MTD_ALL.xml", "<Muscate_Metadata_Document/>")


def cut_zip(specimen: Specimen) -> Specimen:
    """A zip of which the last third, with its directory, did not arrive."""
    made = zipped()(specimen)
    content = made.granule.read_bytes()
    made.granule.write_bytes(content[: 2 * len(content) // 3])
    return made


def spoilt_zip(specimen: Specimen) -> Specimen:
    """A zip whose directory is whole and whose red band is not."""
    made = zipped()(specimen)
    with zipfile.ZipFile(made.granule) as archive:
        info = next(info for info in archive.infolist() if info.filename.endswith("_FRE_B4.tif"))
    with made.granule.open("r+b") as file:
        file.seek(info.header_offset + 30 + len(info.filename.encode()) + info.compress_size // 2)
        file.write(b"\xff" * 64)
    return made


def junk_zip(specimen: Specimen) -> Specimen:
    """A file that is called a zip and is none."""
    made = zipped()(specimen)
    made.granule.write_bytes(_junk(5000))
    return made


def _on_file(ending: str, change: Callable[[Path], object]) -> Damage:
    def damage(specimen: Specimen) -> Specimen:
        change(specimen.file(ending))
        return specimen

    return damage


def _junk(size: int) -> bytes:
    return np.random.default_rng(3).integers(0, 256, size, np.uint8).tobytes()


_ERROR_PAGE = b"<!DOCTYPE html><html><body><h1>503 Service Unavailable</h1></body></html>"
_BOMB = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {y} "{f"&{x};" * 10}">' for x, y in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><Muscate_Metadata_Document>&i;</Muscate_Metadata_Document>"
).encode()
_OUTSIDE = (
    b'<?xml version="1.0"?><!DOCTYPE m [<!ENTITY x SYSTEM "secret.txt">]>'
    b"<Muscate_Metadata_Document>&x;</Muscate_Metadata_Document>"
)
_XML = "_MTD_ALL.xml"
_RED, _GREEN, _SWIR = "_FRE_B4.tif", "_FRE_B3.tif", "_FRE_B11.tif"
_CLOUDS, _SLOPES = "_CLM_R2.tif", "_MG2_R2.tif"

MALFORMATIONS = (
    # Bands
    Malformation("band_missing", "BadInput", _RED, without(_RED)),
    Malformation("band_empty", "BadInput", _GREEN, holding(_GREEN, b"")),
    Malformation("band_cut", "BadInput", _SWIR, cut(_SWIR, 0.6)),
    Malformation("band_cut_in_header", "BadInput", _RED, cut(_RED, 0.002)),
    Malformation("band_junk", "BadInput", _RED, holding(_RED, _junk(4096))),
    Malformation("band_error_page", "BadInput", _GREEN, holding(_GREEN, _ERROR_PAGE)),
    Malformation("band_folder", "BadInput", _RED, _on_file(_RED, as_folder)),
    Malformation("band_link_to_itself", "BadInput", _RED, _on_file(_RED, as_loop)),
    Malformation("band_block_spoilt", "BadInput", _SWIR, _on_file(_SWIR, with_spoilt_block)),
    Malformation("band_of_floats", "BadInput", _RED, rewritten(_RED, of_type("float32"))),
    Malformation("band_of_complex_numbers", "BadInput", _RED, rewritten(_RED, of_type("complex64"))),
    Malformation("band_twice", "BadInput", _RED, _on_file(_RED, twice)),
    Malformation("band_in_other_zone", "BadInput", _RED, rewritten(_RED, in_crs("EPSG:32632"))),
    Malformation("band_without_crs", "BadInput", _SWIR, rewritten(_SWIR, in_crs(None))),
    Malformation("band_moved_half_a_pixel", "BadInput", _GREEN, rewritten(_GREEN, moved(5))),
    Malformation("band_moved_two_pixels", "BadInput", _RED, rewritten(_RED, moved(20))),
    Malformation("band_too_small", "BadInput", _RED, rewritten(_RED, smaller)),
    Malformation("band_of_odd_pixels", "BadInput", _GREEN, rewritten(_GREEN, on_pixels_of(15))),
    Malformation(
        "bands_of_swapped_resolution",
        "BadInput",
        "_FRE_B",
        in_turn(rewritten(_RED, on_pixels_of(20)), rewritten(_SWIR, on_pixels_of(10))),
    ),
    Malformation("band_rotated", "BadInput", _RED, rewritten(_RED, turned)),
    Malformation("band_south_up", "BadInput", _SWIR, rewritten(_SWIR, upside_down)),
    # Masks
    Malformation("clouds_missing", "BadInput", "_CLM_R", in_turn(without(_CLOUDS), without("_CLM_R1.tif"))),
    Malformation("clouds_too_small", "BadInput", _CLOUDS, rewritten(_CLOUDS, smaller)),
    Malformation("clouds_in_other_zone", "BadInput", _CLOUDS, rewritten(_CLOUDS, in_crs("EPSG:32630"))),
    Malformation("clouds_of_floats", "BadInput", _CLOUDS, rewritten(_CLOUDS, of_type("float32"))),
    Malformation("slopes_empty", "BadInput", _SLOPES, holding(_SLOPES, b"")),
    # Metadata
    Malformation("metadata_cut", "BadInput", _XML, cut(_XML, 0.5)),
    Malformation("metadata_empty", "BadInput", _XML, holding(_XML, b"")),
    Malformation("metadata_error_page", "BadInput", _XML, holding(_XML, _ERROR_PAGE)),
    Malformation(
        "metadata_not_utf8", "BadInput", _XML, holding(_XML, b"<?xml version='1.0'?><a>\xff\xfe</a>")
    ),
    Malformation("metadata_entity_bomb", "BadInput", _XML, holding(_XML, _BOMB)),
    Malformation("metadata_outside_entity", "BadInput", _XML, holding(_XML, _OUTSIDE)),
    Malformation(
        "zenith_absurd",
        "BadInput",
        _XML,
        replaced(_XML, '<ZENITH_ANGLE unit="deg">', '<ZENITH_ANGLE unit="deg">2'),
    ),
    Malformation(
        "angle_no_number",
        "BadInput",
        _XML,
        replaced(_XML, '<ZENITH_ANGLE unit="deg">', "<ZENITH_ANGLE>NOT_INITIALIZED "),
    ),
    Malformation("angle_nodes_cut", "BadInput", _XML, replaced(_XML, "<VALUES>", "<VALUES>61.5 ")),
    Malformation(
        "quantification_zero",
        "BadInput",
        _XML,
        replaced(_XML, "_VALUE>10000<", "_VALUE>0<"),
    ),
    Malformation(
        "metadata_of_another_day", "BadInput", _XML, replaced(_XML, "2025-01-22T", "2019-07-22T", 99)
    ),
    Malformation("metadata_of_another_tile", "BadInput", _XML, replaced(_XML, ">T31TCH<", ">T31TCJ<")),
    # Names and folders
    Malformation("name_malformed", "BadInput", "SENTINEL2A", named("20250122-103029-024_L2A", "january")),
    Malformation("name_of_impossible_date", "BadInput", "20251345", named("20250122", "20251345")),
    Malformation("name_of_unknown_tile", "BadInput", "31TZZ", named("T31TCH", "T31TZZ")),
    Malformation("name_of_other_level", "BadInput", "L1C", named("_L2A_", "_L1C_")),
    Malformation("product_type_unknown", "BadInput", "HOLIDAYS", named("SENTINEL2A", "HOLIDAYS")),
    Malformation("folder_empty", "BadInput", "SENTINEL2A", emptied),
    Malformation("folder_is_a_file", "BadInput", "SENTINEL2A", single_file),
    Malformation("granule_absent", "MissingInput", "SENTINEL2A", absent),
    # Place
    Malformation("granule_outside_its_tile", "BadInput", "31TCH", everywhere(moved(200_000))),
    Malformation("granule_between_pixels", "BadInput", "31TCH", everywhere(moved(7))),
    Malformation("granule_in_other_zone", "BadInput", "31TCH", everywhere(in_crs("EPSG:32632"))),
    # Zips
    Malformation("zip_unreadable", "BadInput", ".zip", junk_zip),
    Malformation("zip_cut", "BadInput", ".zip", cut_zip),
    Malformation("zip_band_spoilt", "BadInput", ".zip", spoilt_zip),
    Malformation("zip_climbing", "BadInput", ".zip", zipped(member("../../evil.tif"))),
    Malformation("zip_absolute", "BadInput", ".zip", zipped(member("/evil/evil.tif"))),
    Malformation("zip_bomb", "BadInput", ".zip", zipped(bomb)),
    Malformation("zip_with_link", "BadInput", ".zip", zipped(link)),
    Malformation("zip_of_two_products", "BadInput", ".zip", zipped(second_product)),
    # Pixels
    Malformation("all_nodata", "NoData", "SENTINEL2A", without_pixels),
    # Static layers
    Malformation("dem_missing", "MissingInput", "dem", without("dem.tif")),
    Malformation("statics_missing", "MissingInput", STATICS, without_statics),
    Malformation("dem_too_small", "BadInput", "dem.tif", rewritten("dem.tif", smaller)),
    Malformation("dem_all_nodata", "BadInput", "dem", rewritten("dem.tif", nothing_but(-32768))),
    Malformation("dem_in_other_zone", "BadInput", "dem.tif", rewritten("dem.tif", in_crs("EPSG:32630"))),
    Malformation("dem_moved_half_a_pixel", "BadInput", "dem.tif", rewritten("dem.tif", moved(10))),
    Malformation("dem_cut", "BadInput", "dem.tif", cut("dem.tif", 0.5)),
    Malformation("tcd_of_other_pixels", "BadInput", "tcd.tif", rewritten("tcd.tif", on_pixels_of(40))),
    Malformation("water_junk", "BadInput", "water.tif", holding("water.tif", _junk(3000))),
)
"""Every malformation, its ending and what the message must name."""
