"""Subscripts of every kind, and what must be refused too: as Python's objects, and as text."""

import numpy as np

import wire


def draw(rng, shape):
    """A subscript for an array of this shape, most of the time one that fits."""
    kind = rng.integers(8)
    if kind == 0:
        return tuple(basic(rng, shape))
    if kind == 1:
        return (mask(rng, shape),)
    items = []
    axes = list(shape[: rng.integers(0, len(shape) + 1)])
    points = [(), (3,), (1,), (2, 1), (2, 3), (0,)][rng.integers(6)]  # what lists broadcast to
    while axes:
        choice = rng.integers(6)
        if choice == 0 and len(axes) > 1 and len(points) < 2:
            items.append(mask(rng, axes[:2]))
            del axes[:2]
            continue
        length = axes.pop(0)
        if choice == 1:
            items.append(integer(rng, length))
        elif choice == 2:
            items.append(mask(rng, (length,)))
        elif choice <= 4 and kind > 2:
            own = points[rng.integers(0, len(points) + 1) :]
            own = tuple(1 if rng.integers(4) == 0 else n for n in own)
            items.append(np.array([integer(rng, length) for _ in range(int(np.prod(own)))], np.int64).reshape(own))
            if own == ():
                items[-1] = int(items[-1])
        else:
            items.append(slice_(rng, length))
    return tuple(extras(rng, items))


def basic(rng, shape):
    """Integers and slices."""
    lengths = shape[: rng.integers(0, len(shape) + 1)]
    return extras(rng, [integer(rng, n) if rng.integers(2) else slice_(rng, n) for n in lengths])


def extras(rng, items):
    """Now and then an ellipsis, new axes, a lone boolean, an item too many."""
    if rng.integers(3) == 0:
        items.insert(int(rng.integers(0, len(items) + 1)), Ellipsis)
    while rng.integers(5) == 0:
        items.insert(int(rng.integers(0, len(items) + 1)), None)
    if rng.integers(25) == 0:
        items.insert(int(rng.integers(0, len(items) + 1)), bool(rng.integers(2)))
    if rng.integers(40) == 0:
        items.append(Ellipsis if rng.integers(2) else 0)
    return items or [Ellipsis]


def integer(rng, length):
    """A position; one in thirty outside."""
    if length == 0 or rng.integers(30) == 0:
        return int(rng.choice([length, -length - 1, length + 5, 2**62]))
    return int(rng.integers(-length, length))


def slice_(rng, length):
    """Bounds in and out of the axis, any step."""
    bound = lambda: None if rng.integers(3) == 0 else int(rng.integers(-length - 2, length + 3))  # noqa: E731
    return slice(bound(), bound(), [None, None, 1, 2, 3, -1, -1, -2, 7, -(2**40)][rng.integers(10)])


def mask(rng, shape):
    """Booleans of this shape; one in twenty of another."""
    shape = [int(n) for n in shape[: rng.integers(1, 3)]]
    if shape and rng.integers(20) == 0:
        shape[rng.integers(len(shape))] += int(rng.choice([-1, 1]))
    shape = [max(n, 0) for n in shape]
    return rng.integers(0, 2, shape).astype(bool)


def text(index):
    """The index token."""
    return ", ".join(map(item_text, index))


def item_text(item):
    if isinstance(item, np.ndarray):
        return nested(item.tolist())
    return wire.subscript(item)


def nested(x):
    return "[" + ",".join(map(nested, x)) + "]" if isinstance(x, list) else str(x)


def can_be_text(index):
    """Text of no brackets' depth: an empty list has one axis, and booleans of an empty shape none."""
    arrays = [i for i in index if isinstance(i, np.ndarray)]
    return all(a.ndim > 0 and (a.size > 0 or (a.ndim == 1 and a.dtype != bool)) for a in arrays)
