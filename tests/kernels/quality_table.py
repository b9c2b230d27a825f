"""The algorithms of the water-quality specification as tables over the kernels: ids, bands and coefficients.

What a chain declares besides (units, range, DOI) is not needed to compute, and not here. Bands of OLI stand in the rows
of their nearest Sentinel-2 band, except in the ids that name OLI's bands themselves.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from thalweg.kernels import cdom, chlorophyll, colour, indices, owt, p3qaa, transparency, turbidity
from thalweg.kernels import quality_flags as flags
from thalweg.kernels.recipe import (
    BANDS,
    Algorithm,
    Blend,
    Colour,
    Product,
    Recipe,
    Templates,
    WaterTypes,
    Weights,
)

OPEN = (-math.inf, math.inf)
CLAMP = (-0.5, 0.9)

OC2_MSI = (0.2389, -1.9369, 1.7627, -3.0777, -0.1054)
OC3_MSI = (0.3308, -2.6684, 1.5990, 0.5525, -1.4876)
OC2_OLI = (0.1977, -1.8117, 1.9743, -2.5635, -0.7218)
OC3_OLI = (0.30963, -2.40052, 1.28932, 0.52802, -1.33825)


def oc2(coefficients: tuple[float, ...], clamp: tuple[float, float] = OPEN) -> Algorithm:
    """Blue-green ratio of two bands."""
    return Algorithm(
        ("B2", "B3"),
        chlorophyll.ocx,
        (*coefficients, *clamp),
        chlorophyll.ocx_gradient,
        chlorophyll.ocx_mark,
    )


def oc3(coefficients: tuple[float, ...], clamp: tuple[float, float] = OPEN) -> Algorithm:
    """Blue-green ratio of the greater of two blue bands."""
    return Algorithm(
        ("B1", "B2", "B3"),
        chlorophyll.ocx3,
        (*coefficients, *clamp),
        chlorophyll.ocx3_gradient,
        chlorophyll.ocx3_mark,
    )


def ratio(*coefficients: float, edge: str = "B5") -> Algorithm:
    """Polynomial of edge / red, lowest power first."""
    padded = (*coefficients, 0.0, 0.0)[:3]
    return Algorithm(("B4", edge), chlorophyll.ratio_polynomial, padded)


def difference(*coefficients: float, nir: str = "B6") -> Algorithm:
    """Polynomial of (1/red - 1/edge) nir, lowest power first."""
    padded = (*coefficients, 0.0, 0.0)[:3]
    return Algorithm(("B4", "B5", nir), chlorophyll.difference_polynomial, padded)


def gons(exponent: float, divisor: float, outer: float = 1.0, *, checked: bool = False) -> Algorithm:
    """Gons's form."""
    checks = (0.005, 0.63) if checked else (-math.inf, -math.inf)
    return Algorithm(("B4", "B5", "B7"), chlorophyll.gons, (exponent, divisor, outer, *checks))


def ndci(*coefficients: float) -> Algorithm:
    """Polynomial of the normalised difference, lowest power first."""
    padded = (*coefficients, 0.0)[:4]
    return Algorithm(("B4", "B5"), chlorophyll.ndci_polynomial, padded, chlorophyll.ndci_polynomial_gradient)


def nechad(band: str, a: float, c: float) -> Algorithm:
    """Hyperbola of one band with a pole."""
    return Algorithm((band,), turbidity.nechad, (a, c), turbidity.nechad_gradient, turbidity.nechad_mark)


def quadratic(band: str, linear: float, square: float = 0.0) -> Algorithm:
    """Branch of Novoa."""
    return Algorithm((band,), turbidity.quadratic, (linear, square), turbidity.quadratic_gradient)


def power_of_ratio(upper: str, lower: str, factor: float, exponent: float) -> Algorithm:
    """Power of a ratio of two bands."""
    return Algorithm((upper, lower), cdom.band_ratio, (factor, exponent), cdom.band_ratio_gradient)


