#!/usr/bin/env python3
"""Records what NumPy selects, line by line, for the tests of src/nd/index.rs.

    python3 tests/golden/record_index.py > tests/golden/index.tsv
    python3 tests/golden/record_index.py --count 50000 --seed 7 > /tmp/index.tsv
    INDEX_GOLDEN=/tmp/index.tsv cargo test --no-default-features --lib index

Where one index is wrong in two ways, text comes before shape here, and which of two comes first in NumPy depends on
its inner steps; random lines that are wrong in the text and in another way are left out.

A line is: shape, subscript, shape of the result, positions; or shape, subscript, "error", kind. Positions are the
selected elements of arange(size).reshape(shape), or "#count:hash" above twelve of them.
"""

import argparse
import random
import re
import sys

import numpy as np

WORDS = {"np": np, "newaxis": None, "none": None, "true": True, "false": False, "TRUE": True, "FALSE": False}

# NumPy's sentence -> the kind that the test knows. The order matters where sentences share words.
KINDS = [
    ("too many indices", "too-many"),
    ("boolean index did not match", "boolean"),
    ("could not be broadcast", "broadcast"),
    ("out of bounds", "bounds"),
    ("cannot fit 'int'", "bounds"),
    ("slice step cannot be zero", "step"),
    ("single ellipsis", "ellipsis"),
    ("inhomogeneous", "ragged"),
    ("number of dimensions must be within", "rank"),
    ("too many dimensions", "rank"),
    ("maximum number of dimension", "rank"),
    ("only integers, slices", "syntax"),
    ("arrays used as indices must be of integer", "syntax"),
    ("slice indices must be integers", "syntax"),
    ("invalid syntax", "syntax"),
]

# The refusals that are given before the shape is seen.
OF_TEXT = {"error\t" + kind for kind in ["step", "ellipsis", "ragged", "syntax"]}

EDGES = [
    # shape, subscript
    *[((5,), text) for text in [
        "", "()", "...", "None", "None,...", "...,None", "0", "-1", "4", "-5", "5", "-6", "+2", "0,", "(0,)", "(0)",
        "99999999999999999999", "-99999999999999999999", "9223372036854775807", "-9223372036854775808",
        ":99999999999999999999", "-99999999999999999999:", "::99999999999999999999", "::-99999999999999999999",
        "3:-99999999999999999999:-99999999999999999999", "::9223372036854775807", "::-9223372036854775808", "::-1",
        "None:None", "None:None:None", "None:3:None", ":None:-1", "1:4:2", "4:1:-2", "4:1", "1:4:-1", "::0", "0:0:0",
        "[]", "[[]]", "[[],[]]", "[0]", "[0,5]", "[0,-5]", "[-6]", "[0,0,0]", "[[0,1],[2,3]]", "[[0],[1]]",
        "[True,False,True,False,True]", "[true,FALSE,True,false,TRUE]", "[True]", "[True,False]", "[False]",
        "[True,True,True,True,True,True]", "[False,False,False,False,False]", "True", "False", "True,False", "True,0",
        "False,0", "0,True", "True,[0,1]", "False,[0]", "False,[0,1]", "[0,1],False", "True,True", "True,...", "...,True",
        "True,:", ":,True", "None,True", "True,None", "True,None,True", "False,9", "[],9", "0,0", "[0],[0]", "[0],0",
        "...,...", "0,...,...", "1.5", "1.", "1:2.0", "[1.5]", "[0,[1]]", "[[0],[1,2]]", "[[0],1]", "[0,1,]", "x", ",",
        "0,,1", "[,]", "[0", "0]", "(0", "0)", "1 2", "[1 2]", ":::", "0:1:2:3", "-", "'a'",
        "[None]", "[...]", "[:]", "[0:1]", "", "0 , ", "[ 0 , 1 ]", " ... ", "- 1",
    ]],
    *[((), text) for text in ["", "()", "...", "None", "None,None", "0", ":", "[]", "[0]", "True", "False", "True,True",
                              "...,None", "...,True", "True,False", "[True]", "None,True", "True,None", "...,..."]],
    *[((3, 4, 5), text) for text in [
        "0,[0,1],:", "0,:,[0,1]", ":,0,[0,1]", "[0,1],:,0", "[0,1],...,0", "[0,1],...,:,0", ":,[0,1],...,0",
        ":,[0],...,[1]", ":,[0],None,[1]", ":,[0,1],[0,1]", ":,0,[0,1],None", "None,:,0,[0,1]", ":,None,[0,1],0",
        "0,None,[0,1],[0,1]", "[[0],[1]],[0,1,2]", "[[0],[1]],:,[0,1,2]", "[0,1],[0,1,2]", "[],[0,1]", "[],[0]",
        "[],[9]", "[],9", "[9],[]", "9,[]", ":,9,[]", "[9],[],0", "[],[],[0,1]", "0:0,[9]", "[9],0:0", "0:0,9",
        "[True,False,True],[0,1]", "[True,False,True],[0]", "[True,False,True],:,[0,4]",
        "[True,False,True],[True,False,True,True]", "[True,False,True],[True,False,True,False]",
        "[[True,False,True,True],[False,False,True,True],[True,True,True,True]]",
        "[[True,False,True,True],[False,False,True,True],[True,True,True,True]],0",
        "[[True,False,True,True],[False,False,True,True],[True,True,True,True]],:,None",
        ":,[[True,False,True,True,False]]", "[[True],[True],[True]]", "[[True,True,True,True]]", "...,[True,False]",
        "[True,False],[0,1],[9,9]", "9,9,[9]", "9,9,9", "9,9,9,9", "9,9,9,[0]", "0,[0,1],[0,1,2]", "True,0,[0,1]",
        "0,True,:,0", "True,:,0", ":,True,0", ":,0,True", ":,True,:,0", "::2,[[1,0]],None,::-1", "[0,1],[9,0],[0,1,2]",
        "[9],[0,1],[0,1,2]", "...,[0,1],0", "0,...,[0,1]", "[0],...,[0]", "..., 0, ..., 0", "None," * 61 + "...",
        "None," * 62 + "...", "None," * 64 + "...", "[0]," + "None," * 61 + "0", "[0]," + "None," * 63 + "0",
        "[" * 62 + "0" + "]" * 62, "[" * 63 + "0" + "]" * 63, "[" * 64 + "0" + "]" * 64, "[" * 65 + "0" + "]" * 65,
        "[[[[[[0]]]]]],[[0],[1]]", "True," * 60 + "0", "0," * 128, "0," * 129, "None," * 129,
    ]],
    *[((0, 3), text) for text in ["", "0", "-1", "[]", "[0]", ":,0", ":,[0]", ":,[3]", ":,3", "[],0", "[],3", "[],[3]",
                                  "...,[0,1]", "[[]]", "::-1", "::-1,::-1", "1:2", "[False]", "True", "False,3", "[0],[]"]],
    *[((3, 0), text) for text in ["[3]", "3", "[0]", "0", "[0,5]", "[3],:", "[[0],[3]]", ":,[0]", ":,[]", "0,[]", "3,[]",
                                  "[True,False,True]", "[[],[],[]]"]],
]


