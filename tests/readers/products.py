"""Input products made on the spot: genuine names and layout, metadata as real products write it, empty rasters.

Readers open no raster of these formats, so that empty files will do; STAC items and HLS, whose tags are read, need
real ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import yaml
from rasterio.transform import Affine

MUSCATE = "SENTINEL2A_20210415-105910-624_L2A_T31TCH_C_V3-1"
LANDSAT = "LANDSAT8-OLITIRS-XS_20210415-103040-000_L2A_T31TCH_C_V1-0"
MAJA = "S2A_OPER_SSC_L2VALD_31TCH____20210415"
L2A = "S2B_MSIL2A_20220315T105621_N0400_R094_T31TCH_20220315T140000.SAFE"
S30 = "HLS.S30.T31TCH.2024015T105341.v2.0"
L30 = "HLS.L30.T31TCH.2024015T103040.v2.0"
COLLECTION2 = "LC08_L2SP_198030_20240115_20240122_02_T1"
L1C = "S2A_MSIL1C_20180101T105441_N0206_R051_T31TDH_20180101T124911.SAFE"

MUSCATE_FILES = (
    *(
        f"{kind}_{band}.tif"
        for kind in ("FRE", "SRE")
        for band in ("B2", "B3", "B4", "B8", "B5", "B8A", "B11", "B12")
    ),
    *(f"MASKS/{kind}_{group}.tif" for kind in ("CLM", "MG2", "EDG", "SAT") for group in ("R1", "R2")),
    "ATB_R1.tif",
    "MASKS/DFP_R1.tif",
)
LANDSAT_FILES = (
    *(f"{kind}_B{band}.tif" for kind in ("FRE", "SRE") for band in range(1, 8)),
    *(f"MASKS/{kind}_XS.tif" for kind in ("CLM", "MG2", "EDG", "SAT")),
)
L2A_FILES = (
    *(f"R10m/T31TCH_20220315T105621_{band}_10m.jp2" for band in ("B02", "B03", "B04", "B08", "TCI", "AOT")),
    *(
        f"R20m/T31TCH_20220315T105621_{band}_20m.jp2"
        for band in ("B02", "B03", "B04", "B05", "B8A", "B11", "SCL")
    ),
    *(f"R60m/T31TCH_20220315T105621_{band}_60m.jp2" for band in ("B01", "B02", "B09", "B8A", "SCL")),
)

S30_FILES = (
    "B01",
    "B02",
    "B03",
    "B04",
    "B05",
    "B08",
    "B8A",
    "B09",
    "B10",
    "B11",
    "B12",
    "Fmask",
    "SZA",
    "SAA",
)
L30_FILES = (*(f"B{band:02d}" for band in (*range(1, 8), 9, 10, 11)), "Fmask", "SZA", "SAA", "VZA", "VAA")
S30_TAGS = {
    "ACCODE": "LaSRCS2AV3.5.5",
    "add_offset": "0.0",
    "cloud_coverage": "46",
    "DATASTRIP_ID": "S2B_OPER_MSI_L1C_DS_2BPS_20240115T124911_S20240115T105341_N05.10",
    "MEAN_SUN_AZIMUTH_ANGLE": "157.3",
    "MEAN_SUN_ZENITH_ANGLE": "62.5",
    "PRODUCT_URI": "S2B_MSIL1C_20240115T105341_N0510_R051_T31TCH_20240115T124911.SAFE",
    "scale_factor": "0.0001",
    "SENSING_TIME": "2024-01-15T10:53:43.678784Z",
    "SPACECRAFT_NAME": "Sentinel-2B",
}
"""Tags of an S30 raster; names and form as in real ones."""

L30_TAGS = {
    "add_offset": "0",
    "cloud_coverage": "3",
    "LANDSAT_PRODUCT_ID": "LC09_L1TP_198030_20240115_20240115_02_T1; LC09_L1TP_198031_20240115_20240115_02_T1",
    "MEAN_SUN_AZIMUTH_ANGLE": "161.2, 160.4",
    "MEAN_SUN_ZENITH_ANGLE": "66.0, 65.0",
    "scale_factor": "0.0001",
    "SENSING_TIME": "2024-01-15T10:30:40.6227080Z; 2024-01-15T10:31:04.5137470Z",
}
"""Tags of an L30 raster of a tile that two scenes fill."""

COLLECTION2_FILES = (
    *(f"SR_B{band}.TIF" for band in range(1, 8)),
    *("ST_B10.TIF", "QA_PIXEL.TIF", "QA_RADSAT.TIF", "SR_QA_AEROSOL.TIF", "ST_QA.TIF", "ANG.txt"),
)


def angles(zenith: object = "62.0", azimuth: object = "157.3") -> str:
    """Mean angles as all formats write them."""
    return (
        f'<ZENITH_ANGLE unit="deg">{zenith}</ZENITH_ANGLE><AZIMUTH_ANGLE unit="deg">{azimuth}</AZIMUTH_ANGLE>'
    )


def angle_grids(
    zenith: tuple[str, ...] = ("60 61", "62 NaN"),
    azimuth: tuple[str, ...] = ("150 151", "152 NaN"),
    step: object = 5000,
) -> str:
    """Angle grids as all formats write them."""
    return "".join(
        f'<{name}><COL_STEP unit="m">{step}</COL_STEP><ROW_STEP unit="m">2500</ROW_STEP><Values_List>'
        + "".join(f"<VALUES>{row}</VALUES>" for row in rows)
        + f"</Values_List></{name}>"
        for name, rows in (("Zenith", zenith), ("Azimuth", azimuth))
    )


def muscate_xml(
    mean: str = angles(),
    grids: str = angle_grids(),
    radiometry: str = "",
    acquired: str = "2021-04-15T10:59:10.624Z",
    more: str = "",
) -> str:
    """MTD_ALL.xml of a MUSCATE product."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Muscate_Metadata_Document><Product_Characteristics><ACQUISITION_DATE>{acquired}</ACQUISITION_DATE>
