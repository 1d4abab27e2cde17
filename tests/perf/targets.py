"""What the bench should reach, held against what was measured."""
from figures import best_peer, groups, ratios, summary, trouble

MEMORY, ANSWER = 128, 50  # MiB, ms


def group_of(entries, receiver, file):
    return dict(groups([entry for entry in entries if "label" not in entry])).get((receiver, file, ""), [])


def ours_of(group, exactly_once=True):
    return next((entry for entry in group if not entry["peer"] and summary(entry)
                 and entry["tool"].endswith("exactly_once false") != exactly_once), None)


def verdict(good):
    return "reached" if good else "**missed**"


def others(entry, group):
    return ", ".join("%s %.2f×" % pair for pair in ratios(entry, group)[1:])


def ratio_row(entries, receiver, file, label, wanted, exactly_once=True):
    group = group_of(entries, receiver, file)
    entry, best = ours_of(group, exactly_once), best_peer(group)
    if not entry or not best:
        return []
    ours, theirs = summary(entry), next(summary(other) for other in group if other["tool"] == best[0])
    ratio = ours["rate"] / best[1]
    measured = "%.2f× (%s), for %.2f of its CPU" % (ratio, best[0], ours["cpu"] / theirs["cpu"])
    return [(label, "≥ %g× the best peer" % wanted, measured, verdict(ratio >= wanted), others(entry, group))]


def speed(entries):
    entry = ours_of(group_of(entries, "sink", "log.ndjson"))
    if not entry:
        return []
    ours = summary(entry)
    longer = ["%s: %.0f MB/s" % (one["label"], summary(one)["rate"]) for one in entries if one.get("label") in ("1000 MB", "4000 MB") and summary(one)]
    return [("300-byte NDJSON, sink", "≥ 500 MB/s", "%.0f MB/s" % ours["rate"], verdict(ours["rate"] >= 500), ", ".join(longer)),
            ("300-byte NDJSON, sink", "≤ 1.5 CPU s/GB", "%.2f CPU s/GB" % ours["cpu"], verdict(ours["cpu"] <= 1.5), "")]


def memory(entries):
    all_ours = [entry for entry in entries if not entry["peer"] and summary(entry) and entry.get("label") != "tuning"]
    if not all_ours:
        return []
    worst = max(all_ours, key=lambda entry: summary(entry)["rss"])
    rows = [("memory, all loads", "≤ %d MiB" % MEMORY, "%.0f MiB" % summary(worst)["rss"], verdict(summary(worst)["rss"] <= MEMORY),
             "the largest: %s, %s" % (" ".join(filter(None, (worst["file"], worst["compression"]))), worst["receiver"]))]
    labelled = {entry["label"]: summary(entry)["rss"] for entry in all_ours if "label" in entry}
    short, long = labelled.get("100 MB"), labelled.get("4000 MB")
    if short and long:
        rows.append(("memory, 100 MB and 4 GB", "the same", "%.0f and %.0f MiB" % (short, long), verdict(long <= short * 1.25), ""))
    for label, rss in labelled.items():
        if label.endswith("files") and short:
            rows.append(("memory, 1 file and " + label, "the same", "%.0f and %.0f MiB" % (short, rss), verdict(rss <= short * 1.25), "about 100 MB either way"))
    return rows


def linear(entries):
    """The cost of another GB between the longer loads, against the shorter ones: start-up drops out."""
    points = {}
    for entry in entries:
        if "label" in entry and summary(entry):
            gigabytes = entry["size"] / 1e9
            points[entry["label"]] = (gigabytes, gigabytes * 1000 / summary(entry)["rate"], gigabytes * summary(entry)["cpu"])
    marks = [points.get(label) for label in ("100 MB", "1000 MB", "4000 MB")]
    if not all(marks):
        return []
    (first, last), (first_cpu, last_cpu) = ([(b[at] - a[at]) / (b[0] - a[0]) for a, b in zip(marks, marks[1:])] for at in (1, 2))
    return [("cost curve", "linear to 4 GB", "%.2f s/GB from 0.1 to 1 GB, %.2f s/GB from 1 to 4 GB" % (first, last), verdict(last <= first * 1.25),
             "CPU %.2f and %.2f s/GB" % (first_cpu, last_cpu))]


def rows(results):
    entries = results["entries"]
    found = speed(entries)
    found += ratio_row(entries, "sink", "log.ndjson", "300-byte NDJSON, sink", 8)
    found += ratio_row(entries, "sink", "articles.ndjson", "2 KB NDJSON, sink", 3)
    found += ratio_row(entries, "sink", "products.csv", "CSV with types, sink", 8)
    for file in ("log.ndjson", "articles.ndjson", "places.ndjson", "articles.json", "products.json", "products.csv"):
        found += ratio_row(entries, "node", file, file + ", real node", 1.05)
        found += ratio_row(entries, "node", file, file + ", real node, exactly_once false", 1.2, exactly_once=False)
    found += memory(entries) + linear(entries)
    answers = results.get("answering")
    if answers:
        found.append(("`os_jobs` asked from another process during a load", "< %d ms" % ANSWER, "%.1f ms the longest of %d" % (
            answers["longest"], answers["asked"]), verdict(answers["longest"] < ANSWER), "median %.1f ms, 99 %% below %.1f ms" % (answers["median"], answers["p99"])))
    wrong = [entry for entry in entries if not entry["peer"] and not entry["unfit"] and trouble(entry)]
    found.append(("documents that arrived, ours", "all, once", "%d of %d loads" % (
        sum(len(entry["runs"]) for entry in entries if not entry["peer"] and not trouble(entry)),
        sum(len(entry["runs"]) for entry in entries if not entry["peer"])), verdict(not wrong), ""))
    return found