def integer(rng, length):
    """Mostly within the axis, at times outside."""
    if rng.random() < 0.02:
        return rng.choice([length, -length - 1, 10**9, -(10**19), 10**30])
    return rng.randrange(-length, length) if length else 0


def bound(rng, length):
    roll = rng.random()
    if roll < 0.35:
        return rng.choice(["", "", "", "None"])
    if roll < 0.4:
        return str(rng.choice([10**6, -(10**6), 2**63, -(2**63), 2**63 - 1, 10**25, -(10**25)]))
    return str(rng.randint(-length - 2, length + 2))


def slice_text(rng, length):
    text = bound(rng, length) + ":" + bound(rng, length)
    if rng.random() < 0.5:
        step = rng.choice([1, 2, 3, -1, -2, -3, 7, -7, 2**62, -(2**63), 10**22])
        text += ":" + ("" if rng.random() < 0.1 else str(step))
    return text


def nested(values, shape):
    """Values in C order, taken from an iterator, as nested lists."""
    if not shape:
        return next(values)
    return "[" + ",".join(nested(values, shape[1:]) for _ in range(shape[0])) + "]"


def integers(rng, length, shape):
    return nested((str(integer(rng, length)) for _ in iter(int, 1)), shape)


def booleans(rng, shape, count):
    """A list of the axes' shape; with as many true values as asked for, where that is possible."""
    size = int(np.prod(shape))
    true = set(rng.sample(range(size), min(count, size))) if count is not None else \
        {i for i in range(size) if rng.random() < 0.5}
    words = ("True", "False") if rng.random() < 0.8 else ("true", "FALSE")
    return nested((words[0] if i in true else words[1] for i in range(size)), shape)


def list_shape(rng, common):
    """A shape that broadcasts to `common`, most of the time."""
    shape = [1 if rng.random() < 0.25 else n for n in common[rng.randint(0, len(common) - 1):]]
    if rng.random() < 0.02:
        shape[-1] += 1
    return shape


def spaced(rng, text):
    """Spaces around punctuation."""
    return "".join(" " * rng.randint(0, 1) + c + " " * rng.randint(0, 1) if c in ",:[]" else c for c in text)