GILERSON2 = Algorithm(
    ("B4", "B5"), chlorophyll.ratio_power, (35.75, -19.30, 1.124), chlorophyll.ratio_power_gradient
)
EDGE = Weights(("B4", "B5"), chlorophyll.edge_weights, (0.75, 1.15))
BY_TYPE = Weights(("B4", "B5"), chlorophyll.type_weights, (0.75, 1.15), by_type=True)


def chlorophyll_blend(blue_green: Algorithm, weights: Weights) -> Blend:
    """Blue-green and red edge."""
    return Blend((blue_green, GILERSON2), weights, drops=True, threshold=0.05)


def get2018(nir: str = "B8A", low: tuple[float, float] = (610.94, 0.2324)) -> Blend:
    """Suspended matter of GET/OBS2CO."""
    high = Algorithm(("B4", nir), turbidity.ratio_law, (691.13, 2.5411), turbidity.ratio_law_gradient)
    return Blend((nechad("B4", *low), high), Weights(("B4",), turbidity.ramp_weights, (0.07, 0.14)))


def dogliotti15(nir: str = "B8A") -> Blend:
    """Turbidity of Dogliotti."""
    branches = nechad("B4", 228.1, 0.1641), nechad(nir, 3078.9, 0.2112)
    return Blend(branches, Weights(("B4",), turbidity.ramp_weights, (0.05, 0.07)))


def han16(low: tuple[float, float], high: tuple[float, float], lowest: float, highest: float) -> Blend:
    """Suspended matter of Han."""
    branches = nechad("B4", *low), nechad("B4", *high)
    return Blend(branches, Weights(("B4",), turbidity.log_ramp_weights, (lowest, highest)))


NOVOA17 = Blend(
    (quadratic("B3", 130.1), quadratic("B4", 531.5), quadratic("B8A", 1751.0, 37150.0)),
    Weights(("B4",), turbidity.three_way_weights, (0.007, 0.016, 0.080, 0.120)),
)

NECHAD = {
    "spm_nechad2010": {
        "B4": (342.10, 0.19563),
        "B5": (444.36, 0.18753),
        "B6": (1517.00, 0.19736),
        "B7": (1510.12, 0.20535),
        "B8": (1801.52, 0.1913),
        "B8A": (2932.21, 0.21151),
    },
    "spm_nechad2016": {
        "B3": (228.72, 0.2200),
        "B4": (610.94, 0.2324),
        "B5": (416.32, 0.1875),
        "B6": (1547.25, 0.1974),
        "B7": (1587.8, 0.2053),
        "B8": (1858.22, 0.1913),
        "B8A": (3030.32, 0.2115),
    },
    "tur_nechad": {
        "B4": (366.14, 0.19563),
        "B5": (439.09, 0.18753),
        "B6": (1590.66, 0.19736),
        "B7": (1602.93, 0.20535),
        "B8": (1913.65, 0.1913),
        "B8A": (3250.32, 0.21151),
    },
    "spm_nechad2010_oli": {"LB4": (346.32, 0.19905), "LB5": (2929.49, 0.21135)},
    "spm_nechad2016_oli": {
        "LB2": (234.55, 0.2217),
        "LB3": (499.3, 0.2256),
        "LB4": (526.82, 0.2365),
        "LB5": (3031.75, 0.2114),
    },
    "tur_nechad_oli": {"LB4": (378.46, 0.19905), "LB5": (3431.36, 0.21135)},
}


def line(left: str, centre: str, right: str, positions: tuple[float, float, float], kind: Any) -> Algorithm:
    """Line height from three wavelengths."""
    low, middle, high = positions
    position = (middle - low) / (high - low)
    return Algorithm((left, centre, right), indices.line_height, (position,), declared=kind)


FAI = line("B4", "B8A", "B11", (665, 865, 1614), "rho")

