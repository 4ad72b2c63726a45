"""NumPy as the oracle: generated arrays go into a server and must come out as NumPy says.

    oracle.py --socket /path/to/redis.sock [--seed 1] [--scale 1.0] [--only FAMILY] [--case N]

A family is a function `check_*` below; it is called with case after case, each with a generator of its own that depends
on seed, family and case alone. A failing case is printed with the commands and the array, and with the line that runs it
again. The exit code is 1 when any case failed.
"""

import argparse
import io
import sys
import traceback
import warnings
import zipfile
import zlib

import ml_dtypes  # noqa: F401  registers bfloat16 with numpy
import numpy as np
import redis

import arrays
import reductions
import rows
import wire
from arrays import BFLOAT16

REPORTED = 5  # failing cases shown per family


class Server:
    """A connection of each protocol, and the commands of the case so far."""

    def __init__(self, socket):
        options = dict(unix_socket_path=socket, decode_responses=False, socket_timeout=60)
        self.resp = {p: redis.Redis(protocol=p, **options) for p in (2, 3)}
        for client in self.resp.values():
            client.response_callbacks.clear()  # replies as they come
        self.commands = []

    def __call__(self, *args, protocol=2):
        self.commands.append(args)
        return self.resp[protocol].execute_command(*args)

    def error(self, *args):
        """The error a command answers; anything else fails the case."""
        try:
            reply = self(*args)
        except redis.ResponseError as e:
            return str(e)
        raise AssertionError(f"no error, but {reply!r:.200}")

    def pasted(self):
        """The last commands, as redis-cli takes them."""
        return "\n".join("    " + " ".join(map(quote, c)) for c in self.commands[-4:])


def quote(arg):
    """An argument in redis-cli's quotes."""
    raw = arg if isinstance(arg, bytes) else str(arg).encode()
    if raw and all(33 <= b < 127 and b not in b"\"'\\" for b in raw):
        return raw.decode()
    body = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in raw[:300])
    return f'"{body}"' + (f"... ({len(raw)} bytes)" if len(raw) > 300 else "")


def expect(got, want, what):
    """Fails unless two arrays are the same."""
    if not arrays.same(got, want):
        raise AssertionError(f"{what}: {arrays.difference(got, want)}\n  want {arrays.python(want)}")


def stored(server, key="k"):
    """The array of a key, by the default reply."""
    return wire.from_elements(server("ND.GET", key))


def store(server, array, key="k", *options):
    """Stores an array by BLOB."""
    assert server("ND.SET", key, *wire.arguments_blob(array), *options) == b"OK"


def some(rng, among=arrays.ALL, limit=4000):
    """An array of any kind."""
    return arrays.draw(rng, arrays.dtype(rng, among), arrays.shape(rng, limit))


# The families: name, cases at scale 1. Each takes the server and a generator.


def check_every_argument_is_stored_as_it_is(server, rng):
    array = some(rng)
    codec = ["raw", "lz4", "auto", "zstd", "pco:4"][rng.integers(5)]
    digests = set()
    for label, args in wire.arguments(rng, array):
        assert server("ND.SET", "k", *args, "CODEC", codec) == b"OK", label
        expect(stored(server), array, label)
        if not (array.dtype.kind in "fcV" and label in ("VALUES", "JSON")):  # text has one NaN only
            digests.add(server("ND.DIGEST", "k"))
    assert len(digests) == 1, f"one array, several digests: {digests}"
    assert list(server("ND.SHAPE", "k")) == list(array.shape)
    assert server("ND.DTYPE", "k") == wire.name(array.dtype).encode()
    assert server("ND.VERIFY", "k") == b"OK"


check_every_argument_is_stored_as_it_is.cases = 1000


