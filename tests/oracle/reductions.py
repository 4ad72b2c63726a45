"""Reductions against NumPy: exact where NumPy is, otherwise against sums in long double, within a stated error.

Every case stores one array and asks many things of it, so that 50,000 questions take seconds.
"""

import warnings

import ml_dtypes
import numpy as np

import arrays
import wire
from arrays import BFLOAT16
from rows import storage

U = 2.0**-53
QUESTIONS = 30  # per array
EXACT = {"MIN": np.min, "MAX": np.max, "PTP": np.ptp, "ANY": np.any, "ALL": np.all, "COUNT": np.count_nonzero}
NEAR = ["SUM", "PROD", "MEAN", "VAR", "STD", "NORM"]
POSITIONS = {"ARGMIN": np.argmin, "ARGMAX": np.argmax}
OPS = [*EXACT, *NEAR, *NEAR, *POSITIONS]


def small(rng, among=arrays.ALL):
    """An array of rank 0 to 5, with empty axes now and then; sometimes one long axis."""
    kind = rng.integers(12)
    if kind == 0:
        shape = (int(rng.integers(1, 9000)),)
    elif kind == 1:
        shape = (int(rng.integers(1, 200)), int(rng.integers(1, 40)))
    else:
        lengths = rng.integers(0 if kind == 2 else 1, 7, size=rng.integers(0, 6))
        shape = tuple(int(n) for n in lengths)
    return arrays.draw(rng, arrays.dtype(rng, among), shape)


def parts(array):
    """Real and imaginary part in long double."""
    if array.dtype.kind == "c":
        return [array.real.astype("longdouble"), array.imag.astype("longdouble")]
    return [array.astype("longdouble")]


def info_of(dt):
    """Precision and range."""
    return ml_dtypes.finfo(np.dtype(dt.type(0).real.dtype) if dt.kind == "c" else dt)


def nan_of(array):
    """Which elements are NaN."""
    if array.dtype.kind in "fcV":
        return np.isnan(array.astype("f4") if array.dtype == BFLOAT16 else array)
    return np.zeros(array.shape, bool)


def out_dtype(op, dt, asked):
    """The dtype NumPy answers."""
    if op in ("ANY", "ALL"):
        return np.dtype(bool)
    if op in ("COUNT", "ARGMIN", "ARGMAX"):
        return np.dtype("int64")
    if op in ("MIN", "MAX", "PTP"):
        return dt
    if asked is not None:
        return asked
    if dt == BFLOAT16:
        return dt
    one = np.ones(2, dt)
    function = {"SUM": np.sum, "PROD": np.prod, "MEAN": np.mean, "VAR": np.var, "STD": np.std, "NORM": np.linalg.norm}[op]
    return function(one).dtype


def agree(got, exact, bound, out, what):
    """Fails where an element is not within its bound of the exact one; infinities and NaN must be the same."""
    info = info_of(out)
    with np.errstate(all="ignore"):
        wide = got.astype("longdouble")
        bound = bound + np.abs(exact) * float(info.eps) * 0.505 + float(info.smallest_subnormal) * 0.505
        good = np.abs(wide - exact) <= bound
        good |= np.isnan(exact) & np.isnan(wide)
        good |= np.isinf(exact) & (wide == exact)
        edge = float(info.max) * (1 - float(info.eps))
        good |= (np.abs(exact) >= edge) & (np.abs(wide) >= edge) & (np.sign(wide) == np.sign(exact))
    if not np.all(good):
        at = tuple(np.argwhere(~np.asarray(good))[0]) if np.ndim(good) else ()
        raise AssertionError(f"{what}: got {wide[at]!r}, want {exact[at]!r} within {np.asarray(bound)[at]!r}")


