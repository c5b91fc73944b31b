#!/usr/bin/env python3
"""Chooses from the collected cron vectors those that bear on Belfry's profile, and writes them beside this file.

    select.py FOLDER    FOLDER holds the whole cron-next.json, cron-match.json, cron-parse.json and cron-equal.json

Belfry's profile: `dom_dow: or-star-prefix`, `dst: vixie`; five fields, or six with seconds first; Sunday is 0 and 7.
Left out are vectors for other profiles, other layouts of fields (years, seconds last), Quartz' numbering of weekdays,
random seeds, and quirks of one library (`needs: null`).

A vector whose text Belfry does not take, or takes though its dialect does not, stays in and gets a member `differs`
with the reason: the test then asserts that it does differ, so a list of excuses cannot outlive its reasons.
"""
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parent
KEPT = ("about", "sources", "profiles")

# Text of an expression -> why Belfry refuses what a dialect takes. The first that fits counts.
BEYOND = [
    (r"(?i)^@every_", "@every_minute and @every_second are written as fields"),
    (r"(?i)^@(noon|always|5minutes)", "not one of Belfry's named schedules"),
    (r"(?i)\w-\w+#", "d#n marks one weekday, not a range"),
    (r"\b22-24\b", "there is no hour 24"),
    (r"(?i)\bL-\d+W\b", "L-nW: the workday nearest to a day counted from the month's end"),
    (r"(?i)#L\b", "d#L is written dL"),
    (r"(?i)\blast\b", "L is not written out"),
    (r"(?i)\bLW?/\d", "a step on L"),
    (r"(?i)-L\b", "L at the end of a range"),
    (r"(?i)(^|[\s,])L\d", "L before the weekday (L5 for 5L)"),
    (r"\+", "+ before a weekday: both day fields must match"),
    (r"~", "a random value"),
    (r"(^|[\s,])/\d", "a step on nothing"),
    (r",,|(^|\s),|,(\s|$)", "an empty value in a list"),
    (r"(?i)\b(augu|decem|thurs)\b", "names of neither three letters nor all of them"),
    (r"(^|[\s,])-\d", "days counted from the month's end are written L-n"),
]
# Fields that name a zone behind the five.
ZONE = re.compile(r"\s(UTC|[A-Z][a-z]+/[A-Z]\w+|[+-]\d\d:\d\d)$")


def note(vector):
    return vector.get("note", "")


def profile_admits(vector):
    needs = vector.get("needs")
    if needs is None:
        return False
    return all(needs[axis] == "any" or wanted in needs[axis]
               for axis, wanted in (("dom_dow", "or-star-prefix"), ("dst", "vixie")))


def layout_is_ours(vector):
    layout = vector.get("field_layout")
    expr = vector.get("expr", "").split()
    if layout not in (None, "sec min hour dom mon dow"):
        return False
    return not (len(expr) == 6 and vector["dialect"] in ("croniter", "debian-cron-seconds-last") and layout is None)


def weekdays_are_ours(vector):
    """Quartz counts from 1 for Sunday; only names mean the same."""
    if "quartz" not in vector["dialect"]:
        return True
    fields = vector["expr"].split()
    return len(fields) < 5 or not re.search(r"(?<!#)\d", fields[-1])


def days_are_ours(vector):
    """Vectors without `needs`: a day field like */2 beside a restricted one tells the profiles apart."""
    fields = vector["expr"].split()
    if len(fields) not in (5, 6):
        return True
    dom, dow = fields[-3], fields[-1]
    if "AND logic" in note(vector):
        return False
    stepped = any(f.startswith("*") and f != "*" for f in (dom, dow))
    return not (stepped and dom not in "*?" and dow not in "*?")


def years_are_absent(vector):
    return len(vector["expr"].split()) <= 6


def runs_backwards(field):
    return any(int(a) > int(b) for a, b in re.findall(r"(\d+)-(\d+)", field))


def beyond(expr):
    if ZONE.search(expr):
        return "a time zone in the expression"
    fields = expr.split()
    if len(fields) in (5, 6):
        if runs_backwards(fields[-3]):
            return "days of the month do not go round, as in Debian's cron: months differ in length"
        if any("?" in f for f in fields[:-3] + fields[-2:-1]):
            return "? stands in the day fields only"
    return next((why for pattern, why in BEYOND if re.search(pattern, expr.strip())), None)


