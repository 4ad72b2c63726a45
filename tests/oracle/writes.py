"""Reading, writing and computing through subscripts: ND.SLICE, ND.ITEM, ND.SETSLICE and ND.UPDATE against NumPy."""

import numpy as np
import redis

import arrays
import rows
import subscripts
import wire
from arrays import BFLOAT16

STEPS = 12  # subscripts of one case

OPERATORS = {
    "ADD": np.add,
    "SUB": np.subtract,
    "MUL": np.multiply,
    "DIV": np.true_divide,
    "POW": np.power,
    "MIN": np.minimum,
    "MAX": np.maximum,
    "AND": np.bitwise_and,
    "OR": np.bitwise_or,
    "XOR": np.bitwise_xor,
}


def shape(rng):
    """Rank 0 to 6, empty axes too; few elements, and sometimes enough for several chunks."""
    if rng.integers(12) == 0:
        return tuple(int(n) for n in rng.integers(20, 90, 2))
    lengths = rng.integers(0 if rng.integers(6) == 0 else 1, 7, rng.integers(0, 7))
    while np.prod(lengths, dtype=np.int64) > 800:
        lengths = lengths[1:]
    return tuple(int(n) for n in lengths)


def over(rng, out):
    """A shape that broadcasts to `out`, most of the time."""
    own = [1 if rng.integers(4) == 0 else n for n in out][rng.integers(0, len(out) + 1) if rng.integers(3) == 0 else 0 :]
    if rng.integers(10) == 0:
        own = [1] * int(rng.integers(1, 3)) + own
    if own and rng.integers(20) == 0:
        own[rng.integers(len(own))] += 1
    return tuple(own)


def values(rng, dt, out):
    """A value for a selection of this shape, its arguments, and whether it is a literal."""
    if rng.integers(4) == 0:
        literal = [1, 0, 3, -1, 7, 300, 1.5, -0.5, float("inf"), True, 1 + 2j, 2][rng.integers(12)]
        return literal, ["SCALAR", wire.number(literal)]
    other = dt if rng.integers(3) else arrays.dtype(rng)
    if BFLOAT16 in (dt, other) and dt != other:
        other = dt  # NumPy does not know where they meet
    value = arrays.draw(rng, other, over(rng, out))
    if value.ndim > 64:
        return 1, ["SCALAR", "1"]
    return value, wire.arguments_blob(value)


def literal_kind(value):
    """The kind of a literal, in NumPy's order: bool, integer, float, complex."""
    return [bool, int, float, complex].index(type(value))


def kind(dt):
    return {"b": 0, "i": 1, "u": 1, "f": 2, "V": 2, "c": 3}[dt.kind]


def fits(value, dt):
    """Whether a value may be written into elements of this dtype."""
    if isinstance(value, np.ndarray):
        return value.dtype == dt or np.can_cast(value.dtype, dt, "same_kind")
    if literal_kind(value) > kind(dt):
        return False
    return not (isinstance(value, int) and dt.kind in "iu") or np.iinfo(dt).min <= int(value) <= np.iinfo(dt).max


def whole(index):
    """The same subscript, with a view or a copy as its result, never an element."""
    return index if any(i is Ellipsis for i in index) else index + (Ellipsis,)


def assigned(array, index, value):
    """The array after `array[index] = value`; nothing where that is refused."""
    if not fits(value, array.dtype):
        return None
    result = array.copy()
    extra = np.ndim(value) - result[whole(index)].ndim
    if extra > 0 and any(n != 1 for n in value.shape[:extra]):
        return None  # NumPy looks away where a lone False selects nothing
    try:
        with np.errstate(all="ignore"):
            result[whole(index)] = value if isinstance(value, np.ndarray) else array.dtype.type(value)
    except ValueError:
        return None
    return result