def check_every_format_reads_back(server, rng):
    array = some(rng)
    dt, shape = array.dtype, array.shape
    store(server, array, "k", "CODEC", ["raw", "lz4", "zstd:1", "pco"][rng.integers(4)])
    expect(wire.from_elements(server("ND.GET", "k")), array, "no format")
    expect(wire.from_blob(server("ND.GET", "k", "BLOB"), dt, shape), array, "BLOB")
    expect(wire.from_pieces(server("ND.GET", "k", "PIECES")), array, "PIECES")
    if dt == BFLOAT16:
        assert server.error("ND.GET", "k", "NPY").startswith("DTYPE ")
    elif array.ndim <= 32:
        expect(wire.from_npy(server("ND.GET", "k", "NPY")), array, "NPY")
    if dt == BFLOAT16 or dt == bool or dt.kind == "c":
        assert server.error("ND.GET", "k", "ARROW").startswith("DTYPE ")
    elif wire.arrow_takes(array):
        expect(wire.from_arrow(server("ND.GET", "k", "ARROW")), array, "ARROW")
    if array.size <= 5000:
        expect(wire.from_values(server("ND.GET", "k", "VALUES"), dt, shape), array, "VALUES")
        expect(wire.from_values(server("ND.GET", "k", "VALUES", protocol=3), dt, shape), array, "VALUES (RESP3)")
        if 0 not in shape:
            expect(wire.from_json(server("ND.GET", "k", "JSON"), dt, shape), array, "JSON")


check_every_format_reads_back.cases = 1000


def check_text_is_what_array2string_shows(server, rng):
    array = some(rng, [d for d in arrays.ALL if d != BFLOAT16])
    store(server, array)
    got, want = server("ND.GET", "k", "TEXT").decode(), np.array2string(array)
    assert got == want, f"got\n{got}\n  want\n{want}\n  from {arrays.python(array)}"


check_text_is_what_array2string_shows.cases = 1000


def check_json_without_dtype_is_what_numpy_infers(server, rng):
    array = some(rng, [np.dtype(n) for n in ("bool", "int64", "float64", "uint64")], 200)
    if array.size == 0 or array.size > 5000:
        return
    want = np.array(array.tolist())
    server("ND.SET", "k", "JSON", wire.json_text(array))
    expect(stored(server), want, "JSON")


check_json_without_dtype_is_what_numpy_infers.cases = 300


def check_get_with_dtype_casts_as_astype(server, rng):
    array = some(rng)
    to = arrays.dtype(rng)
    if not np.can_cast(array.dtype, to, "same_kind") or BFLOAT16 in (array.dtype, to):
        return
    store(server, array)
    with np.errstate(all="ignore"):
        want = array.astype(to)
    expect(wire.from_elements(server("ND.GET", "k", "DTYPE", wire.name(to))), want, f"DTYPE {to}")


check_get_with_dtype_casts_as_astype.cases = 1000


def subscripts(rng, shape):
    """A basic subscript of an array of this shape."""
    items = []
    for length in shape[: rng.integers(0, len(shape) + 1)]:
        if length > 0 and rng.integers(3) == 0:
            items.append(int(rng.integers(-length, length)))
            continue
        bound = lambda: None if rng.integers(3) == 0 else int(rng.integers(-length - 2, length + 3))
        step = [None, 1, 2, 3, -1, -2, 7][rng.integers(7)]
        items.append(slice(bound(), bound(), step))
    if rng.integers(3) == 0:
        items.insert(int(rng.integers(0, len(items) + 1)), Ellipsis)
    while rng.integers(4) == 0 and len(items) < 20:
        items.insert(int(rng.integers(0, len(items) + 1)), None)
    return tuple(items)


def check_basic_subscripts_select_what_numpy_selects(server, rng):
    array = some(rng)
    chunk = ["CODEC", ["raw", "lz4", "zstd:1", "pco"][rng.integers(4)]]
    store(server, array, "k", *chunk)
    for _ in range(5):
        index = subscripts(rng, array.shape)
        if not index:
            index = (Ellipsis,)
        try:
            want = np.asarray(array[index])
        except (IndexError, ValueError):  # above 64 dimensions
            continue
        text = ", ".join(map(wire.subscript, index))
        expect(wire.from_elements(server("ND.SLICE", "k", text)), np.ascontiguousarray(want).reshape(want.shape), text)
    if array.ndim and array.ndim < 64:
        axis = int(rng.integers(array.ndim))
        bad = [":"] * axis + [str(array.shape[axis] + int(rng.integers(0, 3)))]
        error = server.error("ND.SLICE", "k", ",".join(bad))
        assert error.startswith(f"INDEX axis {axis}: index {bad[-1]} is out of bounds"), error


