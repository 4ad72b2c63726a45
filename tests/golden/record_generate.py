"""Records what NumPy generates, for the tests of src/nd/kernels/generate.

    python tests/golden/record_generate.py            writes generate.txt beside itself
    python tests/golden/record_generate.py --widths   prints widths.rs: the ziggurat's layer widths, told from the numbers
"""

import itertools
import pathlib
import sys
import warnings

import numpy as np

warnings.simplefilter("ignore")
HERE = pathlib.Path(__file__).parent


def line(words, dtype, shape, array):
    text = "()" if shape == () else ",".join(map(str, shape))
    array = np.asarray(array, order="C")
    assert str(array.dtype) == dtype and array.shape == shape, (words, array.dtype, array.shape)
    return f"{dtype} {text} {words} = {array.tobytes().hex()}"


def ranges():
    for dtype, start, step in [
        ("int8", "-3", "5"), ("uint8", "10", "-1"), ("int64", "9007199254740993", "1"), ("uint64", "18446744073709551600", "1"),
        ("float16", "0", "0.1"), ("float16", "-1000", "0.7"), ("float32", "0", "0.1"), ("float32", "16777216", "1"),
        ("float64", "0", "0.1"), ("float64", "1", "-0.3"), ("float64", "5", "3"),
        ("complex64", "0", "0.1"), ("complex128", "1+2j", "0.1-0.3j"), ("float32", "inf", "1"), ("float64", "0.1", "1e-18"),
    ]:
        n = 9
        a, s = (eval(v, {"inf": float("inf")}) for v in (start, step))
        # a stop half a step before the next element gives n elements
        if np.isinf(a) or dtype.startswith("complex") or (a + n * s) == a:
            out = np.empty(n, dtype)
            out[0], out[1] = a, a + s
            delta = out[1] - out[0]
            for i in range(2, n):
                out[i] = out[0] + out.dtype.type(i) * delta if not dtype.startswith("complex") else complex(0)
            if dtype.startswith("complex"):
                part = out.real.dtype.type
                for i in range(2, n):
                    out[i] = complex(out[0].real + part(i) * delta.real, out[0].imag + part(i) * delta.imag)
        else:
            out = np.arange(a, a + (n - 0.5) * s if isinstance(s, float) else a + n * s, s, dtype=dtype)[:n]
        yield line(f"ARANGE {start} {step}", dtype, (n,), out)
    for dtype, start, stop in [
        ("float64", "0", "1"), ("float64", "-1", "0.3"), ("float64", "5", "5"), ("float32", "0", "0.1"), ("float16", "-2", "7"),
        ("int32", "0", "10"), ("int32", "-10", "3"), ("int8", "3.7", "-3.7"), ("uint8", "0", "255"), ("bool", "-1", "1"),
        ("complex128", "0", "1+3j"), ("complex128", "1+1j", "1+1j"), ("complex64", "0", "1"), ("float64", "0", "5e-324"), ("float64", "0", "1e-323"),
    ]:
        for shape in [(), (1,), (2,), (7,), (3, 4), (50,), (0,)]:
            a, b = (eval(v) for v in (start, stop))
            n = int(np.prod(shape))
            yield line(f"LINSPACE {start} {stop}", dtype, shape, np.linspace(a, b, n, dtype=dtype).reshape(shape))
    for dtype, shape, k in itertools.product(["bool", "int16", "float32", "complex64"], [(3, 4), (4, 2), (0, 3), (3, 0)], (0, 1, -2, 9)):
        yield line(f"EYE {k}", dtype, shape, np.eye(*shape, k=k, dtype=dtype))


def random():
    for seed in (0, 1, 42, 2**32, 2**64 - 1):
        for lo, hi in (("0", "1"), ("-3.5", "1e3"), ("2", "2")):
            r = np.random.default_rng(seed).uniform(float(lo), float(hi), (5, 7))
            yield line(f"UNIFORM {lo} {hi} {seed}", "float64", (5, 7), r)
            yield line(f"UNIFORM {lo} {hi} {seed}", "float32", (5, 7), r.astype("f4"))
            yield line(f"UNIFORM {lo} {hi} {seed}", "float16", (5, 7), r.astype("f2"))
        for mean, sd in (("0", "1"), ("-3.5", "1e3"), ("1", "0")):
            r = np.random.default_rng(seed).normal(float(mean), float(sd), 600)
            yield line(f"NORMAL {mean} {sd} {seed}", "float64", (600,), r)
        for dtype in "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64".split():
            info = np.iinfo(dtype) if dtype != "bool" else None
            least, most = (0, 1) if info is None else (int(info.min), int(info.max))
            for lo, hi in {(least, most + 1), (0, 1), (0, min(100, most + 1)), (least, most), (most // 2, most + 1), (least + 1, most // 3 * 2 + 2)}:
                if lo < hi <= most + 1 and not (hi > 2**40 and seed == 0):
                    r = np.random.default_rng(seed).integers(lo, hi, 37, dtype=dtype)
                    yield line(f"INTEGERS {lo} {hi} {seed}", dtype, (37,), r)
        r = np.random.default_rng(seed).integers(-5, 2**33, 11)
        yield line(f"INTEGERS -5 8589934592 {seed}", "float64", (11,), r.astype("f8"))


def widths():
    """Every number but the few of the tail is distance * width[layer]: the width follows from some hundred of each layer."""
    rng, raw = np.random.default_rng(7), np.random.default_rng(7)
    found = [None] * 256
    seen = [[] for _ in range(256)]
    while min(map(len, seen)) < 60:
        # One at a time, so that the raw stream can follow. A number that took one draw was taken at once, one that took
        # two was taken after a look at the curve; more are a second try or the tail.
        x = abs(float(rng.standard_normal()))
        bits = int(raw.bit_generator.random_raw())
        if raw.bit_generator.state["state"] != rng.bit_generator.state["state"]:
            raw.bit_generator.random_raw()
        if raw.bit_generator.state["state"] == rng.bit_generator.state["state"]:
            seen[bits & 0xFF].append((float(bits >> 9 & 0xFFFFFFFFFFFFF), x))
        else:
            raw.bit_generator.state = rng.bit_generator.state
    for layer, pairs in enumerate(seen):
        d, x = max(pairs)
        near = x / d
        candidates = [np.nextafter(near, k, dtype=float) for k in (0, 1)] + [near]
        candidates += [np.nextafter(candidates[0], 0), np.nextafter(candidates[1], 1)]
        fits = sorted({float(w) for w in candidates if all(d * float(w) == x for d, x in pairs)})
        assert len(fits) == 1, (layer, fits)
        found[layer] = fits[0]
    print("//! Widths of the ziggurat's layers over 2^52, as bits of float64: NumPy's, recovered from the numbers it draws by")
    print("//! tests/golden/record_generate.py.\n")
    print("/// The widths, from the lowest layer (index 0) over the top one (1) down to the one that ends at the tail (255).")
    print("#[rustfmt::skip]\npub const WIDTHS: [u64; 256] = [")
    bits = [f"0x{np.float64(w).view('u8'):016x}" for w in found]
    for i in range(0, 256, 6):
        print("    " + ", ".join(bits[i : i + 6]) + ",")
    print("];")


if __name__ == "__main__":
    if sys.argv[1:] == ["--widths"]:
        widths()
    else:
        (HERE / "generate.txt").write_text("# dtype shape recipe = elements\n" + "\n".join([*ranges(), *random()]) + "\n")
