"""Records tests/golden/formats from NumPy and pyarrow: python3 tests/golden/record_formats.py

The folder holds small files as those libraries write them, manifest.txt, which says of each file what it holds
(`name|dtype|shape|hex of the little-endian C-order bytes`, or `name|!CODE` where it is to be refused), and
array2string.bin, texts of generated arrays:

    u8 source (0: the elements follow, 1: by the formula below), u8 length and name of the dtype, u8 ndim, u32 per axis,
    [u32 length and the elements], u32 length and the text

By formula, element i is v = (i * 2654435761) mod 2^32, then v mod 200 - 100 for int, v mod 200 for uint, v odd for bool,
and (v mod 20011 - 10000) / 16 for float.
"""

import io
import pathlib
import struct

import numpy as np
import pyarrow as pa

OUT = pathlib.Path(__file__).parent / "formats"
NUMBERS = "int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64".split()
NAMES = ["bool", *NUMBERS, "complex64", "complex128"]
manifest = []


def holds(name, content, array):
    (OUT / name).write_bytes(content)
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).reshape(array.shape)
    shape = ",".join(map(str, array.shape)) or "()"
    manifest.append(f"{name}|{array.dtype.name}|{shape}|{little.tobytes().hex()}")


def refused(name, content, code):
    (OUT / name).write_bytes(content)
    manifest.append(f"{name}|!{code}")


def npy(array, version=None):
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asanyarray(array), version=version, allow_pickle=True)
    return out.getvalue()


def by_hand(header, elements=b"", version=1):
    header = header.encode()
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + elements


def tensor(array):
    sink = pa.BufferOutputStream()
    pa.ipc.write_tensor(pa.Tensor.from_numpy(array), sink)
    return sink.getvalue().to_pybytes()


def record_npy():
    for name in NAMES:
        array = np.arange(-2, 4).astype(name).reshape(2, 3)
        holds(f"{name}.npy", npy(array), array)
    array = np.arange(6, dtype="<i4").reshape(2, 3)
    big, fortran = array.astype(">i4"), np.asfortranarray(array)
    holds("version2.npy", npy(array, (2, 0)), array)
    holds("version3.npy", npy(array, (3, 0)), array)
    holds("big_endian.npy", npy(big), big)
    holds("big_endian_complex.npy", npy(np.array([1 + 2j], ">c8")), np.array([1 + 2j], "c8"))
    holds("fortran.npy", npy(fortran), array)
    holds("fortran_big_endian.npy", npy(np.asfortranarray(big)), array)
    holds("scalar.npy", npy(np.float32(2.5)), np.array(2.5, "f4"))
    holds("empty.npy", npy(np.zeros((3, 0, 2))), np.zeros((3, 0, 2)))
    holds("long_axis.npy", npy(np.zeros(1, "i1").repeat(300)), np.zeros(300, "i1"))
    data = array.tobytes()
    holds("python2.npy", by_hand("{\"shape\": (2L, 3L), 'descr':'<i4','fortran_order':False}", data), array)
    holds("spaces.npy", by_hand("\n{ 'shape' :\t( 2 ,3 , ) , 'fortran_order': False , 'descr': 'i4' , } \n", data), array)
    holds("truth.npy", by_hand("{'descr':'|b1','fortran_order':False,'shape':(4,)}", b"\0\1\2\xff"), np.array([0, 1, 1, 1], bool))
    refused("object.npy", npy(np.array([None])), "DTYPE")
    refused("structured.npy", npy(np.zeros(1, [("a", "i4")])), "DTYPE")
    refused("text.npy", npy(np.array(["a"])), "DTYPE")
    refused("date.npy", npy(np.array(["2020"], "M8[D]")), "DTYPE")
    refused("float128.npy", npy(np.zeros(1, "longdouble")), "DTYPE")
    good = "{'descr':'<i4','fortran_order':False,'shape':(2,3)}"
    for name, header in {
        "repeated_key": good[:-1] + ",'descr':'<i4'}",
        "unknown_key": good[:-1] + ",'x':1}",
        "missing_key": "{'descr':'<i4','shape':(2,3)}",
        "negative_axis": good.replace("2,3", "-2,3"),
        "no_tuple": good.replace("(2,3)", "(6)"),
        "no_comma": good.replace(",'shape'", " 'shape'"),
        "expression": good.replace("False", "bool(0)"),
        "behind_brace": good + " 1",
    }.items():
        refused(f"{name}.npy", by_hand(header, data), "CORRUPT")
    refused("huge_axes.npy", by_hand(good.replace("2,3", "9223372036854775807,9223372036854775807")), "LIMIT")
    refused("many_axes.npy", by_hand(good.replace("2,3", "1," * 65)), "SHAPE")
    refused("oversized.npy", npy(array) + b"\0", "CORRUPT")
    refused("version4.npy", by_hand(good, data, 4), "CORRUPT")


def record_npz():
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b/ä": np.array([True, False]), "zeros": np.zeros(500, "i2")}
    for name, save in {"stored": np.savez, "deflated": np.savez_compressed}.items():
        out = io.BytesIO()
        save(out, **arrays)
        (OUT / f"{name}.npz").write_bytes(out.getvalue())


