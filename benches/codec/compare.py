"""Other libraries on one data set at a time, for the codec benchmark: blosc2, lz4 and zlib, one thread, chunk by chunk.

Started by main.rs with the folder of data sets and the chunk length. Reads lines `SIDE SET ITEMSIZE`, answers each with
`BYTES ENCODE DECODE`: stored bytes, and seconds of one pass each way. `versions` is answered with the libraries' versions.
"""

import importlib.metadata
import pathlib
import sys
import time
import zlib

import blosc2
import lz4.block


def blosc(filter):
    def side(itemsize):
        params = {"codec": blosc2.Codec.ZSTD, "clevel": 5, "typesize": itemsize, "nthreads": 1, "filters": [filter]}

        def decode(stored, out):
            blosc2.decompress2(stored, dst=out, nthreads=1)

        return lambda chunk: blosc2.compress2(chunk, **params), decode

    return side


def lz4_alone(_itemsize):
    def decode(stored, out):
        lz4.block.decompress(stored, uncompressed_size=len(out))

    return lambda chunk: lz4.block.compress(chunk, store_size=False), decode


def zlib_alone(_itemsize):
    return zlib.compress, lambda stored, _out: zlib.decompress(stored)


SIDES = {
    "blosc2": blosc(blosc2.Filter.SHUFFLE),
    "blosc2-bits": blosc(blosc2.Filter.BITSHUFFLE),
    "lz4": lz4_alone,
    "zlib": zlib_alone,
}


def main():
    folder, chunk_bytes = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    loaded = None, []
    for line in sys.stdin:
        words = line.split()
        if words == ["versions"]:
            print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in ["blosc2", "lz4"]), flush=True)
            continue
        side, name, itemsize = words
        if loaded[0] != name:
            data = (folder / f"{name}.bin").read_bytes()
            loaded = name, [data[i : i + chunk_bytes] for i in range(0, len(data), chunk_bytes)]
        encode, decode = SIDES[side](int(itemsize))
        start = time.perf_counter()
        stored = [encode(chunk) for chunk in loaded[1]]
        encoded = time.perf_counter() - start
        out = bytearray(chunk_bytes)
        start = time.perf_counter()
        for chunk in stored:
            decode(chunk, out)
        decoded = time.perf_counter() - start
        print(sum(map(len, stored)), encoded, decoded, flush=True)


main()