ALGORITHMS: dict[str, Algorithm | Blend] = {
    "chl_oc2_octs": oc2((0.2236, -1.8296, 1.9094, -2.9481, -0.1718)),
    "chl_oc2_msi": oc2(OC2_MSI),
    "chl_oc3_msi": oc3(OC3_MSI),
    "chl_oc2_oli": oc2(OC2_OLI),
    "chl_oc3_oli_franz": oc3((0.2412, -2.0546, 1.1776, -0.5538, -0.4570)),
    "chl_oc3_oli": oc3(OC3_OLI),
    "chl_oc2_msi_clamped": oc2(OC2_MSI, CLAMP),
    "chl_oc3_msi_clamped": oc3(OC3_MSI, CLAMP),
    "ndci": Algorithm(("B4", "B5"), indices.normalised_difference),
    "ndti": Algorithm(("B3", "B4"), indices.normalised_difference),
    "chl_ndci_mishra": ndci(14.039, 86.115, 194.325),
    "chl_ndci_cubic": ndci(4.071, 19.0, -176.43, 826.57),
    "chl_gons05": gons(1.05, 0.015),
    "chl_gons05_checked": gons(1.05, 0.015, checked=True),
    "chl_gons08": gons(1.063, 0.016),
    "chl_bramich21": gons(1.05, 0.0109, 1.1675),
    "chl_moses3b_740": difference(23.174, 232.329),
    "chl_moses3b_783": difference(23.174, 232.329, nir="B7"),
    "chl_moses2b": ratio(-37.94, 61.324),
    "chl_gilerson2": GILERSON2,
    "chl_gilerson3": Algorithm(("B4", "B5", "B6"), chlorophyll.difference_power, (113.36, 16.45, 1.124)),
    "chl_gurlin2": ratio(-15.18, 14.85, 25.28),
    "chl_gurlin3": difference(25.66, 215.95, 315.50),
    "chl_gitelson08_3b": difference(23.09, 117.4),
    "chl_gitelson08_2b": ratio(-16.2, 136.2, edge="B6"),
    "chl_gitelson11_3b": difference(23.17, 243.86),
    "chl_gitelson11_2b": ratio(-46.535, 72.66),
    "chl_lins17": ratio(-23.4, 39.07),
    "chl_blend_oc3": chlorophyll_blend(oc3(OC3_MSI), EDGE),
    "chl_blend_oc2c": chlorophyll_blend(oc2(OC2_MSI, CLAMP), EDGE),
    "chl_owt_blend": chlorophyll_blend(oc2(OC2_MSI, CLAMP), BY_TYPE),
    "tur_nechad2009_665": nechad("B4", 282.95, 0.1728),
    "spm_nechad2010_665pub": nechad("B4", 355.85, 0.1728),
    "tur_dogliotti15": dogliotti15(),
    "tur_dogliotti15_B8": dogliotti15("B8"),
    "spm_get2018": get2018(),
    "spm_get2018_B8": get2018("B8"),
    "spm_han16": han16((396.005, 0.5), (1208.481, 0.3375), 0.03, 0.045),
    "spm_han16_oli": han16((346.353, 0.5), (1221.39, 0.3329), 0.03, 0.04),
    "spm_novoa17": NOVOA17,
    "acdom440_brezonik": power_of_ratio("B2", "B6", math.exp(1.872), -0.830),
    "acdom440_brezonik_oli": power_of_ratio("B3", "B4", math.exp(1.582), -1.507),
    "acdom440_ficek": power_of_ratio("B3", "B4", 3.65, -1.93),
    "kd_par_rd22": Algorithm(("B2", "B4"), transparency.attenuation_difference, (3.09, -90.17)),
    "kd490_oli": Algorithm(
        ("B2", "B3"),
        transparency.attenuation_ratio,
        (0.0166, -0.9054, -1.5245, 2.2392, -2.4777, -1.1099),
    ),
    "fai": FAI,
    "afai": line("B4", "B6", "B8A", (665, 740, 865), "rho"),
    "mci": line("B4", "B5", "B6", (664.6, 704.1, 740.5), "rrs"),
    "slh": line("B4", "B5", "B7", (665, 704, 783), "rho"),
} | {
    f"{family}_{band}": nechad(band.removeprefix("L"), *coefficients)
    for family, bands in NECHAD.items()
    for band, coefficients in bands.items()
}