def record_arrow():
    for name in NUMBERS:
        array = np.arange(6).astype(name).reshape(2, 3)
        holds(f"{name}.arrow", tensor(array), array)
    array = np.arange(24.0).reshape(2, 3, 4)
    holds("fortran.arrow", tensor(np.asfortranarray(array)), array)
    holds("transposed.arrow", tensor(array.transpose(1, 2, 0)), array.transpose(1, 2, 0))
    holds("strided.arrow", tensor(array[:, ::2, 1::2]), array[:, ::2, 1::2])
    holds("scalar.arrow", tensor(np.array(2.5)), np.array(2.5))
    holds("empty.arrow", tensor(np.zeros((3, 0))), np.zeros((3, 0)))
    named = pa.Tensor.from_numpy(array, dim_names=["x", "y", "longer"])
    sink = pa.BufferOutputStream()
    pa.ipc.write_tensor(named, sink)
    holds("named.arrow", sink.getvalue().to_pybytes(), array)
    holds("before_0_15.arrow", tensor(array)[4:], array)
    out = io.BytesIO()
    with pa.ipc.new_stream(out, pa.schema([("x", pa.int32())])):
        pass
    refused("schema.arrow", out.getvalue(), "CORRUPT")


def formula(name, shape):
    v = np.arange(int(np.prod(shape)), dtype="u8") * 2654435761 % 2**32
    kind = np.dtype(name).kind
    number = {"b": v % 2, "u": v % 200, "i": v % 200 - 100.0, "f": (v % 20011 - 10000.0) / 16}[kind]
    return number.astype(name).reshape(shape)


def floats(rng, n, name):
    """One of a dozen distributions that meet the switches of the float formats."""
    size = np.dtype(name).itemsize
    scale = 300 if size == 8 else 30
    v = [
        lambda: np.frombuffer(rng.bytes(n * size), name),
        lambda: rng.normal(size=n),
        lambda: rng.normal(size=n) * 10.0 ** rng.integers(-8, 12),
        lambda: np.round(rng.normal(size=n) * 100, int(rng.integers(0, 5))),
        lambda: rng.integers(-5, 5, n).astype("f8"),
        lambda: 10.0 ** rng.integers(-6, 9, n),
        lambda: rng.integers(-2000, 2000, n) / 2.0 ** rng.integers(0, 14),
        lambda: rng.choice([0.0, -0.0, 0.5, -1e-4, 1e-4, 999, 1000, 1e5, 1e6, 1e8, 99999999, 123456.789, 0.1], n),
        lambda: rng.choice([np.nan, np.inf, -np.inf][: rng.integers(1, 4)], n),
        lambda: 2.0 ** rng.integers(-30, 40, n),
        lambda: rng.choice([0.1, 1 / 3, 1e-5, 2.5, 1e10, 1.2345678901, 1.5], n),
        lambda: rng.normal(size=n) * 10.0 ** rng.integers(-scale, scale, n),
    ][rng.integers(12)]()
    with np.errstate(all="ignore"):
        v = np.array(v).astype(name)
    if n and rng.random() < 0.2:
        v[rng.integers(n, size=max(1, n // 5))] = rng.choice([np.nan, np.inf, -np.inf, 0, -0.0])
    return v


def elements(rng, name, n):
    kind = np.dtype(name).kind
    if kind == "b":
        return rng.random(n) < rng.random()
    if kind in "iu":
        ends = np.iinfo(name)
        if rng.random() < 0.5:
            return rng.integers(ends.min, ends.max, n, dtype=name, endpoint=True)
        low, high = max(ends.min, -(10 ** int(rng.integers(3)))), min(ends.max, 10 ** int(rng.integers(6)))
        return rng.integers(low, high, n, endpoint=True).astype(name)
    if kind == "f":
        return floats(rng, n, name)
    part = "float32" if name == "complex64" else "float64"
    v = np.empty(n, name)
    v.real, v.imag = floats(rng, n, part), floats(rng, n, part)
    return v


def record_array2string(out, rng, count):
    def record(source, array):
        text = np.array2string(array).encode()
        name = array.dtype.name.encode()
        data = struct.pack("<I", array.nbytes) + array.tobytes() if source == 0 else b""
        head = bytes([source, len(name)]) + name + bytes([array.ndim])
        shape = b"".join(struct.pack("<I", d) for d in array.shape)
        out.write(head + shape + data + struct.pack("<I", len(text)) + text)

    for shape in [(1000,), (1001,), (7, 200), (6, 200), (200, 6), (1, 1001), (1001, 1), (3, 7, 60), (10, 10, 10, 10), (40, 1, 40)]:
        for name in ["bool", "int8", "uint16", "float16", "float32", "float64"]:
            record(1, formula(name, shape))
    for _ in range(count):
        ndim = int(rng.integers(5))
        top = [1, 30, 7, 4, 3][ndim]
        low = 0 if rng.random() < 0.05 else 1
        shape = tuple(int(d) for d in rng.integers(low, top, ndim, endpoint=True))
        name = NAMES[rng.integers(len(NAMES))]
        record(0, np.asarray(elements(rng, name, int(np.prod(shape))), name).reshape(shape))


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    record_npy()
    record_npz()
    record_arrow()
    (OUT / "manifest.txt").write_text("\n".join(manifest) + "\n")
    with open(OUT / "array2string.bin", "wb") as out:
        record_array2string(out, np.random.default_rng(20), 2200)
