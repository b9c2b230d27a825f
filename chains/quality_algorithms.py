"""Every built-in algorithm of the water-quality chain, as rows of coefficients over shared kernels.

Bands of OLI stand in the rows of their nearest Sentinel-2 bands: L1 to L4 in B1 to B4, L5 in B8A, L6 and L7 in B11 and
B12.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from thalweg.chains import quality_numbers as numbers
from thalweg.chains.quality_declaration import Declaration, Domain, Group
from thalweg.kernels import cdom, chlorophyll, indices, p3qaa, transparency, turbidity
from thalweg.kernels.recipe import Algorithm, Blend, Weights
from thalweg.kernels.reflectance import Kind

Limits = tuple[float, float]

OPEN: Limits = (-math.inf, math.inf)
CLAMP: Limits = (-0.5, 0.9)
EDGE: Limits = (0.75, 1.15)

_MSI = "10.1016/j.rse.2019.111604"
_FRANZ = "10.1117/1.JRS.9.096070"
_OC2 = {
    "chl_oc2_octs": ((0.2236, -1.8296, 1.9094, -2.9481, -0.1718), "NASA OBPG, OCTS"),
    "chl_oc2_msi": ((0.2389, -1.9369, 1.7627, -3.0777, -0.1054), _MSI),
    "chl_oc2_oli": ((0.1977, -1.8117, 1.9743, -2.5635, -0.7218), _FRANZ),
}
_OC3 = {
    "chl_oc3_msi": ((0.3308, -2.6684, 1.5990, 0.5525, -1.4876), _MSI),
    "chl_oc3_oli_franz": ((0.2412, -2.0546, 1.1776, -0.5538, -0.4570), _FRANZ),
    "chl_oc3_oli": ((0.30963, -2.40052, 1.28932, 0.52802, -1.33825), "10.1016/j.rse.2019.04.021"),
}
_GROUPS: Mapping[str, Group] = {
    "chl_oc2_octs": "profile",
    "chl_oc2_oli": "core",
    "chl_oc3_oli": "core",
    "chl_moses3b_740": "profile",
    "spm_nechad2010_B4": "profile",
    "kd_par_rd22": "profile",
}


def oc2(id: str, clamp: Limits = OPEN) -> Algorithm:
    """Blue-green ratio of two bands."""
    return Algorithm(
        ("B2", "B3"),
        chlorophyll.ocx,
        (*_OC2[id][0], *clamp),
        chlorophyll.ocx_gradient,
        chlorophyll.ocx_mark,
    )


def oc3(id: str, clamp: Limits = OPEN) -> Algorithm:
    """Blue-green ratio of the greater of two blue bands."""
    coefficients = (*_OC3[id][0], *clamp)
    gradient, mark = chlorophyll.ocx3_gradient, chlorophyll.ocx3_mark
    return Algorithm(("B1", "B2", "B3"), chlorophyll.ocx3, coefficients, gradient, mark)


def gilerson2() -> Algorithm:
    """Red edge over red, to a power."""
    value, gradient = chlorophyll.ratio_power, chlorophyll.ratio_power_gradient
    return Algorithm(("B4", "B5"), value, (35.75, -19.30, 1.124), gradient)


def edge_blend(blue_green: Algorithm, limits: Limits = EDGE, *, by_type: bool = False) -> Blend:
    """Blue-green ratio and red edge, shared by the ratio of edge to red or, `by_type`, by optical water types too."""
    rows = chlorophyll.type_weights if by_type else chlorophyll.edge_weights
    weights = Weights(("B4", "B5"), rows, limits, by_type)
    return Blend((blue_green, gilerson2()), weights, drops=True, threshold=0.05)


def nechad(band: str, a: float, c: float) -> Algorithm:
    """Hyperbola of one band with a pole."""
    return Algorithm((band,), turbidity.nechad, (a, c), turbidity.nechad_gradient, turbidity.nechad_mark)


def get2018(nir: str = "B8A", low: Limits = (610.94, 0.2324)) -> Blend:
    """Suspended matter of GET/OBS2CO."""
    high = Algorithm(("B4", nir), turbidity.ratio_law, (691.13, 2.5411), turbidity.ratio_law_gradient)
    return Blend((nechad("B4", *low), high), Weights(("B4",), turbidity.ramp_weights, (0.07, 0.14)))


def dogliotti15(nir: str = "B8A") -> Blend:
    """Turbidity of Dogliotti."""
    branches = nechad("B4", 228.1, 0.1641), nechad(nir, 3078.9, 0.2112)
    return Blend(branches, Weights(("B4",), turbidity.ramp_weights, (0.05, 0.07)))


def han16(low: Limits, high: Limits, lowest: float, highest: float) -> Blend:
    """Suspended matter of Han."""
    branches = nechad("B4", *low), nechad("B4", *high)
    return Blend(branches, Weights(("B4",), turbidity.log_ramp_weights, (lowest, highest)))


def novoa17() -> Blend:
    """Suspended matter of Novoa: green, red and near infrared."""
    forms = (("B3", (130.1, 0.0)), ("B4", (531.5, 0.0)), ("B8A", (1751.0, 37150.0)))
    branches = tuple(
        Algorithm((band,), turbidity.quadratic, form, turbidity.quadratic_gradient) for band, form in forms
    )
    return Blend(branches, Weights(("B4",), turbidity.three_way_weights, (0.007, 0.016, 0.080, 0.120)))


def band_ratio(upper: str, lower: str, factor: float, exponent: float) -> Algorithm:
    """Power of a ratio of two bands."""
    return Algorithm((upper, lower), cdom.band_ratio, (factor, exponent), cdom.band_ratio_gradient)


def line_height(bands: tuple[str, str, str], positions: tuple[float, float, float], kind: Kind) -> Algorithm:
    """Height of the middle band over the line between the outer ones."""
    left, centre, right = positions
    return Algorithm(bands, indices.line_height, ((centre - left) / (right - left),), declared=kind)


def p3qaa_depth() -> Algorithm:
    """Secchi depth without 443 nm."""
    tables = np.array(numbers.P3QAA_BANDS), np.array(numbers.P3QAA_POLYNOMIALS)
    return Algorithm(("B2", "B3", "B4"), p3qaa.secchi_p3qaa, tables, p3qaa.secchi_p3qaa_gradient)


def fai() -> Algorithm:
    """Floating-algae index."""
    return line_height(("B4", "B8A", "B11"), (665, 865, 1614), "rho")


def _chl(id: str, algorithm: Algorithm | Blend, limits: Limits, formula: str, source: str) -> Declaration:
    group = _GROUPS.get(id, "expert")
    return Declaration(id, "chla", "mg m-3", *limits, formula, source, algorithm, group)


def _blue_green() -> Iterator[Declaration]:
    formula = "10^(c0 + c1 x + c2 x^2 + c3 x^3 + c4 x^4), x = log10(max(blue)/green)"
    for table, make in ((_OC2, oc2), (_OC3, oc3)):
        for id, (_, source) in table.items():
            declared = _chl(id, make(id), (0.01, 30), formula, source)
            yield replace(declared, sensor="oli") if "_oli" in id else declared
    for id, algorithm in clamped_ratios().items():
        yield replace(
            _chl(id, algorithm, (0.01, 200), f"{formula}, x clamped to [-0.5, 0.9]", _MSI), group="core"
        )


def clamped_ratios(clamp: Limits = CLAMP) -> dict[str, Algorithm]:
    """The blue-green ratios of MSI that enter products."""
    return {
        "chl_oc2_msi_clamped": oc2("chl_oc2_msi", clamp),
        "chl_oc3_msi_clamped": oc3("chl_oc3_msi", clamp),
    }


_RATIOS = (
    ("chl_moses2b", (-37.94, 61.324), "B5", (2, 200), "10.1088/1748-9326/4/4/045005"),
    ("chl_gurlin2", (-15.18, 14.85, 25.28), "B5", (1, 200), "10.1016/j.rse.2011.08.011"),
    ("chl_gitelson08_2b", (-16.2, 136.2), "B6", (0, 240), "10.1016/j.rse.2008.04.015"),
    ("chl_gitelson11_2b", (-46.535, 72.66), "B5", (0, 240), "10.1016/j.jag.2010.07.011"),
    ("chl_lins17", (-23.4, 39.07), "B5", (0, 120), "10.3390/rs9060516"),
)
_DIFFERENCES = (
    ("chl_moses3b_740", (23.174, 232.329), "B6", (2, 200), "10.1088/1748-9326/4/4/045005"),
    ("chl_moses3b_783", (23.174, 232.329), "B7", (2, 200), "10.1088/1748-9326/4/4/045005"),
    ("chl_gurlin3", (25.66, 215.95, 315.50), "B6", (1, 200), "10.1016/j.rse.2011.08.011"),
    ("chl_gitelson08_3b", (23.09, 117.4), "B6", (0, 240), "10.1016/j.rse.2008.04.015"),
    ("chl_gitelson11_3b", (23.17, 243.86), "B6", (0, 240), "10.1016/j.jag.2010.07.011"),
)
_GONS = (
    ("chl_gons05", (1.05, 0.015, 1.0), OPEN[:1] * 2, (3, 200), "10.1093/plankt/fbh151"),
    ("chl_gons05_checked", (1.05, 0.015, 1.0), (0.005, 0.63), (3, 200), "10.1093/plankt/fbh151"),
    ("chl_gons08", (1.063, 0.016, 1.0), OPEN[:1] * 2, (3, 200), "10.1016/j.rse.2007.06.003"),
    ("chl_bramich21", (1.05, 0.0109, 1.1675), OPEN[:1] * 2, (1, 500), "10.1080/01431161.2021.1938738"),
)


def _red_edge() -> Iterator[Declaration]:
    for id, coefficients, edge, limits, source in _RATIOS:
        padded = (*coefficients, 0.0)[:3]
        algorithm = Algorithm(("B4", edge), chlorophyll.ratio_polynomial, padded)
        yield _chl(id, algorithm, limits, f"polynomial {coefficients} of {edge}/B4", source)
    for id, coefficients, nir, limits, source in _DIFFERENCES:
        padded = (*coefficients, 0.0)[:3]
        algorithm = Algorithm(("B4", "B5", nir), chlorophyll.difference_polynomial, padded)
        yield _chl(id, algorithm, limits, f"polynomial {coefficients} of (1/B4 - 1/B5) {nir}", source)
    for id, form, checks, limits, source in _GONS:
        algorithm = Algorithm(("B4", "B5", "B7"), chlorophyll.gons, (*form, *checks))
        formula = "(r (0.70 + bb) - 0.40 - bb^p)^q/d, r = B5/B4, bb = 1.61 rho783/(0.082 - 0.6 rho783)"
        yield _chl(id, algorithm, limits, formula, source)
    third = Algorithm(("B4", "B5", "B6"), chlorophyll.difference_power, (113.36, 16.45, 1.124))
    source = "10.1364/OE.18.024109"
    yield replace(
        _chl("chl_gilerson2", gilerson2(), (1, 1000), "(35.75 B5/B4 - 19.30)^1.124", source), group="core"
    )
    yield _chl("chl_gilerson3", third, (1, 1000), "(113.36 (1/B4 - 1/B5) B6 + 16.45)^1.124", source)


def _ndci() -> Iterator[Declaration]:
    value, gradient = chlorophyll.ndci_polynomial, chlorophyll.ndci_polynomial_gradient
    mishra = Algorithm(("B4", "B5"), value, (14.039, 86.115, 194.325, 0.0), gradient)
    cubic = Algorithm(("B4", "B5"), value, (4.071, 19.0, -176.43, 826.57), gradient)
    domain = Domain(Algorithm(("B4", "B5"), indices.normalised_difference), -86.115 / (2 * 194.325))
    formula = "14.039 + 86.115 N + 194.325 N^2, N = (B5 - B4)/(B5 + B4)"
    declared = _chl("chl_ndci_mishra", mishra, (1, 60), formula, "10.1016/j.rse.2011.10.016")
    yield replace(declared, group="core", domain=domain)
    formula = "826.57 N^3 - 176.43 N^2 + 19 N + 4.071"
    yield _chl("chl_ndci_cubic", cubic, (0, 500), formula, "public Sentinel-Hub scripts; paper not confirmed")


def _blends() -> Iterator[Declaration]:
    clamped = clamped_ratios()["chl_oc2_msi_clamped"]
    limits, source = (0.01, 1000), "10.1016/j.rse.2018.06.002"
    formula = "w gilerson2 + (1 - w) {}, w = clip((B5/B4 - 0.75)/0.40, 0, 1)"
    yield _chl("chl_blend_oc3", edge_blend(oc3("chl_oc3_msi")), limits, formula.format("oc3_msi"), source)
    declared = _chl("chl_blend_oc2c", edge_blend(clamped), limits, formula.format("oc2_msi_clamped"), source)
    yield replace(declared, group="core")
    by_type = edge_blend(clamped, by_type=True)
    formula = "gilerson2 and oc2_msi_clamped, shared by memberships of optical water types"
    yield replace(_chl("chl_owt_blend", by_type, limits, formula, "10.1002/lno.12606"), group="core")


_NECHAD: Mapping[tuple[str, str], tuple[Limits, Mapping[str, Limits]]] = {
    ("spm_nechad2010", "10.1016/j.rse.2009.11.022"): (
        (0, 100),
        {
            "B4": (342.10, 0.19563),
            "B5": (444.36, 0.18753),
            "B6": (1517.00, 0.19736),
            "B7": (1510.12, 0.20535),
            "B8": (1801.52, 0.1913),
            "B8A": (2932.21, 0.21151),
            "LB4": (346.32, 0.19905),
            "LB5": (2929.49, 0.21135),
        },
    ),
    ("spm_nechad2016", "10.1016/j.rse.2009.11.022, recalibrated by inrae/SISPPEO"): (
        (0, 1500),
        {
            "B3": (228.72, 0.2200),
            "B4": (610.94, 0.2324),
            "B5": (416.32, 0.1875),
            "B6": (1547.25, 0.1974),
            "B7": (1587.8, 0.2053),
            "B8": (1858.22, 0.1913),
            "B8A": (3030.32, 0.2115),
            "LB2": (234.55, 0.2217),
            "LB3": (499.3, 0.2256),
            "LB4": (526.82, 0.2365),
            "LB5": (3031.75, 0.2114),
        },
    ),
    ("tur_nechad", "10.1117/12.830700"): (
        (0, 1500),
        {
            "B4": (366.14, 0.19563),
            "B5": (439.09, 0.18753),
            "B6": (1590.66, 0.19736),
            "B7": (1602.93, 0.20535),
            "B8": (1913.65, 0.1913),
            "B8A": (3250.32, 0.21151),
            "LB4": (378.46, 0.19905),
            "LB5": (3431.36, 0.21135),
        },
    ),
}
_OLI_ROWS = {"LB2": "B2", "LB3": "B3", "LB4": "B4", "LB5": "B8A"}


def _matter(id: str, algorithm: Algorithm | Blend, limits: Limits, formula: str, source: str) -> Declaration:
    variable, units = ("spm", "g m-3") if id.startswith(("spm", "tss")) else ("tur", "FNU")
    return Declaration(id, variable, units, *limits, formula, source, algorithm, _GROUPS.get(id, "expert"))


def _hyperbolas() -> Iterator[Declaration]:
    for (family, source), (limits, bands) in _NECHAD.items():
        for band, (a, c) in bands.items():
            row = _OLI_ROWS.get(band, band)
            id = f"{family}_oli_{band}" if band in _OLI_ROWS else f"{family}_{band}"
            declared = _matter(id, nechad(row, a, c), limits, f"{a} rho/(1 - rho/{c})", source)
            yield replace(declared, sensor="oli" if band in _OLI_ROWS else "msi")
    for id, a, source in (
        ("tur_nechad2009_665", 282.95, "10.1117/12.830700"),
        ("spm_nechad2010_665pub", 355.85, "10.1016/j.rse.2009.11.022"),
    ):
        limits = (0, 150)
        yield _matter(id, nechad("B4", a, 0.1728), limits, f"{a} rho/(1 - rho/0.1728)", source)


def _switches() -> Iterator[Declaration]:
    for suffix, nir in (("", "B8A"), ("_B8", "B8")):
        formula = "610.94 r/(1 - r/0.2324) and 691.13 (n/r)^2.5411, switched at r 0.07-0.14"
        declared = _matter(f"spm_get2018{suffix}", get2018(nir), (0, 3500), formula, "Morin 2019, OBS2CO")
        yield replace(declared, group="core", sensor="any")
        formula = "228.1 r/(1 - r/0.1641) and 3078.9 n/(1 - n/0.2112), switched at r 0.05-0.07"
        declared = _matter(
            f"tur_dogliotti15{suffix}", dogliotti15(nir), (0, 1500), formula, "10.1016/j.rse.2014.09.020"
        )
        yield replace(declared, group="core", sensor="any")
    for id, low, high, limits in (
        ("spm_han16", (396.005, 0.5), (1208.481, 0.3375), (0.03, 0.045)),
        ("spm_han16_oli", (346.353, 0.5), (1221.39, 0.3329), (0.03, 0.04)),
    ):
        formula = f"hyperbolas {low} and {high} of rho665, switched at R {limits[0]}-{limits[1]}"
        declared = _matter(id, han16(low, high, *limits), (0, 2600), formula, "10.3390/rs8030211")
        yield replace(declared, sensor="oli" if id.endswith("oli") else "msi")
    formula = "130.1 g, 531.5 r, 37150 n^2 + 1751 n, switched at r 0.007-0.016 and 0.080-0.120"
    yield _matter("spm_novoa17", novoa17(), (0, 2000), formula, "10.3390/rs9010061")
    bands, table = ("B1", "B2", "B3", "B4", "B6", "B8A"), np.array(numbers.JIANG)
    jiang = Algorithm(bands, turbidity.jiang, (table,))
    formula = "s bbp of the reference band, semi-analytical"
    yield _matter("tss_jiang23", jiang, (0, 3500), formula, "10.1016/j.isprsjprs.2023.09.020")


def _dissolved() -> Iterator[Declaration]:
    source = "10.1016/j.rse.2014.04.033"
    msi = band_ratio("B2", "B6", math.exp(1.872), -0.830)
    oli = band_ratio("B3", "B4", math.exp(1.582), -1.507)
    common: dict[str, Any] = {"variable": "acdom440", "units": "m-1", "lowest": 0, "group": "core"}
    yield Declaration(
        "acdom440_brezonik",
        highest=60,
        formula="exp(1.872 - 0.830 ln(B2/B6))",
        source=source,
        algorithm=msi,
        **common,
    )
    formula = "exp(1.582 - 1.507 ln(B3/B4))"
    yield Declaration(
        "acdom440_brezonik_oli",
        highest=60,
        formula=formula,
        source=source,
        algorithm=oli,
        sensor="oli",
        **common,
    )
    ficek = band_ratio("B3", "B4", 3.65, -1.93)
    common["group"] = "expert"
    yield Declaration(
        "acdom440_ficek",
        highest=10,
        formula="3.65 (B3/B4)^-1.93",
        source="10.5697/oc.53-4.947",
        algorithm=ficek,
        **common,
    )


def _attenuation() -> Iterator[Declaration]:
    rd22 = Algorithm(("B2", "B4"), transparency.attenuation_difference, (3.09, -90.17))
    formula = "3.09 exp(-90.17 (B2 - B4))"
    yield Declaration(
        "kd_par_rd22",
        "kd_par",
        "m-1",
        0,
        200,
        formula,
        "10.1016/j.jhydrol.2022.127762",
        rd22,
        "profile",
    )
    coefficients = (0.0166, -0.9054, -1.5245, 2.2392, -2.4777, -1.1099)
    oli = Algorithm(("B2", "B3"), transparency.attenuation_ratio, coefficients)
    formula = "0.0166 + 10^poly4(log10(B2/B3))"
    yield Declaration(
        "kd490_oli", "kd490", "m-1", 0, 6, formula, "NASA OBPG, Kd2", oli, "expert", sensor="oli"
    )
    source = "10.1016/j.rse.2021.112469"
    yield Declaration(
        "zsd_p3qaa_s2a", "zsd", "m", 0.05, 60, "P3QAA of B2, B3, B4", source, p3qaa_depth(), "core"
    )


def _indices() -> Iterator[Declaration]:
    difference = indices.normalised_difference
    edge, green = Algorithm(("B4", "B5"), difference), Algorithm(("B3", "B4"), difference)
    rows = (
        ("ndci", edge, (-1, 1), "(B5 - B4)/(B5 + B4)", "10.1016/j.rse.2011.10.016"),
        ("ndti", green, (-1, 1), "(B4 - B3)/(B4 + B3)", "normalised difference turbidity index"),
        ("fai", fai(), OPEN, "LH(B4, B8A, B11)", "10.1016/j.rse.2009.05.012"),
        (
            "afai",
            line_height(("B4", "B6", "B8A"), (665, 740, 865), "rho"),
            OPEN,
            "LH(B4, B6, B8A)",
            "10.1016/j.rse.2016.04.019",
        ),
        (
            "mci",
            line_height(("B4", "B5", "B6"), (664.6, 704.1, 740.5), "rrs"),
            OPEN,
            "LH(B4, B5, B6)",
            "10.1080/014311699212470",
        ),
        (
            "slh",
            line_height(("B4", "B5", "B7"), (665, 704, 783), "rho"),
            OPEN,
            "LH(B4, B5, B7)",
            "10.1016/j.rse.2015.01.025",
        ),
    )
    for id, algorithm, (lowest, highest), formula, source in rows:
        units, scale = ("sr-1", 1e-5) if id == "mci" else ("1", None)
        yield Declaration(
            id, "index", units, lowest, highest, formula, source, algorithm, "core", "any", scale=scale
        )


@cache
def built_in() -> Mapping[str, Declaration]:
    """Id to declaration of every algorithm that is built in."""
    makers = (
        _blue_green,
        _red_edge,
        _ndci,
        _blends,
        _hyperbolas,
        _switches,
        _dissolved,
        _attenuation,
        _indices,
    )
    return {declared.id: declared for make in makers for declared in make()}
