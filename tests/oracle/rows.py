"""Rows and whole arrays: ND.TAKE, ND.SAMPLE, ND.GATHER, ND.APPEND, ND.RESHAPE, ND.RESIZE and ND.ASTYPE, each by NumPy's own
function."""

import numpy as np

import arrays
import wire
from arrays import BFLOAT16


def cut(rng, raw):
    """Bytes as PIECES: cut anywhere."""
    places = np.sort(rng.integers(0, len(raw) + 1, rng.integers(0, 5)))
    pieces = [raw[a:b] for a, b in zip([0, *places], [*places, len(raw)])]
    return ["PIECES", len(pieces), *pieces]


def positions(rng, list_):
    """A list of positions in one of its forms."""
    kind = rng.integers(3)
    if kind == 0:
        return [len(list_), *map(int, list_)]
    raw = np.asarray(list_, "<i8").tobytes()
    return ["BLOB", raw] if kind == 1 else cut(rng, raw)


def storage(rng, shape):
    """Options of ND.SET that lead to chunks of many shapes."""
    options = ["CODEC", ["raw", "lz4", "auto", "zstd", "pco"][rng.integers(5)]]
    if rng.integers(3) == 0 and 0 < len(shape) < 6 and np.prod(shape) > 0:
        chunk = [int(rng.integers(max(1, n // 2), n + 1)) for n in shape]
        if np.prod([-(-n // c) for n, c in zip(shape, chunk)]) <= 64:  # more must not be tiny
            options += ["CHUNK", wire.shape_token(chunk)]
    return options


def check_take_is_numpys(server, rng, some, store, expect):
    array = some(rng)
    if array.ndim == 0:
        store(server, array)
        expect(wire.from_elements(server("ND.TAKE", "k", 0, 2, 0, -1)), np.take(array, [0, -1], axis=0), "a scalar")
        return
    store(server, array, "k", *storage(rng, array.shape))
    for _ in range(4):
        axis = int(rng.integers(-array.ndim, array.ndim))
        length = array.shape[axis]
        count = int(rng.integers(0, 40)) if length else 0
        list_ = rng.integers(-length, length, count) if length else np.empty(0, np.int64)
        want = np.take(array, list_.astype(np.int64), axis=axis)
        expect(wire.from_elements(server("ND.TAKE", "k", axis, *positions(rng, list_))), want, f"axis {axis}, {list_}")
        bad = np.append(list_, length + rng.integers(0, 3) if rng.integers(2) else -length - 1 - rng.integers(0, 3))
        error = server.error("ND.TAKE", "k", axis, *positions(rng, bad))
        assert error.startswith(f"INDEX position {count} of the list: {bad[-1]} is out of bounds"), error


check_take_is_numpys.cases = 600


def check_sample_is_what_the_generator_chooses(server, rng, some, store, expect):
    if rng.integers(2):
        array = some(rng)
        if array.ndim == 0:
            return
    else:
        array = np.arange(int(rng.integers(9_990, 60_000)), dtype="i4")  # both of NumPy's ways
    axis = int(rng.integers(-array.ndim, array.ndim))
    length = array.shape[axis]
    replace = bool(rng.integers(2))
    seed = int(rng.integers(0, 2**63)) * 2 + int(rng.integers(2))
    store(server, array, "k", *storage(rng, array.shape))
    if length == 0:
        assert server.error("ND.SAMPLE", "k", 1, "AXIS", axis).startswith("VALUE ")
        return
    most = 3000 // max(1, array.size // length // 100 + 1) + 1
    n = int(rng.integers(0, most if replace else min(length, most) + 1))
    words = ["AXIS", axis, *(["REPLACE"] if replace else []), "SEED", seed]
    chosen = np.random.default_rng(seed).choice(length, n, replace=replace)
    rows, index = server("ND.SAMPLE", "k", n, *words, "WITHINDEX")
    expect(wire.from_elements(index), chosen, f"{n} of {length}")
    expect(wire.from_elements(rows), np.take(array, chosen, axis=axis), "rows")
    expect(wire.from_elements(server("ND.SAMPLE", "k", n, *words)), np.take(array, chosen, axis=axis), "again")
    if not replace:
        assert server.error("ND.SAMPLE", "k", length + 1, "AXIS", axis).startswith("VALUE ")


check_sample_is_what_the_generator_chooses.cases = 400


def check_gather_stacks(server, rng, some, store, expect):
    shape, dt = arrays.shape(rng, 300), arrays.dtype(rng)
    if len(shape) > 60 or np.prod(shape, dtype=np.int64) > 20_000:
        return
    n = int(rng.integers(1, 9))
    keys = [f"g{i}" for i in range(n)]
    server("DEL", *keys)
    there = rng.integers(0, 4, n) > 0
    rows = [arrays.draw(rng, dt, shape) for _ in keys]
    for key, row, is_there in zip(keys, rows, there):
        if is_there:
            store(server, row, key, *(storage(rng, shape) if rng.integers(2) else []))
    fill = arrays.draw(rng, dt, ())
    words = ["FILL", wire.number(fill[()])]
    if not there.any():
        assert server.error("ND.GATHER", n, *keys, *words).startswith("NOKEY none of the")
        return
    wanted = [row if is_there else np.full(shape, fill, dt) for row, is_there in zip(rows, there)]
    if rng.integers(2) and len(shape) > 0:
        index = tuple(int(rng.integers(0, s)) if s else slice(None) for s in shape[:1]) + (Ellipsis,)
        words += ["SLICE", ",".join(map(wire.subscript, index))]
        wanted = [np.asarray(row[index]) for row in wanted]
    to = arrays.dtype(rng)
    if BFLOAT16 not in (dt, to) and np.can_cast(dt, to, "same_kind") and rng.integers(2):
        words += ["DTYPE", wire.name(to)]
        with np.errstate(all="ignore"):
            words[1] = wire.number(np.asarray(fill).astype(to)[()]) if to.kind != "c" else "0"
            wanted = [row.astype(to) for row in wanted]
        if to.kind == "c":
            wanted = [row if is_there else np.zeros_like(row) for row, is_there in zip(wanted, there)]
    stacked, mask = server("ND.GATHER", n, *keys, *words)
    expect(wire.from_elements(mask), there, "which keys were there")
    expect(wire.from_elements(stacked), np.stack(wanted), "rows")
    if not there.all():
        missing = keys[int(np.argmin(there))]
        assert server.error("ND.GATHER", n, *keys) == (
            f"NOKEY key '{missing}' does not exist (FILL says what is to stand for such rows)"
        )


check_gather_stacks.cases = 400


def resized(array, shape, fill):
    """Elements keep their positions."""
    out = np.full(shape, fill, array.dtype)
    both = tuple(slice(0, min(a, b)) for a, b in zip(array.shape, shape))
    out[both] = array[both]
    return out


def check_changes_are_numpys(server, rng, some, store, expect):
    """A run of changes on one key, each checked, and a copy of it that must not move."""
    array = some(rng, limit=2000)
    if array.ndim == 0 or array.ndim > 8 or array.size > 30_000:
        return
    store(server, array, "k", *storage(rng, array.shape))
    snapshot = None
    for _ in range(12):
        kind = rng.integers(8)
        if kind < 4:
            axis = 0 if rng.integers(3) else int(rng.integers(-array.ndim, array.ndim))
            shape = list(array.shape)
            shape[axis] = int(rng.integers(0, 60 if array.size < 20_000 else 2))
            if np.prod(shape, dtype=np.int64) > 60_000:
                continue
            value = arrays.draw(rng, array.dtype, tuple(shape))
            given = arrays.dtype(rng)
            if BFLOAT16 not in (given, array.dtype) and rng.integers(3) == 0:
                value = arrays.draw(rng, given, tuple(shape))
                if not np.can_cast(given, array.dtype, "same_kind"):
                    if value.ndim == array.ndim:
                        error = server.error("ND.APPEND", "k", *wire.arguments_blob(value))
                        assert error.startswith(("DTYPE cannot cast", "SHAPE ")), error
                    continue
            words = ["AXIS", axis] if axis else []
            with np.errstate(all="ignore"):
                array = np.concatenate([array, value.astype(array.dtype)], axis=axis)
            if rng.integers(2):
                most = int(rng.integers(0, 80))
                words += ["MAXLEN", most]
                cut = [slice(None)] * array.ndim
                cut[axis] = slice(max(0, array.shape[axis] - most), None)
                array = array[tuple(cut)]
            reply = server("ND.APPEND", "k", *wire.arguments_blob(value), *words)
        elif kind == 4:
            shape = [int(n) for n in rng.permutation(array.shape)]
            if rng.integers(2) and np.prod(shape[1:], dtype=np.int64) > 0:
                shape[0] = -1
            array = array.reshape(shape)
            reply = server("ND.RESHAPE", "k", wire.shape_token(shape))
        elif kind == 5:
            shape = tuple(int(rng.integers(0, 2 * n + 3)) for n in array.shape)
            if np.prod(shape, dtype=np.int64) > 60_000:
                continue
            fill = arrays.draw(rng, array.dtype, ()) if rng.integers(2) else np.zeros((), array.dtype)
            words = ["FILL", wire.number(fill[()])] if fill.any() or rng.integers(2) else []
            array = resized(array, shape, fill if words else np.zeros((), array.dtype))
            reply = server("ND.RESIZE", "k", wire.shape_token(shape), *words)
        elif kind == 6:
            to = arrays.dtype(rng)
            if BFLOAT16 in (array.dtype, to) or not np.can_cast(array.dtype, to, "same_kind"):
                continue
            rule = "safe" if np.can_cast(array.dtype, to, "safe") else "same_kind"
            if rule == "same_kind":
                assert server.error("ND.ASTYPE", "k", wire.name(to), "CASTING", "safe").startswith("DTYPE cannot cast")
            with np.errstate(all="ignore"):
                array = array.astype(to)
            assert server("ND.ASTYPE", "k", wire.name(to), "CASTING", rule) == b"OK"
            reply = list(array.shape)
        else:
            server("COPY", "k", "copy", "REPLACE")
            snapshot = array.copy()
            continue
        assert list(reply) == list(array.shape), f"{reply}, not {array.shape}"
        expect(wire.from_elements(server("ND.GET", "k")), array, "after the change")
    if array.size:
        axis = int(rng.integers(array.ndim))
        list_ = rng.integers(-array.shape[axis], array.shape[axis], 5)
        expect(wire.from_elements(server("ND.TAKE", "k", axis, *positions(rng, list_))), np.take(array, list_, axis), "rows")
    server("RESTORE", "restored", 0, server("DUMP", "k"), "REPLACE")
    assert server("ND.DIGEST", "restored") == server("ND.DIGEST", "k")
    server("ND.SET", "fresh", *wire.arguments_blob(np.ascontiguousarray(array).reshape(array.shape)))
    assert server("ND.DIGEST", "fresh") == server("ND.DIGEST", "k"), "another digest than that of the same elements"
    assert server("ND.VERIFY", "k") == b"OK"
    if snapshot is not None:
        expect(wire.from_elements(server("ND.GET", "copy")), snapshot, "the copy moved")


check_changes_are_numpys.cases = 500
