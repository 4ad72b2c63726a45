"""Writes zones.npy and zones-places.npy from the time zone database of this machine (standard library and numpy).

    python examples/convert_zones.py [/usr/share/zoneinfo]
"""

import sys
from datetime import datetime, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

YEARS = range(1970, 2025)
MONTHS = (1, 7)
HERE = Path(__file__).parent


def degrees(text):
    """`+DDMM`, `+DDMMSS`, `+DDDMM` or `+DDDMMSS` as degrees."""
    sign, digits = (-1 if text[0] == "-" else 1), text[1:]
    whole = len(digits) - (4 if len(digits) in (6, 7) else 2)
    minutes, seconds = int(digits[whole : whole + 2]), int(digits[whole + 2 :] or 0)
    return sign * (int(digits[:whole]) + minutes / 60 + seconds / 3600)


def place(text):
    """Latitude and longitude of an ISO 6709 pair."""
    cut = max(text.rfind("+"), text.rfind("-"))
    return degrees(text[:cut]), degrees(text[cut:])


def offset(zone, year, month):
    """Seconds east of UTC at the start of a month."""
    then = datetime(year, month, 1, tzinfo=timezone.utc).astimezone(zone)
    return int(then.utcoffset().total_seconds())


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/zoneinfo")
    lines = (root / "zone1970.tab").read_text(encoding="utf-8").splitlines()
    rows = sorted((line.split("\t") for line in lines if not line.startswith("#")), key=lambda row: row[2])
    zones = [ZoneInfo(row[2]) for row in rows]
    offsets = [[[offset(z, y, m) for m in MONTHS] for y in YEARS] for z in zones]
    np.save(HERE / "zones.npy", np.array(offsets, dtype="<i4"))
    np.save(HERE / "zones-places.npy", np.array([place(row[1]) for row in rows], dtype="<f8"))
    (HERE / "zones.txt").write_text("".join(f"{row[2]}\n" for row in rows))


if __name__ == "__main__":
    main()