<ORBIT_NUMBER type="Orbit">51</ORBIT_NUMBER></Product_Characteristics>
<Geometric_Informations><Mean_Value_List><Sun_Angles>{mean}</Sun_Angles></Mean_Value_List>
<Angles_Grids_List><Sun_Angles_Grids>{grids}</Sun_Angles_Grids></Angles_Grids_List></Geometric_Informations>
<Radiometric_Informations>{radiometry}</Radiometric_Informations>
<Global_Index_List><QUALITY_INDEX name="CloudPercent">12.5</QUALITY_INDEX></Global_Index_List>{more}
</Muscate_Metadata_Document>"""


def product_xml(
    quantification: object = 10000,
    offsets: Iterable[tuple[int, object]] = (),
    level: str = "L2A",
    cloud: object = 15.5,
) -> str:
    """MTD_MSIL2A.xml or MTD_MSIL1C.xml of a SAFE product."""
    tag, prefix = ("BOA_ADD_OFFSET", "BOA_") if level == "L2A" else ("RADIO_ADD_OFFSET", "")
    elements = "".join(f'<{tag} band_id="{band}">{offset}</{tag}>' for band, offset in offsets)
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<n1:User_Product xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/User_Product.xsd"><n1:General_Info>
<{prefix}QUANTIFICATION_VALUE unit="none">{quantification}</{prefix}QUANTIFICATION_VALUE>
<{tag}_LIST>{elements}</{tag}_LIST></n1:General_Info>
<n1:Quality_Indicators_Info><Cloud_Coverage_Assessment>{cloud}</Cloud_Coverage_Assessment></n1:Quality_Indicators_Info>
</n1:User_Product>"""


def tile_xml(mean: str = angles(), grids: str = angle_grids()) -> str:
    """MTD_TL.xml of a SAFE product."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<n1:Tile_ID xmlns:n1="https://psd-14.sentinel2.eo.esa.int/PSD/Tile.xsd"><n1:Geometric_Info><Tile_Angles>
<Sun_Angles_Grid>{grids}</Sun_Angles_Grid><Mean_Sun_Angle>{mean}</Mean_Sun_Angle>
</Tile_Angles></n1:Geometric_Info></n1:Tile_ID>"""


def maja_header(
    time: str = "UTC=2021-04-15T10:59:10", quantification: object = "0.0001", nodata: object = -10000
) -> str:
    """The header beside a native MAJA product; element names as in the template of github.com/CNES/MAJA."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Earth_Explorer_Header xmlns="http://eop-cfi.esa.int/CFI"><Variable_Header><Specific_Product_Header>
<Product_Information><Acquisition_Date_Time>{time}</Acquisition_Date_Time>
<Mean_Sun_Angle>{angles()}</Mean_Sun_Angle><Solar_Angles>{angle_grids()}</Solar_Angles>
<Cloud_Percentage>40</Cloud_Percentage>
<Reflectance_Quantification_Value>{quantification}</Reflectance_Quantification_Value></Product_Information>
<Image_Information><Nodata_Value>{nodata}</Nodata_Value></Image_Information>
</Specific_Product_Header></Variable_Header></Earth_Explorer_Header>"""


