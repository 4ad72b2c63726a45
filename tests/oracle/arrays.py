"""Arrays to try: every dtype, many shapes, and the values where things go wrong."""

import ml_dtypes
import numpy as np

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
INTEGERS = [np.dtype(n) for n in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")]
FLOATS = [np.dtype("float16"), BFLOAT16, np.dtype("float32"), np.dtype("float64")]
COMPLEX = [np.dtype("complex64"), np.dtype("complex128")]
ALL = [np.dtype("bool"), *INTEGERS, *FLOATS, *COMPLEX]


def dtype(rng, among=ALL):
    """One of the dtypes."""
    return among[rng.integers(len(among))]


def shape(rng, limit=4000):
    """Rank 0 to 6 mostly, with empty axes; sometimes one long axis, sometimes rank 64."""
    kind = rng.integers(20)
    if kind == 0:
        return (1,) * 64
    if kind == 1:
        return (int(rng.integers(20_000, 60_000)),)
    if kind == 2:
        return (int(rng.integers(50, 200)), int(rng.integers(50, 200)), 3)
    lengths = rng.integers(0 if kind < 6 else 1, 9, size=rng.integers(0, 7))
    while np.prod(lengths, dtype=np.int64) > limit:
        lengths = lengths[:-1]
    return tuple(int(n) for n in lengths)


def draw(rng, dt, shape_):
    """Values of one character: random bits, small numbers, special values, a constant or a run."""
    count = int(np.prod(shape_, dtype=np.int64))
    kind = rng.integers(5)
    if dt == bool:
        flat = rng.integers(0, 2, count).astype(bool)
    elif dt.kind in "iu":
        info = np.iinfo(dt)
        if kind == 0:
            flat = np.frombuffer(rng.bytes(count * dt.itemsize), dt)
        elif kind == 1:
            flat = rng.choice(np.array([info.min, info.max, 0, 1, info.max - 1], dt), count)
        elif kind == 2:
            flat = np.full(count, rng.integers(0, 100), dt)
        else:
            flat = (np.arange(count) % 100).astype(dt) if kind == 3 else rng.integers(0, 10, count).astype(dt)
    elif dt.kind == "c":
        part = np.dtype("float32" if dt.itemsize == 8 else "float64")
        flat = np.empty(count, dt)
        flat.real, flat.imag = draw(rng, part, (count,)), draw(rng, part, (count,))
    else:
        info = ml_dtypes.finfo(dt)
        if kind == 0:
            flat = np.frombuffer(rng.bytes(count * dt.itemsize), dt)
            with np.errstate(invalid="ignore"):
                flat = np.where(np.isnan(flat), dt.type(np.nan), flat)  # one NaN, as text has only one
        elif kind == 1:
            special = [0.0, -0.0, np.nan, np.inf, -np.inf, info.max, info.min, info.tiny, info.smallest_subnormal, 1.0]
            flat = rng.choice(np.array(special).astype(dt), count)
        elif kind == 2:
            flat = np.full(count, rng.standard_normal()).astype(dt)
        else:
            flat = (rng.standard_normal(count) * (1 if kind == 3 else 10.0 ** rng.integers(-4, 5))).astype(dt)
    return np.ascontiguousarray(flat).reshape(shape_)


def same(got, want):
    """Equal dtype, shape and bits, except that a NaN is a NaN."""
    if got.dtype.newbyteorder("=") != want.dtype or got.shape != want.shape:
        return False
    if got.tobytes() == want.tobytes():
        return True
    if want.dtype.kind == "c":
        return same(np.asarray(got.real), np.asarray(want.real)) and same(np.asarray(got.imag), np.asarray(want.imag))
    if want.dtype.kind not in "fV":
        return False
    with np.errstate(invalid="ignore"):
        nan = np.isnan(want)
    return bool(np.array_equal(np.isnan(got), nan)) and got[~nan].tobytes() == want[~nan].tobytes()


def python(array):
    """An expression that makes the array again, when it is not too long to paste."""
    name = "ml_dtypes.bfloat16" if array.dtype == BFLOAT16 else f"{array.dtype.name!r}"
    raw = array.tobytes()
    data = f"bytes.fromhex({raw.hex()!r})" if len(raw) <= 512 else f"{raw[:16].hex()}... ({len(raw)} bytes)"
    return f"np.frombuffer({data}, {name}).reshape({array.shape})"


def difference(got, want):
    """Where two arrays first differ, for a person."""
    if got.dtype != want.dtype or got.shape != want.shape:
        return f"got {got.dtype} of shape {got.shape}, want {want.dtype} of shape {want.shape}"
    places = [i for i in np.ndindex(want.shape) if not same(np.asarray(got[i]), np.asarray(want[i]))]
    first = places[0]
    return f"{len(places)} of {want.size} elements differ, first {list(first)}: got {got[first]!r}, want {want[first]!r}"
