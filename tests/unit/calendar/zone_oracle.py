#!/usr/bin/env python3
"""Compares Belfry's zones with Python's zoneinfo, an implementation of its own, over the same tz database.

    zone_oracle.py ZONE_DUMP [--per-zone N] [--seed S]

For every zone of the system: N random instants from 1970 to 2100, and the seconds around every change of offset that
Python shows there. Checked are the offset, and that the local time shown is read back as the same instants (PEP 495:
fold 0 and fold 1).
"""
import argparse
import datetime
import os
import pathlib
import random
import subprocess
import sys
import zoneinfo

FROM = int(datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc).timestamp())
UNTIL = int(datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc).timestamp())
EPOCH = datetime.datetime(1970, 1, 1)
# Nothing in the tz database comes and goes within two days: an offset seen at both ends holds between.
STEP = 2 * 86400


def offset(zone, instant):
    moment = EPOCH + datetime.timedelta(seconds=instant)
    return int(moment.replace(tzinfo=datetime.timezone.utc).astimezone(zone).utcoffset().total_seconds())


def changes(zone):
    before = offset(zone, FROM)
    for start in range(FROM, UNTIL, STEP):
        after = offset(zone, start + STEP)
        if after == before:
            continue
        low, high = start, start + STEP
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(zone, middle) == before else (low, middle)
        yield high, before, after
        before = after


def instants(zone, dice, count):
    chosen = {dice.randrange(FROM, UNTIL) for _ in range(count)}
    for at, before, after in changes(zone):
        span = abs(after - before)
        for edge in (at - span, at, at + span):
            chosen.update((edge - 1, edge, edge + 1))
        chosen.add(at + dice.randrange(-span, span))
    return sorted(chosen)


def read_back(zone, instant, off):
    """The instants at which the clock shows what it shows at `instant`."""
    local = EPOCH + datetime.timedelta(seconds=instant + off)
    both = set()
    for fold in (0, 1):
        utc = local.replace(tzinfo=zone, fold=fold).astimezone(datetime.timezone.utc).replace(tzinfo=None)
        both.add(int((utc - EPOCH).total_seconds()))
    return min(both), max(both)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("zone_dump")
    parser.add_argument("--per-zone", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    directory = os.environ.get("TZDIR", "/usr/share/zoneinfo")
    zoneinfo.reset_tzpath([directory])
    names = sorted(n for n in zoneinfo.available_timezones() if (pathlib.Path(directory) / n).is_file())
    dice = random.Random(args.seed)
    asked = {name: instants(zoneinfo.ZoneInfo(name), dice, args.per_zone) for name in names}
    text = "".join(f"{name} {' '.join(map(str, chosen))}\n" for name, chosen in asked.items())
    answer = subprocess.run([args.zone_dump], input=text, capture_output=True, text=True, check=True).stdout
    compared = wrong = 0
    for line in answer.splitlines():
        name, instant, off, kind, first, second = line.split()
        zone = zoneinfo.ZoneInfo(name)
        expected = offset(zone, int(instant))
        expected_back = read_back(zone, int(instant), expected)
        compared += 1
        if int(off) != expected or (int(first), int(second)) != expected_back or kind != str(2 * (first != second)):
            wrong += 1
            print(f"{name} at {instant}: {off} {kind} {first} {second}, Python says {expected} {expected_back}")
    total = sum(map(len, asked.values()))
    print(f"{len(names)} zones, {compared} instants compared, {wrong} differ")
    return 0 if wrong == 0 and compared == total and names else 1


if __name__ == "__main__":
    sys.exit(main())