def reference(op, x, keep, axes, keepdims, ddof, skipnan, floating):
    """What is exact to some 64 bits, how far a float64 result may be off it, and where to compare at all."""
    rule = dict(axis=axes, keepdims=keepdims)
    count = np.sum(keep, **rule, dtype=np.int64)
    sums, bounds = [], []
    for part in x:
        with np.errstate(all="ignore"):
            finite = np.where(np.isfinite(part), np.abs(part), 0)
            sums.append(np.asarray(np.sum(part, **rule, where=keep)))
            bounds.append(np.asarray(np.sum(finite, **rule, where=keep)) * 22 * U)
    largest = sum(np.asarray(np.sum(np.where(np.isfinite(p), np.abs(p), 0), **rule, where=keep)) for p in x)
    usable = largest < 1e307
    if op == "SUM":
        return sums, bounds, usable
    with np.errstate(all="ignore"):
        if op == "MEAN":
            return [s / count for s in sums], [b / np.maximum(count, 1) for b in bounds], usable
        if op in ("VAR", "STD"):
            total = 0
            for part, s in zip(x, sums):
                mean = np.asarray(np.sum(part, axis=axes, keepdims=True, where=keep))
                mean = mean / np.sum(keep, axis=axes, keepdims=True)
                total = total + np.asarray(np.sum((part - mean) ** 2, **rule, where=keep))
            freedom = np.maximum(count - ddof, 0)
            variance = total / freedom
            if skipnan and floating:
                variance = np.where(count - ddof <= 0, np.nan, variance)
            variance = np.asarray(np.where(count == 0, np.nan, variance), "longdouble")
            usable &= (largest < 1e150) & ((total == 0) | (total > 1e-250))
            # The reference's own mean is rounded too: of huge equal numbers it is off by 2^-64 of them.
            slack = (largest / np.maximum(count, 1) * 2.0**-60) ** 2
            bound = np.abs(variance) * 64 * U + slack
            if op == "VAR":
                return [variance], [bound], usable
            root = np.sqrt(variance)
            return [root], [np.where(root > 0, bound / np.maximum(root, 1e-300), np.sqrt(slack)) + root * U], usable
        if op == "NORM":
            squares = sum(np.asarray(np.sum(p * p, **rule, where=keep)) for p in x)
            usable &= (largest < 1e150) & ((squares == 0) | (squares > 1e-250))
            root = np.sqrt(squares)
            return [np.asarray(root)], [np.asarray(root * 24 * U)], usable
        # PROD
        exponent = sum(np.sum(np.abs(np.frexp(p)[1]), **rule, where=keep) for p in x)
        usable = np.asarray(exponent) < 8000
        if len(x) == 1:
            exact = np.asarray(np.prod(x[0], **rule, where=keep))
            return [exact], [np.abs(exact) * (count + 2) * 1.01 * U], usable
        z = x[0] + 1j * x[1]
        exact = np.asarray(np.prod(z, **rule, where=keep))
        usable &= np.isfinite(exact)
        bound = np.abs(exact) * (count + 2) * 4 * U
        return [exact.real, exact.imag], [bound, bound], usable


def options(rng, array):
    """A view of an array: words, the selected part, and which of its elements count."""
    words, part, mask = [], array, None
    if array.ndim and rng.integers(5) == 0:
        index = tuple(basic(rng, n) for n in array.shape[: rng.integers(1, array.ndim + 1)])
        if sum(isinstance(i, list) for i in index) > 1:
            index = tuple(slice(None) if isinstance(i, list) else i for i in index)
        if rng.integers(6) == 0:
            index = (None, *index)
        part = np.asarray(array[index])
        words += ["SLICE", ",".join(map(token, index))]
    return words, part, mask


def basic(rng, length):
    """A part of an axis."""
    kind = rng.integers(8)
    if kind == 0 and length:
        return int(rng.integers(-length, length))
    if kind == 1 and length:
        return [int(i) for i in rng.integers(0, length, rng.integers(1, 4))]
    step = [None, 1, 2, -1, -3][rng.integers(5)]
    bound = lambda: None if rng.integers(2) else int(rng.integers(-length - 1, length + 2))
    return slice(bound(), bound(), step)


