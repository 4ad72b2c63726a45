"""NumPy's side of benches/reduce: reads `file dtype shape operation axis` lines, answers the seconds of one call.

One thread, the array in memory; the best of as many calls as fit 20 milliseconds.
"""

import sys
import time
import warnings

import numpy as np

warnings.simplefilter("ignore")
arrays = {}


def run(line):
    file, dtype, shape, name, axis = line.split()
    key = (file, dtype, shape)
    if key not in arrays:
        arrays.clear()
        arrays[key] = np.fromfile(file, dtype).reshape(tuple(map(int, shape.split(","))))
    array = arrays[key]
    axis = None if axis == "-" else int(axis)
    if name == "norm":
        call = lambda: np.linalg.norm(array.ravel() if axis is None else array, axis=axis)  # noqa: E731
    elif name == "quantile":
        call = lambda: np.quantile(array, 0.9, axis=axis)  # noqa: E731
    else:
        function = getattr(np, {"count": "count_nonzero"}.get(name, name))
        call = lambda: function(array, axis=axis)  # noqa: E731
    best, start = float("inf"), time.perf_counter()
    while time.perf_counter() - start < 0.02:
        before = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - before)
    return best


for line in sys.stdin:
    print(repr(run(line)), flush=True)
