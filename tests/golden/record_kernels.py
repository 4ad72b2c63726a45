"""Records what NumPy answers for casts, promotion and reductions, for the tests of src/nd/kernels.

    python tests/golden/record_kernels.py          writes casts.txt, promotion.txt and reductions.txt beside itself

NumPy has no bfloat16: it is rounded here from exact fractions, and widened to float32 before it is cast further.
"""

import itertools
import pathlib
import warnings
from fractions import Fraction

import numpy as np

warnings.simplefilter("ignore")
HERE = pathlib.Path(__file__).parent
DTYPES = (
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64 complex64 complex128"
).split()
NUMPY = [d for d in DTYPES if d != "bfloat16"]


def to_bfloat16(x):
    """The bits of the nearest bfloat16 of a Python int or float, ties to even."""
    if isinstance(x, float):
        if np.isnan(x):
            return 0x7FC0
        sign = 0x8000 if np.signbit(x) else 0
        if np.isinf(x):
            return sign | 0x7F80
        if x == 0:
            return sign
    x = Fraction(x)
    sign, x = (0x8000, -x) if x < 0 else (0, x)
    if x == 0:
        return sign
    exponent = max(-126, next(e for e in range(1100, -1100, -1) if x >= Fraction(2) ** e) if x >= Fraction(2) ** -126 else -126)
    units = x / Fraction(2) ** (exponent - 7)
    whole = units.numerator // units.denominator
    rest = units - whole
    if rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2):
        whole += 1
    # `whole` carries into the exponent by itself
    bits = ((exponent + 126) << 7) + whole if exponent > -126 or whole >= 128 else whole
    return sign | min(bits, 0x7F80)


def bfloat16(values):
    return np.array([to_bfloat16(v) for v in values], "u2")


def widen(bits):
    return (np.asarray(bits, "u2").astype("u4") << np.uint32(16)).view("f4")


def corners(dtype):
    if dtype == "bool":
        return np.array([False, True])
    if dtype == "bfloat16":
        return bfloat16([0.0, -0.0, 1.0, -1.0, 0.5, 1.5, -2.5, 3.140625, 100.0, 127.0, -128.0, 255.0, 256.0, 65280.0,
                         65536.0, 1e-40, -1e-7, 1e30, 3e38, -3e38, 2.0**31, 2.0**62, 2.0**63, float("inf"), -float("inf"), float("nan")])
    d = np.dtype(dtype)
    if d.kind in "iu":
        lo, hi = int(np.iinfo(d).min), int(np.iinfo(d).max)
        near = {lo, lo + 1, hi, hi - 1, hi // 2, hi // 2 + 1, 0, 1, 2, 3, 10, 100, 127, 128, 255, 256, 257, 259, -1, -2, -128, -129}
        for bits in (8, 11, 16, 24, 31, 32, 40, 53, 62, 63):
            for off in (-1, 0, 1, 3):
                near.add(2**bits + off)
                near.add(-(2**bits) - off)
        near |= {65504, 65519, 65520, 65535, 16777217, 16777219, 2**62 + 2**38, 2**62 + 2**38 + 1, 2**62 + 2**38 - 1}
        near |= {2**62 + 2**54, 2**62 + 2**54 + 1, 2**62 + 2**54 - 1, 2**55 + 2**47 + 1, 2**31 + 2**23 + 1, 33024, 33025}
        return np.array(sorted(v for v in near if lo <= v <= hi), d)
    values = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 0.99, -0.99, 1.5, 2.5, -2.5, 3.7, -3.7, 100.4, 127.0, 127.9, -128.0, -128.9,
              255.0, 255.9, 256.0, 32767.0, -32768.0, 65504.0, 65519.0, 65519.99, 65520.0, 65535.0, 65536.0, 2048.5, 2049.0,
              2049.0000001, 2051.0, 1e-8, 5.9604645e-8, 2.98e-8, 2.9802322387695312e-8, 2.980232238769532e-8, 6.1e-5,
              1.0004882812500002, 1.00048828125, 1.00390625, 1.0039062500000002, 1e-40, 1e-45, 5e-324, 1e300, 3.4028235e38,
              3.4028236e38, 3.3961775e38, 2147483647.0, 2147483648.0, -2147483648.0, 4294967295.0, 2.0**53, 2.0**63,
              -(2.0**63), 9.2233720368547e18, 1.8446744073709e19, 16777217.0, np.inf, -np.inf, np.nan]
    if d.kind == "f":
        return np.array(values, d)
    half = np.array(values, np.empty(0, d).real.dtype)
    return complex_corners(half, d)


