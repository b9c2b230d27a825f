"""The functions of `elementary` among float32: as branchless, and right to a few units of the last place of float32.

They are not called by name: a kernel that is compiled for float32 finds them in the place of those of `elementary`
(`precision`). The polynomials are Chebyshev interpolations whose error is below half a unit of the last place.
"""

from __future__ import annotations

import math

import numpy as np

from thalweg.kernels.formula import single_formula

Single = np.float32

NAN, INFINITY = math.nan, math.inf
LOG2_E = 1.4426950408889634
# The logarithm of 2 in two parts: the first has 9 trailing zero bits, so that its product with an exponent is exact.
LN_2_HIGH, LN_2_LOW = 0.693359375, -2.12194440e-4
ROUNDER = 12582912.0
SMALLEST_NORMAL = 1.17549435e-38

_SQRT_HALF_BITS = np.int32(0x3F3504F3)
_MANTISSA_BITS = np.int32(23)
_EXPONENT_BIAS = np.int32(127)


@single_formula
def ln(x: Single) -> Single:
    """Natural logarithm of a finite number; NaN for 0, negative and NaN."""
    bits = np.float32(x).view(np.int32)
    exponent = np.int32(np.int32(bits - _SQRT_HALF_BITS) >> _MANTISSA_BITS)
    mantissa = np.int32(bits - np.int32(exponent << _MANTISSA_BITS)).view(np.float32)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    z = s * s
    tail = s * z * (0.66666687 + z * (0.3998878 + z * 0.2957995))
    power_of_2 = np.float32(exponent)
    value = power_of_2 * LN_2_HIGH + (2.0 * s + (tail + power_of_2 * LN_2_LOW))
    return value if x >= SMALLEST_NORMAL else NAN


@single_formula
def exp(x: Single) -> Single:
    """e to the power x; 0 below -87, infinite from 88."""
    shifted = x * LOG2_E + ROUNDER
    power_of_2 = shifted - ROUNDER
    r = (x - power_of_2 * LN_2_HIGH) - power_of_2 * LN_2_LOW
    rr = r * r
    first, second = 0.5 + r * 0.16666578, 0.041666556 + r * 0.008363173
    mantissa = 1.0 + (r + rr * (first + rr * (second + rr * 0.0013926176)))
    bits = np.float32(shifted).view(np.int32)
    scale = np.int32(np.int32(bits + _EXPONENT_BIAS) << _MANTISSA_BITS).view(np.float32)
    value = mantissa * scale
    value = INFINITY if x >= 88.0 else value
    return 0.0 if x < -87.0 else value


@single_formula
def sin(x: Single) -> Single:
    """Sine of an angle in radians, 0 to pi/2 on either side of 0."""
    z = x * x
    low, high = -0.16666666 + z * 0.0083332425, -0.0001982274 + z * 2.6347564e-06
    return x + x * z * (low + z * z * high)


@single_formula
def nearest(x: Single) -> Single:
    """Whole number nearest to `x`, half to even, up to 2^22 on either side of 0."""
    return x + ROUNDER - ROUNDER


@single_formula
def survival_scaled(s: Single) -> Single:
    """exp(s^2) erfc(s) + 2/sqrt(pi) s, for s from 0 to 5."""
    t = (s - 3.0) / (s + 3.0)
    tt = t * t
    low = (0.17900118 + t * -0.32623262) + tt * (0.24560141 + t * -0.15016033)
    high = (0.07162309 + t * -0.02397569) + tt * (0.0055552737 + t * 0.0021495664)
    return low + tt * tt * high + 1.1283792 * s


@single_formula
def arctangent(z: Single) -> Single:
    """(atan(q) - q) / q for z = q squared, q up to tan(pi / 8)."""
    return z * ((-0.3333333 + z * 0.1999954) + z * z * (-0.14263956 + z * (0.10743731 + z * -0.06451928)))