check_basic_subscripts_select_what_numpy_selects.cases = 1000


def reduced_dtype(function, dt):
    """The dtype NumPy answers."""
    if dt == BFLOAT16:
        return BFLOAT16
    return function(np.ones(1, dt)).dtype


def check_sum_and_mean_are_right_to_the_last_digits(server, rng):
    array = some(rng)
    if array.dtype.kind == "c" and not np.isfinite(array).all():
        return
    store(server, array, "k", "CODEC", ["raw", "lz4", "zstd:1", "pco"][rng.integers(4)])
    function, command = [(np.sum, "ND.SUM"), (np.mean, "ND.MEAN")][rng.integers(2)]
    out = reduced_dtype(function, array.dtype)
    axes, options = None, []
    if array.ndim and rng.integers(3):
        axes = tuple(int(a) for a in rng.permutation(array.ndim)[: rng.integers(1, min(array.ndim, 3) + 1)])
        signed = [a - array.ndim if rng.integers(2) else a for a in axes]
        options = ["AXIS", ",".join(map(str, signed))]
    keep = axes is not None and bool(rng.integers(2))
    reply = server(command, "k", *options, *(["KEEPDIMS"] if keep else []))
    wide = np.dtype("clongdouble" if out.kind == "c" else "longdouble")
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if out.kind in "iu":
            want = np.asarray(function(array, axis=axes, keepdims=keep))
            got = np.asarray(wire.from_scalar(reply, out)) if axes is None else wire.from_elements(reply)
            expect(got, want, command)
            return
        count = array.size if axes is None else int(np.prod([array.shape[a] for a in axes], dtype=np.int64))
        values = array.astype(wide)
        exact = np.asarray(function(values, axis=axes, keepdims=keep))
        finite = np.where(np.isfinite(values), np.abs(values), 0)
        total = np.asarray(np.sum(finite, axis=axes, keepdims=keep))
        if axes is None:
            got = np.asarray(wire.from_scalar(reply, out))
        else:
            got = wire.from_elements(reply)
    assert got.dtype == out and got.shape == exact.shape, f"{got.dtype} {got.shape}, not {out} {exact.shape}"
    info = ml_dtypes.finfo(np.dtype(out.type(0).real.dtype) if out.kind == "c" else out)
    # Pairwise summation: an error of eps * log2(n) * sum|x|; float16 and bfloat16 sum in a wider type. What comes near
    # the largest value may overflow on the way, in NumPy too.
    scale = total / max(count, 1) if function is np.mean else total
    bound = float(info.eps) * (np.log2(count + 1) + 2) * scale + float(info.smallest_subnormal)
    near = total > float(info.max) / 4
    with np.errstate(all="ignore"):
        wide_got = got.astype(wide)
        good = np.abs(wide_got - exact) <= bound
        good |= np.isnan(exact) & np.isnan(wide_got)
        good |= np.isinf(exact) & (wide_got == exact)
    good |= near
    if not good.all():
        at = tuple(np.argwhere(~good)[0]) if good.ndim else ()
        where = f"first {list(map(int, at))}: got {wide_got[at]!r}, want {exact[at]!r} within {np.asarray(bound)[at]!r}"
        raise AssertionError(f"{command}: {(~good).sum()} of {good.size} differ, {where}\n  from {arrays.python(array)}")


check_sum_and_mean_are_right_to_the_last_digits.cases = 1500