def choose_next(vectors):
    for v in vectors:
        if "seconds of from are dropped" in note(v) and ":00+" not in v["from"]:
            continue    # asks for the minute before
        if "seed" in v or v.get("options", {}).get("implement_cron_bug") or not profile_admits(v):
            continue
        if layout_is_ours(v) and weekdays_are_ours(v) and years_are_absent(v):
            yield v, beyond(v["expr"])


def choose_match(vectors):
    for v in vectors:
        if layout_is_ours(v) and weekdays_are_ours(v) and days_are_ours(v) and years_are_absent(v):
            yield v, beyond(v["expr"])


# Dialects near Belfry's. Of Cronos, Spring and robfig's only what they refuse: what they take is in cron-next too.
PARSE_DIALECTS = {"debian-cron (cronsim)": (True, False), "cron-utils-unix": (True, False), "croniter": (True, False),
                  "cronos": (False,), "robfig-v3": (False,)}
# (dialect, expression) that Belfry takes though the dialect refuses, or the reverse.
PARSE_DIFFERS = [
    ("debian-cron (cronsim)", r"(?i)^\* \* \* \* MONL$", "a weekday's name may stand before L"),
    ("debian-cron (cronsim)", r"^1 1 \*/100 \* MON#4$", "an expression that never fires is refused"),
    ("cron-utils-unix", r"\?$", "? is taken in the day fields"),
    ("cron-utils-unix", r"^0 0 3[01] 2 \*$", "an expression that never fires is refused"),
    ("croniter", r"^\S+ \S+ 31 2 \*$", "an expression that never fires is refused"),
    ("cronos", r"(?i)SUNDAY", "a weekday may be written out"),
    ("cronos", r"\*/60|\d/(8|13|24|32|60)\b", "a step past the range is taken, as in Debian's cron"),
    ("cronos", r"(?i)1,2W", "nW may stand in a list"),
    ("croniter", r"^0 0 \* \* 5,6#3$", "weekdays and d#n may stand together in a list"),
]


def parse_differs(v):
    for dialect, pattern, why in PARSE_DIFFERS:
        if v["dialect"] == dialect and re.search(pattern, v["expr"].strip()):
            return why
    return beyond(v["expr"]) if v["valid"] else None


def choose_parse(vectors):
    for v in vectors:
        if v["valid"] not in PARSE_DIALECTS.get(v["dialect"], ()) or "hash_id" in v.get("options", {}):
            continue
        fields = v["expr"].split()
        if v["valid"] and (len(fields) > 6 or (v["dialect"] == "croniter" and len(fields) == 6)):
            continue    # years, and seconds that stand last
        yield v, parse_differs(v)


EQUAL_DIALECTS = ("cronos", "ncrontab", "croner-rust", "fugit", "croncpp-standard", "spring-legacy")


def choose_equal(vectors):
    for v in vectors:
        if v["dialect"] in EQUAL_DIALECTS and years_are_absent(v):
            quirk = "a/n goes on to the field's end" if v["expr"] == "0 0 * * 3/2" else None
            yield v, quirk or beyond(v["expr"]) or beyond(v.get("other", ""))


def write(folder, name, choose):
    whole = json.loads((folder / name).read_text())
    chosen = []
    for vector, differs in choose(whole["vectors"]):
        chosen.append(dict(vector, differs=differs) if differs else vector)
    out = {key: whole[key] for key in KEPT if key in whole}
    head = json.dumps(dict(out, count=len(chosen)), ensure_ascii=False, indent=1)[:-2]
    lines = ",\n".join(json.dumps(v, ensure_ascii=False) for v in chosen)
    (HERE / name).write_text(f'{head},\n "vectors": [\n{lines}\n]}}\n')
    print(f"{name}: {len(chosen)} of {len(whole['vectors'])}, {sum('differs' in v for v in chosen)} differ")


def main():
    folder = pathlib.Path(sys.argv[1])
    write(folder, "cron-next.json", choose_next)
    write(folder, "cron-match.json", choose_match)
    write(folder, "cron-parse.json", choose_parse)
    write(folder, "cron-equal.json", choose_equal)


if __name__ == "__main__":
    main()