def token(item):
    """A subscript as text; lists too."""
    return "[" + ",".join(map(str, item)) + "]" if isinstance(item, list) else wire.subscript(item)


def ask(server, command, words, out, is_array):
    """The reply as an array, or the error."""
    try:
        reply = server(command, "k", *words)
    except Exception as e:  # noqa: BLE001  of the client's own kind, and the text is looked at
        return str(e)
    if is_array:
        return wire.from_elements(reply)
    return np.asarray(wire.from_scalar(reply, out), out)


def axes_of(rng, op, ndim):
    """Axes as NumPy takes them, and as words."""
    if op in POSITIONS:
        if ndim == 0 or rng.integers(3) == 0:
            return None, []
        axis = int(rng.integers(-ndim, ndim))
        return axis, ["AXIS", axis]
    if rng.integers(3) == 0:
        return None, []
    if ndim == 0:
        return (), ["AXIS", ["()", "0", "-1"][rng.integers(3)]]
    axes = tuple(int(a) for a in rng.permutation(ndim)[: rng.integers(0 if rng.integers(4) == 0 else 1, min(ndim, 3) + 1)])
    if not axes:
        return (), ["AXIS", "()"]
    signed = [a - ndim if rng.integers(2) else a for a in axes]
    return axes, ["AXIS", ",".join(map(str, signed))]


def question(server, rng, array, expect, store):
    """One reduction, with any options."""
    op = OPS[rng.integers(len(OPS))]
    words, part, _ = options(rng, array)
    dt, keep = part.dtype, np.ones(part.shape, bool)
    axes, axis_words = axes_of(rng, op, part.ndim)
    words += axis_words
    keepdims, skipnan = bool(rng.integers(2)), rng.integers(3) == 0
    words += ["KEEPDIMS"] if keepdims else []
    words += ["SKIPNAN"] if skipnan else []
    masked = part.ndim <= 5 and rng.integers(5) == 0
    if masked:
        shape = part.shape[rng.integers(0, part.ndim + 1):]
        shape = tuple(1 if rng.integers(4) == 0 else n for n in shape)
        mask = rng.integers(0, [2, 4][rng.integers(2)], shape) != 0
        store(server, mask, "mask", *storage(rng, shape))
        words += ["WHERE", "mask"]
        keep &= mask
    chosen = np.sum(keep, axis=axes, keepdims=keepdims)
    if skipnan:
        keep = keep & ~nan_of(part)
    ddof, asked = 0, None
    if op in ("VAR", "STD") and rng.integers(2):
        ddof = [1, 2, 1.5, -1][rng.integers(4)]
        words += ["DDOF", ddof]
    if op in ("SUM", "PROD", "MEAN", "VAR", "STD") and rng.integers(6) == 0:
        asked = arrays.dtype(rng)
        words += ["DTYPE", wire.name(asked)]
    out = out_dtype(op, dt, asked)
    is_array = axes is not None or keepdims
    command = "ND." + op
    got = ask(server, command, words, out, is_array)
    count = np.sum(keep, axis=axes, keepdims=keepdims)
    reduced = part.size if axes is None else int(np.prod([part.shape[a] for a in np.atleast_1d(axes).astype(int)], dtype=np.int64))

    # Refusals
    if asked is not None:
        float_only = op in ("MEAN", "VAR", "STD") and asked.kind in "biu"
        spread = op in ("VAR", "STD") and (dt.kind == "c" or asked.kind == "c")
        if float_only or spread:
            assert isinstance(got, str) and got.startswith("DTYPE "), got
            return
    if op == "PTP" and dt == bool:
        assert isinstance(got, str) and got.startswith("DTYPE "), got
        return
    if op in ("MIN", "MAX", "PTP", *POSITIONS):
        nothing = reduced == 0 or np.any(chosen == 0) or (op in POSITIONS and np.any(count == 0))
        if nothing:
            assert isinstance(got, str) and got.startswith("VALUE "), got
            return
    assert not isinstance(got, str), got
    work = part
    if asked is not None:
        real = parts(np.where(keep, part, np.zeros((), dt)))[0]
        if asked.kind in "iu" and dt.kind in "fcV" and not np.all((real < 100) & (real > (-100 if asked.kind == "i" else -1))):
            return  # out of range: undefined in NumPy
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            work = part.astype(asked)
            work = np.where(keep, work, np.zeros((), asked))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if op in EXACT or op in POSITIONS:
            return exactly(op, got, part, keep, axes, keepdims, out, skipnan, count, expect)
        if out.kind in "iub":
            function = {"SUM": np.sum, "PROD": np.prod}[op]
            want = np.asarray(function(work, axis=axes, keepdims=keepdims, where=keep, dtype=out))
            return expect(got, want, command)
        floating = dt.kind in "fcV"
        if op in ("VAR", "STD", "NORM") and work.dtype.kind in "iu":
            work = work.astype("f8")  # as NumPy does first
        references = reference(op, parts(work), keep, axes, keepdims, ddof, skipnan, floating)
    exacts, bounds, usable = references
    assert got.dtype == out and got.shape == np.shape(exacts[0]), f"{got.dtype} {got.shape}, not {out} {np.shape(exacts[0])}"
    gots = [got.real, got.imag] if out.kind == "c" else [got]
    for g, exact, bound in zip(gots, exacts, bounds):
        if np.any(usable):
            agree(np.asarray(g)[usable], np.asarray(exact)[usable], np.asarray(bound)[usable], out, command)