def water(tables: Any) -> Any:
    """Pure water of QAA."""
    table = tables["qaa"]
    return np.array([[table[row][band] for band in BANDS[:4]] for row in ("aw", "bbw")])


def p3qaa_tables(tables: Any) -> tuple[Any, Any]:
    """Bands and polynomials of P3QAA."""
    table = tables["p3qaa_s2a"]
    bands = np.array([table[row] for row in ("al", "b1", "b2", "aw", "bbw")])
    polynomials = [[0.0] * (5 - len(table[row])) + table[row] for row in ("bg", "chi", "z")]
    return bands, np.array(polynomials, float)


def zsd_p3qaa(tables: Any) -> Algorithm:
    """Secchi depth without 443 nm."""
    return Algorithm(
        ("B2", "B3", "B4"), p3qaa.secchi_p3qaa, p3qaa_tables(tables), p3qaa.secchi_p3qaa_gradient
    )


def jiang(tables: Any) -> Algorithm:
    """Suspended matter of Jiang."""
    table = tables["jiang23"]
    rows = [[table["aw"][b], table["bbw"][b], table["scale"][b]] for b in ("B3", "B4", "B6", "B8A")]
    return Algorithm(("B1", "B2", "B3", "B4", "B6", "B8A"), turbidity.jiang, (np.array(rows),))


def hue_table(tables: Any, sensor: str) -> Colour:
    """Hue of S2A, S2B or L8."""
    table = tables["hue"][sensor]
    weights = np.array([table[axis] for axis in "XYZ"])
    limits = colour.class_limits(np.array(tables["forel_ule_angles"]))
    return Colour(weights, np.array(table["poly_highest_first"]), tuple(table["alpha_domain"]), limits)


GROUPS = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2, 2], np.uint8)


def water_types(tables: Any, sensor: str) -> WaterTypes:
    """Optical water types of S2A or S2B."""
    table = tables["owt_bi2024"]
    inverses = np.empty((10, 6))
    owt.inverse_covariances(np.array(table["covariances"]), inverses)
    return WaterTypes(
        wavelengths=np.array(table["avw_wavelengths"], float),
        polynomial=np.array(table["avw_polynomial_lowest_first"][sensor]),
        box_cox=table["boxcox_lambda"],
        means=np.array(table["means"]),
        inverses=inverses,
        groups=GROUPS,
    )


DEFAULT = frozenset({"chla", "spm", "tur", "acdom440", "zsd", "fui", "owt"})
UNCERTAINTY = frozenset({f"{name}_unc" for name in ("chla", "spm", "tur", "acdom440", "zsd", "kd490")})
OPTICS = frozenset({"kd490", "zsd_jiang2019", "hue"})
DETAIL = frozenset({"owt_membership", "owt_sum"})
INDICES = frozenset({"ndci", "ndti", "fai", "afai", "slh", "mci"})
TROPHIC = frozenset({"tsi_chl", "tsi_zsd", "bloom_class"})
BRANCHES = frozenset({"chla_alg", "spm_alg", "tur_alg"})
EVERYTHING = DEFAULT | UNCERTAINTY | OPTICS | DETAIL | INDICES | TROPHIC | BRANCHES


def products(chla: Algorithm | Blend, spm: Blend, acdom: Algorithm, *errors: float) -> tuple[Product, ...]:
    """The four products that every sensor has; `errors` are those of the components of chla."""
    own = 0.30 if not errors else 0.0
    return (
        Product(
            "chla", chla, 0.01, 1000, flags.CHLA_RANGE, flags.CHLA_NOVALUE, flags.CHLA_BLENDED,
            logarithmic=True, error=own, errors=np.array(errors),
        ),
        Product(
            "spm", spm, 0, 3500, flags.SPM_RANGE, flags.SPM_NOVALUE, flags.SWITCH_BLENDED,
            logarithmic=True, error=0.40,
        ),
        Product(
            "tur", dogliotti15(), 0, 1500, flags.TUR_RANGE, flags.TUR_NOVALUE, flags.SWITCH_BLENDED,
            logarithmic=True, error=0.40,
        ),
        Product("acdom440", acdom, 0, 60, flags.CDOM_RANGE, flags.CDOM_NOVALUE, error=0.30),
    )  # fmt: skip