def subscript(rng, shape):
    """A random index of an array of this shape, and how many things are wrong in its text."""
    axes = list(shape)
    if rng.random() < 0.02:
        axes.append(2)
    elif rng.random() < 0.3:
        axes = axes[:rng.randint(0, len(axes))]
    common = [rng.choice([0, 1, 1, 2, 2, 3, 4]) if rng.random() < 0.3 else rng.choice([1, 2, 3])
              for _ in range(rng.choice([1, 1, 1, 2, 2, 3]))]
    with_lists = rng.random() < 0.55
    items, axis, ellipsis_at = [], 0, rng.randint(0, len(axes)) if rng.random() < 0.35 else None
    while axis < len(axes) or ellipsis_at is not None:
        if ellipsis_at is not None and axis >= ellipsis_at:
            items.append("...")
            ellipsis_at = None
            # From here on the items count from the back.
            axis = min(len(axes), axis + rng.randint(0, 2))
            continue
        roll = rng.random()
        if roll < 0.08:
            items.append(rng.choice(["None", "newaxis", "np.newaxis", "none"]))
        elif roll < 0.1 and with_lists:
            items.append(rng.choice(["True", "True", "False", "true"]))
        elif roll < 0.45 and with_lists:
            items.append(integers(rng, axes[axis], list_shape(rng, common)))
            axis += 1
        elif roll < 0.55 and with_lists:
            depth = rng.randint(1, min(3, len(axes) - axis))
            dims = axes[axis:axis + depth]
            if rng.random() < 0.03:
                dims[rng.randrange(depth)] += 1
            if np.prod(dims) <= 40 and (0 not in dims[:-1] or depth == 1) and dims[0] > 0:
                items.append(booleans(rng, dims, rng.choice([None, common[-1], common[-1], 1])))
                axis += depth
        elif roll < 0.7:
            items.append(str(integer(rng, axes[axis])))
            axis += 1
        else:
            items.append(slice_text(rng, axes[axis]))
            axis += 1
    wrong = 0
    if rng.random() < 0.01:
        wrong += "..." in items
        items.insert(rng.randint(0, len(items)), "...")
    if rng.random() < 0.01:
        wrong += 1
        items.insert(rng.randint(0, len(items)), rng.choice(["1.5", "[0,[1]]", "x", "[0.5]", "[[0],[0,1]]", "::0", "2:1:0"]))
    text = ",".join(items)
    if rng.random() < 0.03:
        text = "(" + text + ")" if ":" not in text and "..." not in text and items else text
    return spaced(rng, text) if rng.random() < 0.2 else text, wrong


def random_shape(rng):
    ndim = rng.choice([0, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6])
    top = {0: 1, 1: 12, 2: 7, 3: 5, 4: 4, 5: 3, 6: 3}[ndim]
    return tuple(0 if rng.random() < 0.04 else rng.randint(1, top) for _ in range(ndim))


def digest(positions):
    """FNV-1a over whole numbers instead of bytes."""
    h = 0xCBF29CE484222325
    for p in positions:
        h = ((h ^ p) * 0x100000001B3) % 2**64
    return h


def kind_of(error, text):
    message = str(error)
    for words, kind in KINDS:
        if words in message:
            return kind
    if isinstance(error, (SyntaxError, NameError)):
        return "syntax"
    raise SystemExit(f"unknown refusal of {text!r}: {type(error).__name__}: {message}")


def answer(shape, text):
    """The last two fields of a line."""
    array = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)
    try:
        got = np.asarray(eval(f"a[{text.strip() or '()'}]", {**WORDS, "a": array}))
    except Exception as error:  # every refusal is an answer
        kind = kind_of(error, text)
        # NumPy reads an integer beyond 64 bits as an object and refuses its type: ask about a smaller one.
        smaller = re.sub(r"\d{19,}", str(2**62), text)
        return answer(shape, smaller) if kind == "syntax" and smaller != text else "error\t" + kind
    positions = got.ravel().tolist()
    if len(positions) > 12:
        listed = f"#{len(positions)}:{digest(positions):016x}"
    else:
        listed = ",".join(map(str, positions))
    return f"{tuple(got.shape)}".replace(" ", "") + "\t" + listed


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--count", type=int, default=5000, help="lines, the fixed ones included")
    options.add_argument("--seed", type=int, default=1)
    options = options.parse_args()
    rng = random.Random(options.seed)
    lines = {edge: answer(*edge) for edge in EDGES}
    while len(lines) < options.count:
        shape = random_shape(rng)
        text, wrong = subscript(rng, shape)
        if len(text) > 160:
            continue
        found = answer(shape, text)
        if wrong == 0 or wrong == 1 and found in OF_TEXT:
            lines[shape, text] = found
    print(f"# Recorded by record_index.py from NumPy {np.__version__}, seed {options.seed}.")
    for (shape, text), found in lines.items():
        print(f"{tuple(shape)}".replace(" ", "") + f"\t{text}\t{found}")


if __name__ == "__main__":
    sys.exit(main())