def exactly(op, got, part, keep, axes, keepdims, out, skipnan, count, expect):
    """Reductions that have one right answer."""
    narrow = part.astype("f4") if part.dtype == BFLOAT16 else part
    rule = dict(axis=axes, keepdims=keepdims)
    if op in ("ANY", "ALL"):
        want = np.asarray(EXACT[op](narrow, **rule, where=keep))
        return expect(got, want, op)
    if op == "COUNT":
        return expect(got, np.asarray(np.count_nonzero((narrow != 0) & keep, **rule), "int64"), op)
    if op in POSITIONS:
        return position(op, got, narrow, keep, axes, keepdims, expect)
    # Elements that are left out are replaced by one that stays out: of each cell, a kept one.
    if narrow.dtype.kind == "c":
        return  # see check_complex_extrema
    if narrow.dtype == bool:
        low, high = False, True
    elif narrow.dtype.kind in "iu":
        low, high = np.iinfo(narrow.dtype).min, np.iinfo(narrow.dtype).max
    else:
        low, high = -np.inf, np.inf
    least = np.asarray(np.min(np.where(keep, narrow, narrow.dtype.type(high)), **rule))
    most = np.asarray(np.max(np.where(keep, narrow, narrow.dtype.type(low)), **rule))
    want = {"MIN": least, "MAX": most, "PTP": most - least if narrow.dtype != bool else least}[op]
    want = np.asarray(want)
    if part.dtype.kind in "fV":
        want = np.where(count == 0, np.nan, want)
    want = np.asarray(want.astype(out))
    zero = (want.astype("f8") == 0) & (got.astype("f8") == 0)  # of either sign
    expect(np.where(zero, np.zeros((), out), got).astype(out), np.where(zero, np.zeros((), out), want).astype(out), op)