def index_layers(names: Any) -> tuple[Product, ...]:
    """Indices; the normalised differences keep to [-1, 1]."""
    found = []
    for name in sorted(set(names) & (INDICES - {"fai"})):
        limit = 1.0 if name in ("ndci", "ndti") else math.inf
        found.append(Product(name, ALGORITHMS[name], -limit, limit, strict=True))
    return tuple(found)


def recipe(tables: Any, sensor: str, layers: Any = EVERYTHING, **changes: Any) -> Recipe:
    """What the pass computes for S2A, S2B, OLI or MAJA, with default parameters."""
    layers = frozenset(layers)
    if sensor == "OLI":
        chosen = products(
            oc3(OC3_OLI, CLAMP), get2018(low=(526.82, 0.2365)), ALGORITHMS["acdom440_brezonik_oli"]
        )
        layers &= DEFAULT | UNCERTAINTY | {"hue", "ndti", "fai", "tsi_chl", "bloom_class"} | BRANCHES
        settings = {"hue": hue_table(tables, "L8")}
    elif sensor == "MAJA":
        chosen = products(
            ALGORITHMS["chl_blend_oc2c"], get2018(), ALGORITHMS["acdom440_brezonik"], 0.30, 0.38
        )
        chosen += (
            Product(
                "zsd", zsd_p3qaa(tables), 0.05, 60, flags.TRANSP_RANGE, flags.TRANSP_NOVALUE,
                error=0.20, needs_sun=True,
            ),
        )  # fmt: skip
        settings = {}
    else:
        chosen = products(ALGORITHMS["chl_owt_blend"], get2018(), ALGORITHMS["acdom440_brezonik"], 0.30, 0.38)
        settings = {
            "hue": hue_table(tables, sensor),
            "types": water_types(tables, sensor),
            "water": water(tables),
        }
    settings |= {"products": chosen, "floating": FAI, "layers": layers}
    return Recipe(**(settings | {"extra": index_layers(layers)} | changes))


def templates(tables: Any, name: str, key: str) -> Templates:
    """Spectra of the profile: Spyrakos2018 or Bi2024."""
    spectra = np.array(tables["sam"][key])
    unit = np.empty_like(spectra)
    owt.unit_templates(spectra, unit)
    return Templates(f"owt_index_{name}", f"owt_dist_{name}", unit)


def between(name: str, algorithm: str, lowest: float, highest: float) -> Product:
    """Layer of the profile, kept strictly between its limits."""
    low, high = np.nextafter(lowest, math.inf), np.nextafter(highest, -math.inf)
    return Product(name, ALGORITHMS[algorithm], low, high)


PROFILE = (
    between("Chla_OC2nasa", "chl_oc2_octs", 0, 1200),
    between("Chla_M09B", "chl_moses3b_740", 0, 1200),
    Product("SPM_nechad", ALGORITHMS["spm_nechad2010_B4"], 0, 2000),
    Product("SPM_obs2co", ALGORITHMS["spm_get2018"], 0, 2000),
    Product("TURB_dogliotti", ALGORITHMS["tur_dogliotti15"], 0, 2000),
    between("acdom_B15", "acdom440_brezonik", 0, 30),
    between("Kd_par", "kd_par_rd22", 0, 3000),
)


def profile(tables: Any) -> Recipe:
    """The layers of the public GRSl2bgen."""
    angles = (
        templates(tables, "Spyrakos2018", "spyrakos2018"),
        templates(tables, "Bi2024", "bi2024"),
    )
    return Recipe(frozenset(), extra=PROFILE, templates=angles, greatest_rrs=math.inf)