def touch(folder: Path, names: Iterable[str]) -> Path:
    """Empty files, with the folders that they need."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def make_muscate(
    parent: Path, name: str = MUSCATE, files: Iterable[str] = MUSCATE_FILES, xml: str | None = muscate_xml()
) -> Path:
    """A MUSCATE product; file names without the product's own name."""
    prefixed = ("/".join((*part[:-1], f"{name}_{part[-1]}")) for part in (file.split("/") for file in files))
    folder = touch(parent / name, prefixed)
    folder.mkdir(parents=True, exist_ok=True)
    if xml is not None:
        (folder / f"{name}_MTD_ALL.xml").write_text(xml)
    return folder


def make_maja(parent: Path, header: str | None = maja_header(), files: tuple[str, ...] | None = None) -> Path:
    """A native MAJA product."""
    names = files or (
        "FRE_R1.DBL.TIF",
        "FRE_R2.DBL.TIF",
        "SRE_R1.DBL.TIF",
        "SRE_R2.DBL.TIF",
        "CLD_R2.DBL.TIF",
    )
    folder = touch(
        parent / f"{MAJA}.DBL.DIR", (f"S2A_OPER_SSC_PDTIMG_L2VALD_31TCH____20210415_{name}" for name in names)
    )
    if header is not None:
        (parent / f"{MAJA}.HDR").write_text(header)
    return folder


def make_safe(
    parent: Path,
    name: str = L2A,
    files: Iterable[str] = L2A_FILES,
    xml: str | None = None,
    tile: str | None = tile_xml(),
) -> Path:
    """A SAFE product with one granule; file names relative to IMG_DATA."""
    folder = touch(parent / name / "GRANULE" / "G" / "IMG_DATA", files).parents[2]
    if xml is not None:
        (folder / f"MTD_MSI{name[7:10]}.xml").write_text(xml)
    if tile is not None:
        (folder / "GRANULE" / "G" / "MTD_TL.xml").write_text(tile)
    return folder


def make_hls(
    parent: Path,
    name: str = S30,
    tags: dict[str, str] | None = None,
    files: Iterable[str] = S30_FILES,
    folder: str | None = None,
) -> Path:
    """An HLS product, all its rasters with the same tags; in a folder of its name unless another is given."""
    home = parent / (folder or name)
    home.mkdir(parents=True, exist_ok=True)
    for file in files:
        path = write_raster(home / f"{name}.{file}.tif")
        with rasterio.open(path, "r+") as raster:
            raster.update_tags(**(S30_TAGS if tags is None else tags))
    return home


MTL: dict[str, dict[str, Any]] = {
    "PRODUCT_CONTENTS": {
        "ORIGIN": "Image courtesy of the U.S. Geological Survey",
        "LANDSAT_PRODUCT_ID": COLLECTION2,
        "PROCESSING_LEVEL": "L2SP",
        "COLLECTION_NUMBER": "02",
    },
    "IMAGE_ATTRIBUTES": {
        "SPACECRAFT_ID": "LANDSAT_8",
        "WRS_PATH": "198",
        "WRS_ROW": "30",
        "DATE_ACQUIRED": "2024-01-15",
        "SCENE_CENTER_TIME": "10:30:40.6227080Z",
        "CLOUD_COVER": "29.27",
        "SUN_AZIMUTH": "161.43500878",
        "SUN_ELEVATION": "24.41443455",
    },
    "LEVEL2_SURFACE_REFLECTANCE_PARAMETERS": {
        **{f"REFLECTANCE_MULT_BAND_{band}": "2.75e-05" for band in range(1, 8)},
        **{f"REFLECTANCE_ADD_BAND_{band}": "-0.2" for band in range(1, 8)},
    },
    # The same keys once more, with the numbers of Level 1.
    "LEVEL1_RADIOMETRIC_RESCALING": {
        **{f"REFLECTANCE_MULT_BAND_{band}": "2.0000E-05" for band in range(1, 10)},
        **{f"REFLECTANCE_ADD_BAND_{band}": "-0.100000" for band in range(1, 10)},
    },
}
"""Metadata of a Landsat product; groups, keys and form as in real ones."""


def mtl(group: str, **changes: str | None) -> dict[str, dict[str, Any]]:
    """The metadata with some keys of a group changed, or left out where they are None."""
    changed = {key: value for key, value in {**MTL[group], **changes}.items() if value is not None}
    return {**MTL, group: changed}