def position(op, got, narrow, keep, axis, keepdims, expect):
    """ARGMIN and ARGMAX with elements left out."""
    if narrow.dtype.kind == "c":
        key = np.empty(narrow.shape, object)
        for at in np.ndindex(narrow.shape):
            key[at] = (narrow[at].real, narrow[at].imag)
    if keep.all() and narrow.size:
        want = np.asarray(POSITIONS[op](narrow, axis=axis, keepdims=keepdims))
        return expect(got, want.astype("int64"), op)
    if narrow.dtype.kind == "c" or narrow.size == 0:
        return None
    nan = nan_of(narrow)
    wide = narrow.astype("longdouble")
    worst = np.inf if op == "ARGMIN" else -np.inf
    best = np.nanmin if op == "ARGMIN" else np.nanmax
    good = keep & ~nan
    extreme = best(np.where(good, wide, worst), axis=axis, keepdims=True)
    hit = np.where(np.any(keep & nan, axis=axis, keepdims=True), keep & nan, good & (wide == extreme))
    want = np.argmax(hit, axis=axis, keepdims=keepdims)
    return expect(got, np.asarray(want, "int64"), op)


def check_reductions_are_numpys(server, rng, some, store, expect):
    array = small(rng)
    store(server, array, "k", *storage(rng, array.shape))
    for _ in range(QUESTIONS):
        server.commands[1:] = []
        question(server, rng, array, expect, store)


check_reductions_are_numpys.cases = 1700


def check_complex_extrema_are_lexicographic(server, rng, some, store, expect):
    array = small(rng, arrays.COMPLEX)
    if array.size == 0:
        return
    store(server, array, "k", *storage(rng, array.shape))
    for op, function in {"MIN": np.min, "MAX": np.max, **POSITIONS}.items():
        axes, words = axes_of(rng, op if op in POSITIONS else "ARGMIN", array.ndim)
        want = np.asarray(function(array, axis=axes))
        got = ask(server, "ND." + op, words, want.dtype, axes is not None)
        if want.dtype.kind == "c":
            same = (got == want) | (np.isnan(got) & np.isnan(want))
            assert got.shape == want.shape and np.all(same), f"{op}: {got!r}, not {want!r}"
        else:
            expect(got, want, op)


check_complex_extrema_are_lexicographic.cases = 200

METHODS = ["linear", "lower", "higher", "midpoint", "nearest"]


def check_medians_and_quantiles_are_numpys(server, rng, some, store, expect):
    array = small(rng, [d for d in arrays.ALL if d.kind != "c"])
    store(server, array, "k", *storage(rng, array.shape))
    wide = array.astype("f8") if array.dtype.kind in "fV" else array
    for _ in range(8):
        # Of several axes of which one is empty, NumPy cannot make one.
        axes, words = axes_of(rng, "SUM" if array.size else "ARGMIN", array.ndim)
        axes = (axes,) if isinstance(axes, int) else axes
        if array.ndim == 0:
            axes, words = None, []
        keepdims, skipnan = bool(rng.integers(2)), rng.integers(3) == 0
        words = words + (["KEEPDIMS"] if keepdims else []) + (["SKIPNAN"] if skipnan else [])
        rule = dict(axis=axes, keepdims=keepdims)
        median = rng.integers(2) == 0
        method = METHODS[rng.integers(5)]
        q = sorted(rng.choice([0, 0.25, 0.5, 1, 0.1, 0.9, 1 / 3], rng.integers(1, 4)))
        q = [q[i] for i in rng.permutation(len(q))]
        between = method in ("linear", "midpoint")
        floating = array.dtype.kind in "fV"
        out = array.dtype if floating or not (median or between) else np.dtype("f8")
        is_array = axes is not None or keepdims or (not median and len(q) > 1)
        if median:
            got = ask(server, "ND.MEDIAN", words, out, is_array)
        else:
            got = ask(server, "ND.QUANTILE", [",".join(map(repr, map(float, q))), "METHOD", method, *words], out, is_array)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if median:
                want = np.asarray((np.nanmedian if skipnan else np.median)(wide, **rule))
            else:
                if array.dtype == bool and between:
                    assert isinstance(got, str) and got.startswith("DTYPE "), got
                    continue
                if isinstance(got, str):
                    assert got.startswith("VALUE QUANTILE of an empty array"), got
                    reduced = wide.size if axes is None else int(np.prod([wide.shape[a] for a in axes], dtype=np.int64))
                    assert reduced == 0, got
                    continue
                source = wide.astype("longdouble") if array.dtype.kind in "iu" and between else wide
                want = np.asarray((np.nanquantile if skipnan else np.quantile)(source, q, method=method, **rule))
                if array.size == 0 and skipnan:
                    continue  # NumPy forgets the quantiles' axis
                want = want[0] if len(q) == 1 else want
        assert not isinstance(got, str), got
        assert got.dtype == out and got.shape == want.shape, f"{got.dtype} {got.shape}, not {out} {want.shape}"
        g, w = got.astype("f8"), np.asarray(want).astype("f8")
        with np.errstate(all="ignore"):
            scale = np.abs(w) + (np.nanmax(np.abs(np.where(np.isfinite(wide), wide, 0))) if wide.size else 0)
            eps = float(info_of(out).eps) if out.kind in "fV" else 0
            good = (g == w) | (np.isnan(g) & np.isnan(w)) | (np.abs(g - w) <= scale * max(eps, 2.0**-50 if floating or between or median else 0) + (float(info_of(out).smallest_subnormal) if out.kind in "fV" else 0))
            # Neighbours that are infinite or very far apart: NumPy's arithmetic overflows.
            good |= ~np.isfinite(w) | (scale > float(info_of(out).max) / 4 if out.kind in "fV" else False)
        assert np.all(good), f"{'MEDIAN' if median else f'QUANTILE {q} {method}'} {words}: {got!r}, not {want!r}"