def check_mget_and_mset_keep_their_order(server, rng):
    few = [some(rng, limit=500) for _ in range(rng.integers(1, 8))]
    keys = [f"m{i}" for i in range(len(few))]
    server("DEL", *keys, "missing")
    args = [a for array in few for a in wire.arguments_blob(array)]
    assert server("ND.MSET", len(keys), *keys, *args) == b"OK"
    reply = server("ND.MGET", len(keys) + 1, *keys, "missing")
    assert reply[-1] is None
    for got, want in zip(reply, few):
        expect(wire.from_elements(got), want, "ND.MGET")
    for got, want in zip(server("ND.MGET", len(keys), *keys, "SLICE", "..."), few):
        expect(wire.from_elements(got), want, "ND.MGET SLICE ...")
    if any(a.dtype == BFLOAT16 or a.ndim > 32 for a in few):
        return
    raw = server("ND.MGET", len(keys), *keys, "NPZ")
    assert zipfile.ZipFile(io.BytesIO(raw)).testzip() is None
    with np.load(io.BytesIO(raw), allow_pickle=False) as members:
        assert list(members) == keys, f"{list(members)}, not {keys}"
        for key, want in zip(keys, few):
            expect(members[key], want, "NPZ")


check_mget_and_mset_keep_their_order.cases = 300


def check_create_makes_what_numpy_makes(server, rng):
    dt = arrays.dtype(rng)
    shape = arrays.shape(rng)
    count = int(np.prod(shape, dtype=np.int64))
    create = ["ND.CREATE", "k", wire.name(dt), wire.shape_token(shape)]
    fill = arrays.draw(rng, dt, ())
    server(*create, "FILL", wire.number(fill[()]))
    expect(stored(server), np.full(shape, fill, dt), "FILL")
    server(*create)
    expect(stored(server), np.zeros(shape, dt), "no generator")
    number = arrays.dtype(rng, arrays.INTEGERS + [np.dtype("float64")])
    create[2] = wire.name(number)
    start, step = int(rng.integers(0, 5)), int(rng.integers(1, 4))
    if number == np.float64 or start + step * count <= np.iinfo(number).max:
        server(*create, "ARANGE", start, step)
        expect(stored(server), (start + step * np.arange(count)).astype(number).reshape(shape), "ARANGE")
    create[2] = "float64"
    lo, hi = sorted(rng.standard_normal(2))
    server(*create, "LINSPACE", repr(float(lo)), repr(float(hi)))
    want = np.linspace(lo, hi, count).reshape(shape)
    got = stored(server)
    assert got.shape == shape and np.allclose(got, want, rtol=1e-14, atol=1e-15), f"LINSPACE: {got!r:.300}, not {want!r:.300}"
    rows, columns, k = int(rng.integers(0, 8)), int(rng.integers(0, 8)), int(rng.integers(-9, 10))
    server("ND.CREATE", "k", wire.name(dt), f"{rows},{columns}", "EYE", k)
    expect(stored(server), np.eye(rows, columns, k, dtype=dt), f"EYE {k}")


check_create_makes_what_numpy_makes.cases = 300


def check_random_arrays_are_reproducible_and_in_range(server, rng):
    shape = arrays.shape(rng)
    seed, lo, hi = int(rng.integers(0, 2**63)), int(rng.integers(-50, 50)), int(rng.integers(60, 100))
    cases = [("float64", "UNIFORM", lo, hi), ("float32", "NORMAL", lo, hi), ("int16", "INTEGERS", lo, hi)]
    dt, kind, a, b = cases[rng.integers(3)]
    create = ["ND.CREATE", "k", dt, wire.shape_token(shape), "RANDOM", kind, a, b, "SEED"]
    server(*create, seed)
    first, array = server("ND.DIGEST", "k"), stored(server)
    server(*create, seed, "CODEC", "raw")
    assert server("ND.DIGEST", "k") == first, "the same seed, another array"
    if kind != "NORMAL" and array.size:
        assert array.min() >= lo and array.max() < hi, f"{array.min()} to {array.max()} is not in {lo} to {hi}"
    if array.size > 10_000:
        values = array.astype(float)
        mean, sd = {"UNIFORM": ((lo + hi) / 2, (hi - lo) / 12**0.5), "NORMAL": (lo, hi)}.get(
            kind, ((lo + hi - 1) / 2, (((hi - lo) ** 2 - 1) / 12) ** 0.5)
        )
        error = 6 * sd / array.size**0.5
        assert abs(values.mean() - mean) < error, f"mean {values.mean()}, not {mean}"
        assert abs(values.std() - sd) < error * 2, f"standard deviation {values.std()}, not {sd}"


