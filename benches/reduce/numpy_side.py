"""NumPy's side of benches/reduce: reads `file dtype shape operation axis` lines, answers the seconds of one call.

One thread, the array in memory; a call that takes less than 20 milliseconds is repeated that long.
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
    else:
        function = getattr(np, {"count": "count_nonzero"}.get(name, name))
        call = lambda: function(array, axis=axis)  # noqa: E731
    calls, start = 0, time.perf_counter()
    while True:
        call()
        calls += 1
        spent = time.perf_counter() - start
        if spent > 0.02:
            return spent / calls


for line in sys.stdin:
    print(repr(run(line)), flush=True)