check_medians_and_quantiles_are_numpys.cases = 1200


def check_histograms_are_numpys(server, rng, some, store, expect):
    array = small(rng, [d for d in arrays.ALL if d.kind != "c"])
    store(server, array, "k", *storage(rng, array.shape))
    wide = array.astype("f8")
    for bins in (1, 7, int(rng.integers(1, 300))):
        words, range_ = [], None
        if rng.integers(2):
            low, high = sorted(float(x) for x in rng.normal(0, 50, 2).round(2))
            words, range_ = ["RANGE", low, high], (low, high)
        try:
            with np.errstate(all="ignore"):
                counts, edges = np.histogram(wide, bins, range_)
        except (ValueError, IndexError):
            assert server.error("ND.HISTOGRAM", "k", bins, *words).startswith("VALUE ")
            continue
        if not np.all(np.diff(edges) > 0):
            continue
        got, got_edges = server("ND.HISTOGRAM", "k", bins, *words)
        expect(wire.from_elements(got), counts.astype("int64"), "counts")
        expect(wire.from_elements(got_edges), edges, "edges")


check_histograms_are_numpys.cases = 300


def check_stats_are_the_nan_functions(server, rng, some, store, expect):
    array = small(rng)
    store(server, array, "k", *storage(rng, array.shape))
    axes, words = axes_of(rng, "SUM", array.ndim)
    reply = server("ND.STATS", "k", *words)
    stats = dict(zip([k.decode() for k in reply[::2]], reply[1::2]))
    assert list(stats) == ["count", "nan", "min", "max", "sum", "mean", "std", "var"]
    nan = nan_of(array)
    for name, want in (("count", ~nan), ("nan", nan)):
        want = np.asarray(np.sum(want, axis=axes), "int64")
        got = wire.from_elements(stats[name]) if axes is not None else np.asarray(stats[name], "int64")
        expect(got, want, name)
    for name in ("min", "max", "sum", "mean", "std", "var"):
        try:
            want = server("ND." + name.upper(), "k", *words, "SKIPNAN")
        except Exception as e:  # noqa: BLE001
            assert str(e).startswith("VALUE ") and stats[name] is None
            continue
        assert stats[name] == want, f"{name}: {stats[name]!r}, alone {want!r}"


check_stats_are_the_nan_functions.cases = 300
