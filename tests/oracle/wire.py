"""The contract's array arguments and formats, written with numpy and pyarrow and nothing of the module's own code."""

import io
import json

import numpy as np
import pyarrow as pa

from arrays import BFLOAT16


def name(dt):
    """The dtype's name in replies."""
    return "bfloat16" if dt == BFLOAT16 else dt.name


def shape_token(shape):
    """A shape as an argument."""
    return ",".join(map(str, shape)) or "()"


def number(x):
    """One element as text: what Python writes, exact for its dtype."""
    if isinstance(x, (np.complexfloating, complex)):
        real, imag = number(x.real), number(x.imag)
        return f"{real}{'' if imag[0] in '+-' else '+'}{imag}j"
    if isinstance(x, (np.bool_, bool)):
        return "true" if x else "false"
    if isinstance(x, (np.integer, int)):
        return str(int(x))
    return repr(float(x))  # exact in float64, so it rounds back to the same value


def arrow_takes(array):
    """Whether Arrow can carry it, as far as pyarrow itself can bring it back."""
    return array.dtype != bool and array.dtype.kind in "iuf" and array.ndim > 0 and array.size > 0 and array.ndim <= 32


def npy_bytes(array, version):
    """A .npy file; the array's own order of bytes and of axes."""
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version=version)
    return out.getvalue()


def arrow_bytes(array):
    """An Arrow IPC Tensor message with the array's own strides."""
    out = pa.BufferOutputStream()
    pa.ipc.write_tensor(pa.Tensor.from_numpy(array), out)
    return out.getvalue().to_pybytes()


def json_text(array):
    """Nested lists; complex numbers in quotes."""
    def text(x):
        if isinstance(x, list):
            return "[" + ",".join(map(text, x)) + "]"
        token = number(x)
        return f'"{token}"' if isinstance(x, complex) else token.replace("nan", "NaN").replace("inf", "Infinity")

    return text(np.asarray(array, np.float64).tolist() if array.dtype == BFLOAT16 else array.tolist())


def arguments_blob(array):
    """The plainest way to give the array."""
    return [name(array.dtype), shape_token(array.shape), "BLOB", array.tobytes()]


def arguments(rng, array):
    """Every way to give the array, as (label, arguments)."""
    dt, raw = name(array.dtype), array.tobytes()
    shape = shape_token(array.shape)
    yield "BLOB", arguments_blob(array)
    cuts = np.sort(rng.integers(0, len(raw) + 1, rng.integers(0, 6)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)])]
    yield "PIECES", [dt, shape, "PIECES", len(pieces), *pieces]
    if 0 < array.size <= 500:
        yield "VALUES", [dt, shape, "VALUES", *map(number, array.ravel())]
    if array.size <= 5000 and 0 not in array.shape:
        yield "JSON", ["JSON", json_text(array), "DTYPE", dt]
    if array.dtype == BFLOAT16:
        return
    swapped = array.astype(array.dtype.newbyteorder(">"))
    yield "big-endian BLOB", [array.dtype.newbyteorder(">").str, shape, "BLOB", swapped.tobytes()]
    if array.ndim <= 32:
        for version in [(1, 0), (2, 0), (3, 0)]:
            yield f"NPY {version}", ["NPY", npy_bytes(array, version)]
        yield "Fortran NPY", ["NPY", npy_bytes(np.asfortranarray(array).reshape(array.shape), (1, 0))]
        yield "big-endian NPY", ["NPY", npy_bytes(swapped, (1, 0))]
    if arrow_takes(array):
        yield "ARROW", ["ARROW", arrow_bytes(array)]
        yield "Fortran ARROW", ["ARROW", arrow_bytes(np.asfortranarray(array))]
        gaps = np.zeros((*array.shape[:-1], array.shape[-1] * 2), array.dtype)[..., ::2]
        gaps[...] = array
        yield "strided ARROW", ["ARROW", arrow_bytes(gaps)]


def from_elements(reply):
    """The default reply: dtype, shape, bytes."""
    dt, shape, raw = reply
    return from_blob(raw, BFLOAT16 if dt == b"bfloat16" else np.dtype(dt.decode()), tuple(shape))


def from_pieces(reply):
    """PIECES: the bytes as a list."""
    assert all(len(p) <= 256 * 1024 for p in reply[2]), "a piece is longer than 256 KiB"
    return from_elements([reply[0], reply[1], b"".join(reply[2])])


def from_blob(raw, dt, shape):
    """The bytes alone."""
    return np.frombuffer(raw, dt).reshape(shape)


def from_npy(raw):
    """What numpy.load reads."""
    return np.load(io.BytesIO(raw), allow_pickle=False)


def from_arrow(raw):
    """What pyarrow reads."""
    return pa.ipc.read_tensor(pa.BufferReader(raw)).to_numpy()


def from_json(text, dt, shape):
    """Nested lists, by Python's own reader."""
    flat = []

    def walk(x, depth):
        if depth == len(shape):
            assert not isinstance(x, list), "nested deeper than the shape"
            flat.append(complex(x) if isinstance(x, str) else x)
            return
        assert len(x) == shape[depth], f"{len(x)} items on axis {depth}, not {shape[depth]}"
        for item in x:
            walk(item, depth + 1)

    walk(json.loads(text), 0)
    return np.array(flat, dtype=object).astype(dt).reshape(shape) if flat else np.empty(shape, dt)


def from_values(reply, dt, shape):
    """A flat list of scalar replies, of RESP2 or RESP3."""
    return np.array([from_scalar(x, dt) for x in reply], dt).reshape(shape)


def from_scalar(reply, dt):
    """One scalar reply as an element of the dtype; its text must be the shortest that reads back."""
    if dt.kind == "c":
        part = np.dtype("float32" if dt.itemsize == 8 else "float64")
        real, imag = reply
        out = np.empty((), dt)
        out.real, out.imag = from_scalar(real, part), from_scalar(imag, part)
        return out[()]
    if dt == bool:
        return bool(reply)
    if dt.kind in "iu":
        return dt.type(int(reply))
    value = np.float64(reply if isinstance(reply, float) else float(reply)).astype(dt)
    if isinstance(reply, bytes) and dt != BFLOAT16 and np.isfinite(value):
        # Of two shortest forms that are equally near, either will do (3817606.25 as float32: …6.2 and …6.3).
        shortest = np.format_float_scientific(value, unique=True, trim="-")
        assert len(digits(reply.decode())) == len(digits(shortest)), f"{reply.decode()} is not the shortest form, {shortest} is"
    return value


def digits(text):
    """The significant digits of a number."""
    mantissa = text.lower().lstrip("+-").split("e")[0].replace(".", "")
    return mantissa.strip("0")


def subscript(item):
    """A NumPy subscript as the index token."""
    if item is None:
        return "None"
    if item is Ellipsis:
        return "..."
    if isinstance(item, slice):
        parts = ["" if p is None else str(p) for p in (item.start, item.stop)]
        return ":".join(parts + ([str(item.step)] if item.step is not None else []))
    return str(item)