def mtl_text(form: str, content: dict[str, dict[str, Any]] = MTL) -> str:
    """The metadata as ``xml``, ``json`` or ``txt``."""
    if form == "json":
        return json.dumps({"LANDSAT_METADATA_FILE": content}, indent=2)
    if form == "xml":
        groups = "".join(
            f"<{group}>{''.join(f'<{key}>{value}</{key}>' for key, value in keys.items())}</{group}>"
            for group, keys in content.items()
        )
        return (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<LANDSAT_METADATA_FILE>{groups}</LANDSAT_METADATA_FILE>'
        )
    lines = [
        line
        for group, keys in content.items()
        for line in (
            f"  GROUP = {group}",
            *(
                f'    {key} = "{value}"' if ":" in value else f"    {key} = {value}"
                for key, value in keys.items()
            ),
            f"  END_GROUP = {group}",
        )
    ]
    frame = ("GROUP = LANDSAT_METADATA_FILE", *lines, "END_GROUP = LANDSAT_METADATA_FILE", "END", "")
    return "\n".join(frame)


def make_landsat(
    parent: Path,
    name: str = COLLECTION2,
    files: Iterable[str] = COLLECTION2_FILES,
    form: str | None = "xml",
    content: dict[str, dict[str, Any]] = MTL,
    folder: str | None = None,
) -> Path:
    """A Landsat product of Collection 2; in a folder of its name unless another is given."""
    home = touch(parent / (folder or name), (f"{name}_{file}" for file in files))
    home.mkdir(parents=True, exist_ok=True)
    if form is not None:
        (home / f"{name}_MTL.{form}").write_text(mtl_text(form, content))
    return home


def write_raster(
    path: Path, shape: tuple[int, int] = (6, 6), placed: bool = True, driver: str = "GTiff"
) -> Path:
    """A raster of ones; `placed` says whether the file knows its CRS and transform."""
    profile: dict[str, Any] = {
        "driver": driver,
        "dtype": "uint16",
        "height": shape[0],
        "width": shape[1],
        "count": 1,
    }
    if placed:
        size = 109_800 / shape[0]
        profile |= {"crs": "EPSG:32631", "transform": Affine(size, 0, 300_000, 0, -size, 4_800_000)}
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(np.ones(shape, np.uint16), 1)
    return path


def stac_item(**properties: Any) -> dict[str, Any]:
    """An item as Earth Search writes it, with assets blue, rededge1, swir16 and scl."""
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "S2A_31TCH_20210415_0_L2A",
        "collection": "sentinel-2-l2a",
        "properties": {
            "datetime": "2021-04-15T10:59:10.624Z",
            "platform": "sentinel-2a",
            "grid:code": "MGRS-31TCH",
            "proj:epsg": 32631,
            "view:sun_elevation": 28.0,
            "view:sun_azimuth": 157.3,
            "eo:cloud_cover": 3.5,
            "s2:processing_baseline": "05.09",
            "s2:product_uri": "S2A_MSIL2A_20210415T105621_N0509_R094_T31TCH_20210415T140000.SAFE",
            **properties,
        },
        "links": [{"rel": "self", "href": "https://stac.example/items/S2A_31TCH_20210415_0_L2A"}],
        "assets": {
            "blue": band_asset("B02", "blue", 10),
            "rededge1": band_asset("B05", "rededge1", 20, common="rededge"),
            "swir16": band_asset("B11", "swir16", 20),
            "scl": {"href": "https://cogs.example/SCL.tif", **projection(20)},
        },
    }


def band_asset(file: str, name: str, size: int, common: str | None = None, **more: Any) -> dict[str, Any]:
    """An asset of one band as Earth Search writes it."""
    return {
        "href": f"https://cogs.example/31/T/CH/{file}.tif",
        "eo:bands": [{"name": name, "common_name": common or name}],
        "gsd": size,
        **projection(size),
        **more,
    }


def projection(size: int) -> dict[str, Any]:
    """The projection extension of a full tile."""
    return {
        "proj:shape": [109_800 // size, 109_800 // size],
        "proj:transform": [size, 0, 300_000, 0, -size, 4_800_000],
    }


def make_stac(
    parent: Path, item: dict[str, Any], rasters: Iterable[str] = ("B02", "B05", "B11", "SCL"), **options: Any
) -> Path:
    """An item with the rasters that are staged beside it."""
    folder = parent / "scene"
    folder.mkdir()
    for name in rasters:
        write_raster(folder / f"{name}.tif", **options)
    (folder / "item.json").write_text(json.dumps(item))
    return folder


def make_stack(parent: Path, content: dict[str, Any] | str, name: str = "stack.yaml") -> Path:
    """A raster-stack YAML."""
    path = parent / name
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    return path


STACK: dict[str, Any] = {
    "level": "L1C",
    "time": "2019-09-18T10:50:31Z",
    "site": "flood-spain",
    "file": "S2Hand.tif",
    "scale": 0.0001,
    "nodata": 0,
    "bands": {"green": {"band": 3}, "red": {"band": 4}},
}