def computed(array, index, operator, value):
    """The array after `array[index] op= value`, repeated positions one by one; nothing where that is refused."""
    function, result = OPERATORS[operator], array.copy()
    part = np.array(result[whole(index)])
    if not isinstance(value, np.ndarray) and array.dtype == BFLOAT16:
        if not fits(value, array.dtype):
            return None
        value = np.array(value, BFLOAT16)
    try:
        function(part, value, out=part, casting="same_kind")
    except (TypeError, ValueError, OverflowError):
        return None
    places = np.arange(array.size).reshape(array.shape)[whole(index)].ravel()
    if len(np.unique(places)) == len(places):
        result[whole(index)] = part
        return result
    flat, each = result.reshape(-1), np.broadcast_to(value, part.shape).ravel() if isinstance(value, np.ndarray) else None
    for k, place in enumerate(places):
        one = flat[place : place + 1]
        function(one, value if each is None else each[k : k + 1], out=one, casting="same_kind")
    return result


def same(operator, got, want, before, value):
    """Equal bits, but for what the platform decides: the last bits of powers and of complex products, which it may fuse,
    and the sign of zeros in MIN and MAX."""
    if arrays.same(got, want):
        return True
    if got.dtype != want.dtype or got.shape != want.shape or got.dtype.kind not in "fcV":
        return False
    if operator in ("MIN", "MAX"):
        zero = got.dtype.type(0)
        return arrays.same(got + zero, want + zero)
    if operator == "MUL" and got.dtype.kind == "c":
        with np.errstate(all="ignore"):
            scale = np.max(np.abs(value), initial=0) * np.abs(before) * 4 * np.finfo(got.dtype).eps
            near = (np.abs(got.real - want.real) <= scale) & (np.abs(got.imag - want.imag) <= scale)
            return bool(np.all(near | ~np.isfinite(scale) | ~np.isfinite(want)))
    if operator == "POW" and got.dtype.kind == "c":
        big = np.finfo(got.dtype)
        with np.errstate(all="ignore"):
            tame = np.isfinite(want) & (np.abs(want) < big.max / 1e6) & (np.abs(want) > big.tiny * 1e6)
            slope = 1 + np.max(np.abs(value), initial=0) * (np.abs(np.log(np.abs(before))) + np.pi)  # of the exponential
            near = np.abs(got - want) <= 50 * big.eps * slope * np.abs(want)
            return bool(np.all(~tame | near | ~(slope < 1e4)))
    if operator == "POW":
        wide = np.float64
        with np.errstate(all="ignore"):
            step = np.abs(np.spacing(want).astype(wide)) if want.dtype != BFLOAT16 else np.abs(want.astype(wide)) * 2**-7
            near = np.abs(got.astype(wide) - want.astype(wide)) <= 2 * step
            equal = (got == want) | (np.isnan(got) & np.isnan(want))
        return bool(np.all(near | equal))
    return False


def step(rng, array):
    """One subscript: what is sent, and what must come of it as (what, replies wanted, the array after it)."""
    index = subscripts.draw(rng, array.shape)
    if not subscripts.can_be_text(index):
        index = (Ellipsis,)
    token = subscripts.text(index)
    try:
        part = np.asarray(array[whole(index)] if index else array)
        if part.ndim > 64:
            raise IndexError
    except (IndexError, ValueError):
        part = None
    if part is None:
        writes = [["ND.SETSLICE", "k", token, "SCALAR", "true"], ["ND.UPDATE", "k", token, "MAX", "SCALAR", "true"]]
        return token, None, None, None, [["ND.SLICE", "k", token], writes[rng.integers(2)]], None
    value, args = values(rng, array.dtype, part.shape)
    if rng.integers(2):
        after, operator = assigned(array, index, value), None
        command = ["ND.SETSLICE", "k", token, *args]
    else:
        operator = list(OPERATORS)[rng.integers(len(OPERATORS))]
        with np.errstate(all="ignore"):
            after = computed(array, index, operator, value)
        command = ["ND.UPDATE", "k", token, operator, *args]
    return token, part, operator, value, [["ND.SLICE", "k", token], command], after