def complex_corners(parts, d):
    out = np.empty(len(parts), d)
    out.real = parts
    out.imag = np.roll(parts, 7)
    return out


def cast(values, source, target):
    """The result's bytes for each element; None where NumPy leaves it undefined."""
    if source == "bfloat16":
        values = widen(values)
    if target == "bfloat16":
        kind = values.dtype.kind
        exact = [int(v) if kind in "iub" else float(v.real) for v in values]
        return [v.tobytes() for v in bfloat16(exact)]
    result = values.astype(target)
    out = [v.tobytes() for v in result]
    if values.dtype.kind in "fc" and np.dtype(target).kind in "iu":
        info = np.iinfo(target)
        for i, v in enumerate(values.real):
            v = float(v)
            if not np.isfinite(v) or not info.min <= int(v) <= info.max:
                out[i] = None
    return out


def record_casts():
    lines = ["# source dtype, the elements; below it each target and what they become ('-': undefined); hex, little-endian"]
    for source in DTYPES:
        values = corners(source)
        lines.append(f"from {source} " + " ".join(v.tobytes().hex() for v in values))
        for target in DTYPES:
            if target != source:
                lines.append(f"{target} " + " ".join("-" if b is None else b.hex() for b in cast(values, source, target)))
    (HERE / "casts.txt").write_text("\n".join(lines) + "\n")


def record_promotion():
    lines = ["# a, b, numpy.promote_types(a, b), numpy.can_cast(a, b, 'safe'), numpy.can_cast(a, b, 'same_kind')"]
    for a, b in itertools.product(NUMPY, NUMPY):
        safe, same_kind = np.can_cast(a, b, "safe"), np.can_cast(a, b, "same_kind")
        lines.append(f"{a} {b} {np.promote_types(a, b)} {int(safe)} {int(same_kind)}")
    (HERE / "promotion.txt").write_text("\n".join(lines) + "\n")


def summands(dtype, size, special):
    """Values whose sums are exact in any order, so that NumPy's order does not matter."""
    i = np.arange(size)
    if dtype == "bool":
        return i % 3 == 0
    d = np.dtype("f8" if dtype == "bfloat16" else dtype)
    if d.kind in "iu":
        small = (i * 37 + 11) % 101 - (50 if d.kind == "i" else 0)
        if special:  # sums wrap at 64 bits
            small = small.astype(d)
            small[::3] = np.iinfo(d).max
            small[1::4] = np.iinfo(d).min
        return small.astype(d)
    scale = 1.0 if dtype == "bfloat16" else 0.25
    real = ((i * 29 + 5) % 31 - 15) * scale
    if special:
        real[:: max(1, size // 3)] = np.inf
        real[1 :: max(1, size // 2)] = -np.inf
        real[2 :: max(1, size // 2)] = np.nan
        real[3::5] = -0.0
    if d.kind == "c":
        out = np.empty(size, d)
        out.real, out.imag = real, ((i * 17 + 3) % 23 - 11) * 0.5
        return out
    return real.astype(d)


def record_reductions():
    lines = ["# array dtype shape elements; below it op axes keepdims, and the result's dtype, shape and elements"]
    text = lambda shape: "()" if shape == () else ",".join(map(str, shape))
    shapes = [(), (1,), (7,), (0,), (70,), (3, 4), (0, 3), (2, 3, 4), (2, 0, 2), (2, 1, 3, 2)]
    for dtype, shape, special in itertools.product(DTYPES, shapes, (False, True)):
        if special and (shape not in ((7,), (3, 4)) or dtype == "bool"):
            continue
        a = summands(dtype, int(np.prod(shape)), special).reshape(shape)
        stored = bfloat16(a.ravel().tolist()) if dtype == "bfloat16" else a
        lines.append(f"array {dtype} {text(shape)} {stored.tobytes().hex()}")
        for n in range(len(shape) + 1):
            for axes in itertools.combinations(range(len(shape)), n):
                for op in ("sum", "mean"):
                    if special and op == "mean" and a.dtype.kind in "ciu":
                        continue  # NumPy mixes infinite parts, and adds integers in float64
                    keepdims = (n + len(shape)) % 2 == 0
                    r = np.asarray(getattr(a, op)(axis=axes, keepdims=keepdims))
                    name, data = str(r.dtype), r.tobytes()
                    if dtype == "bfloat16":
                        name, data = "bfloat16", bfloat16(r.ravel().tolist()).tobytes()
                    lines.append(f"{op} {text(axes)} {int(keepdims)} {name} {text(r.shape)} {data.hex()}")
    (HERE / "reductions.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    record_casts()
    record_promotion()
    record_reductions()
