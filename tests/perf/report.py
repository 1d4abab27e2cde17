"""The results as Markdown with tables, and the charts that belong to it."""
import os

import chart
import targets
from figures import best_peer, groups, summary, trouble
from plan import TITLES

MARK = "<!-- results of the bench: %s -->"


def table(head, rows):
    align = "|".join("---" if index == 0 else "---:" for index in range(len(head)))
    return "\n".join(["| %s |" % " | ".join(head), "|%s|" % align, *("| %s |" % " | ".join(row) for row in rows)]) + "\n"


def targets_table(results):
    lines = [[str(cell) for cell in row] for row in targets.rows(results)]
    return "| what | wanted | measured | | beside it |\n|---|---|---|---|---|\n" + "".join("| %s |\n" % " | ".join(line) for line in lines)


def row_of(entry, best):
    figures, note = summary(entry), trouble(entry)
    if not figures:
        return [entry["tool"], "", "", "", "", "", "", note]
    return [entry["tool"] if entry["peer"] else "**%s**" % entry["tool"], "%.0f" % (entry["size"] / 1e6), "%.1f (%.1f–%.1f)" % (
        figures["rate"], figures["slowest"], figures["fastest"]), "{:,.0f}".format(figures["documents"]), "%.2f" % figures["cpu"],
        "%.0f" % figures["rss"], "%.2f×" % (figures["rate"] / best[1]) if best else "", note]


HEAD = ["tool", "MB", "MB/s (slowest–fastest)", "documents/s", "CPU s/GB", "RSS MiB", "of the best peer", "note"]
RECEIVERS = {"sink": "Into the sink", "node": "Into a real node"}
PACKED = {"": "", "gz": ", gzip", "zst": ", zstd"}


def comparisons(entries):
    parts, last = [], None
    for (receiver, file, compression), group in groups([entry for entry in entries if "label" not in entry]):
        if receiver != last:
            parts.append("## %s\n" % RECEIVERS[receiver])
            last = receiver
        parts.append("### %s%s\n" % (TITLES[file], PACKED[compression]))
        best = best_peer(group)
        parts.append(table(HEAD, [row_of(entry, best) for entry in group]))
    return parts


def long_loads(entries):
    rows = []
    for entry in entries:
        figures = summary(entry)
        if entry.get("label", "tuning") == "tuning":
            continue
        if figures:
            rows.append([entry["label"], "%.0f" % (entry["size"] / 1e6), "%.2f" % (entry["size"] / 1e6 / figures["rate"]), "%.0f" % figures["rate"],
                         "%.2f" % figures["cpu"], "%.0f" % figures["rss"], trouble(entry)])
        else:
            rows.append([entry["label"], "%.0f" % (entry["size"] / 1e6), "", "", "", "", trouble(entry)])
    return ["## Longer and more files\n", table(["300-byte NDJSON into the sink", "MB", "s", "MB/s", "CPU s/GB", "RSS MiB", "note"], rows)] if rows else []


def tuning(entries):
    """Ours with other options, each against the first of its file."""
    rows = []
    for (_, file, _), group in groups([entry for entry in entries if entry.get("label") == "tuning"]):
        for entry in group:
            figures = summary(entry)
            if figures:
                rows.append(["%s: %s" % (TITLES[file], entry["tool"].partition(", ")[2]), "{:,.0f}".format(figures["documents"]), "%.1f (%.1f–%.1f)" % (
                    figures["rate"], figures["slowest"], figures["fastest"]), "%.2f" % figures["cpu"], "%.0f" % figures["rss"], trouble(entry)])
    return ["## Workers and size of a request, real node\n", table(["", "documents/s", "MB/s", "CPU s/GB", "RSS MiB", "note"], rows)] if rows else []


def parsers(results):
    text = results.get("parsers")
    return ["## Parsers alone\n", "In memory, no network, CPU time.\n\n```text\n%s\n```\n" % text.strip()] if text else []


def about(results):
    lines = ["- %s: %s" % pair for pair in results["machine"].items()]
    if results.get("load", 0) > 1.5:
        lines.append("- **other work ran on the machine** (load average %.1f when it began): seconds and ratios are not to be relied on, CPU a GB and "
                     "memory are steadier" % results["load"])
    lines += ["- left out: %s (%s)" % pair for pair in results["missing"].items()]
    return "\n".join(lines) + "\n"


def markdown(results, pictures):
    parts = ["# Results of the bench, %s\n" % results["date"],
             "Written by `make bench`; [how it is measured](../performance.md) is explained beside the tuning guide.\n", about(results),
             "## Against the targets\n", targets_table(results), *("![%s](%s)\n" % (title, name) for name, title in pictures)]
    return "\n".join(parts + comparisons(results["entries"]) + long_loads(results["entries"]) + tuning(results["entries"]) + parsers(results))


def bar_groups(entries, receiver, figure):
    found = []
    for (where, file, compression), group in groups([entry for entry in entries if "label" not in entry]):
        rows = []
        for entry in group:
            figures = summary(entry)
            if where == receiver and not compression and figures:
                factor = figures[figure] / figures["rate"]
                rows.append((entry["tool"], figures[figure], figures["slowest"] * factor, figures["fastest"] * factor, not entry["peer"]))
        if rows:
            found.append((TITLES[file], rows))
    return found


def charts(results):
    """[(file name, title, svg)]"""
    entries, found = results["entries"], []
    for name, receiver, figure, unit, title in (
            ("sink.svg", "sink", "rate", "MB/s", "Loading into a sink that costs nothing (more is better)"),
            ("node.svg", "node", "documents", "documents/s", "Loading into a real node on the same cores (more is better)")):
        bars = bar_groups(entries, receiver, figure)
        if bars:
            found.append((name, title, chart.bars(title, bars, unit)))
    points = [(entry["size"] / 1e6, entry["size"] / 1e6 / summary(entry)["rate"]) for entry in entries
              if entry.get("label", "").endswith("MB") and summary(entry)]
    if len(points) > 1:
        title = "Seconds for a load by size of the file, 300-byte NDJSON into the sink"
        found.append(("curve.svg", title, chart.curve(title, points)))
    return found


def write(results, folder):
    """results.md and the charts. Returns the files."""
    os.makedirs(folder, exist_ok=True)
    drawn = charts(results)
    texts = {"results.md": markdown(results, [(name, title) for name, title, _ in drawn]), **{name: svg for name, _, svg in drawn}}
    for name, text in texts.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
            out.write(text)
    return [os.path.join(folder, name) for name in texts]


def put_into(page, results):
    """The table of targets between its marks in docs/performance.md."""
    with open(page, encoding="utf-8") as file:
        before, begin, rest = file.read().partition(MARK % "begin")
    _, end, after = rest.partition(MARK % "end")
    if not begin or not end:
        raise SystemExit("bench: error: %s has no place for results" % page)
    with open(page, "w", encoding="utf-8") as out:
        out.write("%s%s\n\nMeasured %s:\n\n%s\n%s\n%s%s" % (before, begin, results["date"], about(results), targets_table(results), end, after))