def check_subscripts_read_and_write_as_numpys(server, rng, some, store, expect):
    dt = arrays.dtype(rng)
    array = arrays.draw(rng, dt, shape(rng))
    store(server, array, "k", *rows.storage(rng, array.shape))
    sent, wanted = [], []
    for _ in range(STEPS):
        token, part, operator, value, commands, after = step(rng, array)
        wanted.append((token, part, operator, value, commands[1], array, after))
        sent += [*commands, ["ND.GET", "k"], ["ND.ITEM", "k", token]]
        if after is not None:
            if operator in ("MUL", "POW", "MIN", "MAX") and dt.kind in "fcV":
                sent.append(["ND.SET", "k", *wire.arguments_blob(after)])  # go on from the same bits
            array = after
    replies = iter(server.batch(sent))
    for token, part, operator, value, command, before, after in wanted:
        read, written, now, item = (next(replies) for _ in range(4))
        what = f"{token} of {before.dtype} {before.shape}: {command[3:7]}"[:300]
        if part is None:
            for reply in (read, written, item):
                refused = isinstance(reply, redis.ResponseError) and str(reply).split(" ")[0] in ("INDEX", "SHAPE")
                assert refused, f"{what}: NumPy refuses it, the reply is {reply!r:.300}"
        else:
            assert not isinstance(read, redis.ResponseError), f"{what}: {read}"
            expect(wire.from_elements(read), np.ascontiguousarray(part).reshape(part.shape), what)
            if part.size != 1:
                assert isinstance(item, redis.ResponseError) and str(item).startswith("INDEX "), f"{what}: {item!r:.300}"
            if after is None:
                refused = isinstance(written, redis.ResponseError) and str(written).split(" ")[0] in ("SHAPE", "DTYPE", "VALUE")
                assert refused, f"{what}: NumPy refuses it, the reply is {written!r:.300}"
            else:
                assert written == part.size, f"{what}: {written!r:.300}, not {part.size}"
        got, want = wire.from_elements(now), before if after is None else after
        if not same(operator, got, want, before, value):
            expect(got, want, what)
        if after is not None and operator in ("MUL", "POW", "MIN", "MAX") and before.dtype.kind in "fcV":
            assert next(replies) == b"OK"
    assert server("ND.VERIFY", "k") == b"OK"


check_subscripts_read_and_write_as_numpys.cases = 1800


def check_an_array_is_its_own_source(server, rng, some, store, expect):
    """`KEY` of the key that is written: its elements as they were before."""
    array = arrays.draw(rng, arrays.dtype(rng), shape(rng))
    store(server, array, "k", *rows.storage(rng, array.shape))
    for _ in range(4):
        index = tuple(slice(None, None, -1) if rng.integers(2) else slice(None) for _ in array.shape)
        token = subscripts.text(index) or "..."
        kind = rng.integers(3)
        before = array
        if kind == 0:
            array = before.copy()
            array[whole(index)] = before
            assert server("ND.SETSLICE", "k", token, "KEY", "k") == array.size
        elif kind == 1:
            with np.errstate(all="ignore"):
                array = computed(before, index, "ADD", before)
            assert server("ND.UPDATE", "k", token, "ADD", "KEY", "k") == array.size
        elif array.ndim > 0 and array.size < 20_000:
            axis, most = int(rng.integers(-array.ndim, array.ndim)), int(rng.integers(0, 2 * max(array.shape) + 2))
            array = np.concatenate([before, before], axis=axis)
            cut = [slice(None)] * array.ndim
            cut[axis] = slice(max(0, array.shape[axis] - most), None)
            array = array[tuple(cut)]
            assert server("ND.APPEND", "k", "KEY", "k", "AXIS", axis, "MAXLEN", most) == list(array.shape)
        expect(wire.from_elements(server("ND.GET", "k")), array, f"{token} of {before.dtype} {before.shape}, {kind}")
    assert server("ND.VERIFY", "k") == b"OK"


check_an_array_is_its_own_source.cases = 400
