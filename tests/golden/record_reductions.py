"""Records what NumPy answers for every reduction, its options, and quantiles, for the tests of src/nd/kernels/reduce.

    python tests/golden/record_reductions.py          writes options.txt beside itself

An answer is computed cell by cell: the elements that count are picked, and NumPy's function is called on them alone.
"""

import itertools
import pathlib
import warnings

import numpy as np

warnings.simplefilter("ignore")
np.seterr(all="ignore")
HERE = pathlib.Path(__file__).parent
DTYPES = (
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128"
).split()
OPS = {
    "SUM": np.sum, "PROD": np.prod, "MEAN": np.mean, "VAR": np.var, "STD": np.std, "MIN": np.min, "MAX": np.max, "PTP": np.ptp,
    "ARGMIN": np.argmin, "ARGMAX": np.argmax, "ANY": np.any, "ALL": np.all, "COUNT": np.count_nonzero, "NORM": np.linalg.norm,
    "MEDIAN": np.median,
}


def elements(dtype, shape, rng):
    """Small numbers of both signs, some equal, some NaN or infinite."""
    size = int(np.prod(shape))
    if dtype == "bool":
        return rng.integers(0, 2, size).astype(bool).reshape(shape)
    d = np.dtype(dtype)
    if d.kind in "iu":
        flat = rng.integers(0 if d.kind == "u" else -9, 10, size).astype(d)
        if rng.integers(4) == 0:
            flat[:: max(1, size // 3)] = np.iinfo(d).max
        return flat.reshape(shape)

    def real():
        flat = (rng.integers(-40, 40, size) / 8).astype("f8")
        if rng.integers(2):
            flat[rng.integers(0, 4, size) == 0] = np.nan
        if rng.integers(6) == 0:
            flat[rng.integers(0, 9, size) == 0] = np.inf
        return flat

    flat = real()
    if d.kind == "c":
        flat = flat + 1j * np.where(np.isfinite(flat), rng.integers(-4, 4, size), 0)
    return flat.astype(d).reshape(shape)


def text(shape):
    return ",".join(map(str, shape)) or "()"


def reduced(function, array, keep, axes, positions, chosen=None):
    """The function of the kept elements of each cell; positions are counted among all. Where `chosen` elements are all
    dropped, NaN."""
    rest = [a for a in range(array.ndim) if a not in axes]
    shape = [array.shape[a] for a in rest]
    count = int(np.prod([array.shape[a] for a in axes]))
    rows = array.transpose(*rest, *axes).reshape(int(np.prod(shape)), count)
    kept = keep.transpose(*rest, *axes).reshape(rows.shape)
    were = (keep if chosen is None else chosen).transpose(*rest, *axes).reshape(rows.shape)
    out = []
    for row, k, w in zip(rows, kept, were):
        if chosen is not None and w.any() and not k.any():
            out.append(np.nan)
            continue
        value = function(row[k])
        out.append(np.flatnonzero(k)[value] if positions else value)
    return out, shape


def record(lines, name, function, array, mask, axes, options):
    keepdims, skipnan, ddof, dtype, masked = options
    keep = np.broadcast_to(mask, array.shape) if masked else np.ones(array.shape, bool)
    chosen = keep if skipnan and name in ("MIN", "MAX", "PTP") else None
    if skipnan:
        keep = keep & ~np.isnan(array)
    extra = {}
    if name in ("VAR", "STD"):
        extra["ddof"] = ddof
    if dtype != "-":
        extra["dtype"] = dtype
    out_dtype = np.asarray(function(array.ravel()[:1] if array.size else np.ones(1, array.dtype), **extra)).dtype
    call = lambda row: function(row, **extra)  # noqa: E731
    try:
        cells, shape = reduced(call, array, keep, axes, name.startswith("ARG"), chosen)
        if name in ("VAR", "STD") and skipnan:
            counts, _ = reduced(len, array, keep, axes, False)
            cells = [np.nan if n - ddof <= 0 else c for c, n in zip(cells, counts)]
        result = np.array(cells, out_dtype)
        if keepdims:
            shape = [1 if a in axes else n for a, n in enumerate(array.shape)]
        answer = f"{result.dtype} {text(shape)} {result.tobytes().hex() or '-'}"
    except (ValueError, IndexError):
        answer = "error"
    words = f"{name} {text(axes)} {int(keepdims)} {int(skipnan)} {ddof} {dtype} {int(masked)}"
    lines.append(f"{words} {answer}")


def main():
    lines = ["# array dtype shape elements mask's shape and bytes; below it: op axes keepdims skipnan ddof dtype masked, result"]
    shapes = [(), (1,), (9,), (0,), (3, 4), (0, 2), (2, 3, 4), (40, 2), (2, 70)]
    for number, (dtype, shape) in enumerate(itertools.product(DTYPES, shapes)):
        rng = np.random.default_rng(number)
        array = elements(dtype, shape, rng)
        mask_shape = shape[rng.integers(0, len(shape) + 1):]
        mask = rng.integers(0, 3, mask_shape) > 0
        lines.append(f"array {dtype} {text(shape)} {array.tobytes().hex() or '-'} {text(mask_shape)} {mask.tobytes().hex() or '-'}")
        floating = array.dtype.kind in "fc"
        for name, function in OPS.items():
            if name == "PTP" and dtype == "bool":
                continue
            for _ in range(2):
                axes = tuple(a for a in range(len(shape)) if rng.integers(2))
                if name.startswith("ARG") and 1 < len(axes) < len(shape) or (name.startswith("ARG") and not axes):
                    axes = tuple(range(len(shape)))
                keepdims, masked = bool(rng.integers(2)), rng.integers(3) == 0
                skipnan = bool(floating and rng.integers(2))
                ddof, to = int(rng.integers(0, 3)), "-"
                if name in ("SUM", "MEAN") and rng.integers(3) == 0 and array.dtype.kind != "c":
                    to = "float64"
                if name == "PROD" and floating and (np.isinf(array).any() or array.dtype.kind == "c"):
                    continue  # infinite times zero on the way, or complex infinities
                if floating and array.dtype.kind == "c" and name == "MEAN" and not np.isfinite(array).all():
                    continue  # NumPy mixes the parts
                if floating and array.dtype.kind == "c" and name == "MEDIAN" and not np.isfinite(array).all():
                    continue  # a complex NaN is NumPy's own element
                record(lines, name, function, array, mask, axes, (keepdims, skipnan, ddof, to, masked))
        if array.dtype.kind != "c":
            for method in ("linear", "lower", "higher", "midpoint", "nearest"):
                if np.isinf(array.astype("f8")).any() or (dtype == "bool" and method in ("linear", "midpoint")):
                    continue
                q = [0.25, 0.5, 1.0][int(rng.integers(3))]
                axes = tuple(a for a in range(len(shape)) if rng.integers(2))
                skipnan = False
                wide = array.astype("f8") if dtype == "float16" else array
                at = lambda row, q=q, method=method, **_: np.quantile(row, q, method=method)  # noqa: E731
                if array.dtype.kind in "iu" and method in ("linear", "midpoint") and array.size and np.max(array) > 100:
                    continue  # integers wrap on the way
                record(lines, f"QUANTILE:{q}:{method}", at, wide if wide is array else array, mask, axes, (False, skipnan, 0, "-", False))
    (HERE / "options.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
