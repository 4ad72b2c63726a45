"""The data sets of the codec benchmark: arrays that stand for real use, from one seed, the same bytes for every codec.

`python datasets.py FOLDER MIB` writes each as NAME.bin, little-endian and C order, and FOLDER/index.tsv: name, dtype, what it
stands for.
"""

import pathlib
import sys

import ml_dtypes
import numpy as np

SETS = {}


def dataset(dtype, what):
    """Registers a function of (rng, n) that answers n elements of `dtype`."""

    def register(make):
        SETS[make.__name__.replace("_", "-")] = (np.dtype(dtype), what, make)
        return make

    return register


def field(rng, n, waves=12):
    """A smooth 2-D field: a sum of long waves, 1,024 to a row."""
    rows = n // 1024
    y, x = np.mgrid[0:rows, 0:1024].astype(np.float64)
    out = np.zeros((rows, 1024))
    for _ in range(waves):
        ky, kx, phase, size = rng.normal(0, 0.01), rng.normal(0, 0.01), rng.uniform(0, 6.28), rng.gamma(2)
        out += size * np.sin(ky * y + kx * x + phase)
    return out.reshape(-1)


@dataset("f8", "uniform random numbers")
def uniform(rng, n):
    return rng.random(n)


@dataset("f4", "normal random numbers")
def normal(rng, n):
    return rng.standard_normal(n)


@dataset("f4", "a smooth 2-D field")
def smooth_grid(rng, n):
    return field(rng, n)


@dataset("f4", "a measured field: smooth, with noise, in steps of 0.01")
def temperature(rng, n):
    return np.round(15 + 4 * field(rng, n) + rng.normal(0, 0.2, n), 2)


@dataset("f8", "a random walk")
def walk(rng, n):
    return np.cumsum(rng.standard_normal(n))


@dataset("f8", "prices: a random walk in cents")
def prices(rng, n):
    return np.round(100 + np.cumsum(rng.integers(-3, 4, n)) * 0.01, 2)


@dataset("i8", "a counter")
def counter(rng, n):
    return np.arange(n) + rng.integers(1 << 40)


@dataset("i8", "identifiers: ascending, with gaps")
def identifiers(rng, n):
    return np.cumsum(rng.geometric(0.05, n)) + (1 << 33)


@dataset("i8", "timestamps in microseconds: sorted, about 10 ms apart")
def timestamps(rng, n):
    return 1_700_000_000_000_000 + np.cumsum(10_000 + rng.normal(0, 300, n).astype("i8"))


@dataset("i8", "labels of 1,000 classes")
def labels(rng, n):
    return rng.integers(0, 1000, n)


@dataset("i4", "categorical codes: few are common, most are rare")
def categories(rng, n):
    return np.minimum(rng.zipf(1.6, n), 50_000)


@dataset("i4", "counts of events")
def counts(rng, n):
    return rng.poisson(40, n)


@dataset("i2", "sound: tones and noise")
def sound(rng, n):
    t = np.arange(n) / 44_100
    tones = sum(a * np.sin(6.2832 * f * t + p) for f, a, p in zip(rng.uniform(80, 3000, 6), rng.uniform(500, 3000, 6), rng.uniform(0, 6, 6)))
    return np.clip(tones + rng.normal(0, 60, n), -32768, 32767)


@dataset("u1", "8-bit images of 512 x 512: shapes, shading, a little noise")
def images(rng, n):
    out = np.empty(n, "u1")
    side = 512 * 512
    y, x = np.mgrid[0:512, 0:512].astype(np.float32)
    for start in range(0, n, side):
        image = 90 + 40 * np.sin(x / rng.uniform(40, 200)) + 40 * np.cos(y / rng.uniform(40, 200))
        for _ in range(12):
            cy, cx, r = rng.uniform(0, 512), rng.uniform(0, 512), rng.uniform(10, 120)
            inside = (y - cy) ** 2 + (x - cx) ** 2 < r * r
            image[inside] = image[inside] * 0.3 + rng.uniform(0, 200)
        image += rng.normal(0, 1.5, image.shape)
        out[start : start + side] = np.clip(image, 0, 255).astype("u1").reshape(-1)[: n - start]
    return out


@dataset("u1", "segmentation masks of 512 x 512: large regions of few classes")
def masks(rng, n):
    out = np.empty(n, "u1")
    side = 512 * 512
    y, x = np.mgrid[0:512, 0:512]
    for start in range(0, n, side):
        mask = np.zeros((512, 512), "u1")
        for _ in range(20):
            cy, cx, r = rng.integers(0, 512), rng.integers(0, 512), rng.integers(10, 120)
            mask[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = rng.integers(1, 21)
        out[start : start + side] = mask.reshape(-1)[: n - start]
    return out


@dataset("f4", "one-hot rows of 64 classes")
def one_hot(rng, n):
    out = np.zeros((n // 64, 64))
    out[np.arange(n // 64), rng.integers(0, 64, n // 64)] = 1
    return out.reshape(-1)


@dataset("f4", "embeddings of unit length, rounded to float16 and stored as float32")
def embeddings(rng, n):
    rows = rng.standard_normal((n // 128, 128))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype("f2").reshape(-1)


@dataset(ml_dtypes.bfloat16, "weights of a network")
def weights(rng, n):
    return rng.standard_normal(n) * np.repeat(rng.uniform(0.01, 0.1, n // 4096), 4096)


@dataset("?", "flags, one in ten set")
def flags(rng, n):
    return rng.random(n) < 0.1


def main(folder, mib):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number, (name, (dtype, what, make)) in enumerate(SETS.items()):
        n = (mib << 20) // dtype.itemsize
        elements = np.ascontiguousarray(make(np.random.default_rng([20, number]), n).astype(dtype))
        assert elements.nbytes == mib << 20, name
        elements.tofile(folder / f"{name}.bin")
        lines.append(f"{name}\t{dtype.name}\t{what}\n")
    (folder / "index.tsv").write_text("".join(lines))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