check_random_arrays_are_reproducible_and_in_range.cases = 300


def check_the_value_is_kept_whole(server, rng):
    array = some(rng)
    server("DEL", "k", "copy", "restored")
    store(server, array, "k", "CODEC", ["raw", "lz4", "auto", "zstd", "pco:4"][rng.integers(5)])
    server("ND.ATTRSET", "k", "name", '{"a": [1, 2]}')
    digest = server("ND.DIGEST", "k")
    server("COPY", "k", "copy")
    server("RESTORE", "restored", 0, server("DUMP", "k"))
    for key in ("copy", "restored"):
        assert server("ND.DIGEST", key) == digest
        expect(stored(server, key), array, key)
        info = dict(zip(*[iter(server("ND.INFO", key))] * 2))
        assert info[b"dtype"] == wire.name(array.dtype).encode() and list(info[b"shape"]) == list(array.shape)
        assert (info[b"ndim"], info[b"size"], info[b"nbytes"]) == (array.ndim, array.size, array.nbytes), info
        assert server("ND.ATTRGET", key)[0] == b"name"
    assert server("ND.GET", "k", "IFDNE", digest) == b"NOTMODIFIED"
    if array.size:
        other = bytearray(array.tobytes())
        other[rng.integers(len(other))] ^= 1
        if array.dtype != bool or all(b < 2 for b in other):
            server("ND.SET", "k", wire.name(array.dtype), wire.shape_token(array.shape), "BLOB", bytes(other))
            assert server("ND.DIGEST", "k") != digest, "another array, the same digest"


check_the_value_is_kept_whole.cases = 500


def of_file(check):
    """A family of another file, with the helpers of this file."""
    family = lambda server, rng: check(server, rng, some, store, expect)  # noqa: E731
    family.cases = check.cases
    return family


FAMILIES = {name[len("check_"):]: f for name, f in list(globals().items()) if name.startswith("check_")}
for file in (rows, reductions):
    FAMILIES |= {name[len("check_"):]: of_file(f) for name, f in vars(file).items() if name.startswith("check_")}


def run(server, family, seed, cases):
    """Runs one family; answers how many cases failed."""
    failed = 0
    for case in cases:
        server.commands.clear()
        rng = np.random.default_rng([seed, zlib.crc32(family.encode()), case])
        try:
            FAMILIES[family](server, rng)
        except (AssertionError, redis.RedisError, ValueError, TypeError, KeyError, IndexError, zipfile.BadZipFile) as e:
            failed += 1
            if failed <= REPORTED:
                lines = traceback.extract_tb(e.__traceback__)
                where = next(f for f in reversed(lines) if f.name.startswith("check_")).lineno
                print(f"FAILED {family}, case {case} (oracle.py:{where}): {type(e).__name__}: {e}")
                print(f"  the last commands:\n{server.pasted()}")
                print(f"  again: --seed {seed} --only {family} --case {case}\n", flush=True)
            if isinstance(e, redis.ConnectionError):
                raise
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", choices=FAMILIES)
    parser.add_argument("--case", type=int)
    options = parser.parse_args()
    server = Server(options.socket)
    failures = 0
    print(f"seed {options.seed}, numpy {np.__version__}")
    for family in [options.only] if options.only else FAMILIES:
        count = max(1, int(FAMILIES[family].cases * options.scale))
        cases = range(count) if options.case is None else [options.case]
        failed = run(server, family, options.seed, cases)
        print(f"{family}: {len(cases) - failed} of {len(cases)} cases hold", flush=True)
        failures += failed
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
