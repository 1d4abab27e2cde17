"""From the runs to the figures of the report: medians, spread, and how tools compare."""
import statistics


def summary(entry):
    """What a row of a table says; None when the tool did not run."""
    runs = [run for run in entry["runs"] if not run["fault"]]
    if not runs:
        return None
    megabytes, documents = entry["size"] / 1e6, entry["documents"]
    seconds = statistics.median(run["seconds"] for run in runs)
    return {"rate": megabytes / seconds, "slowest": megabytes / max(run["seconds"] for run in runs),
            "fastest": megabytes / min(run["seconds"] for run in runs), "documents": documents / seconds,
            "cpu": statistics.median(run["cpu"] for run in runs) / megabytes * 1000, "rss": max(run["rss"] for run in runs),
            "rounds": len(runs)}


def trouble(entry):
    """What a reader has to know about an entry: it did not fit, failed, lost or doubled documents."""
    if entry["unfit"]:
        return "n/a: " + entry["unfit"]
    notes = sorted({run["fault"] for run in entry["runs"] if run["fault"]})
    counts = sorted({run["arrived"] for run in entry["runs"] if run["arrived"] != entry["documents"]})
    if counts:
        notes.append("delivered %s of %d documents" % (", ".join(map(str, counts)), entry["documents"]))
    return "; ".join(notes)


def groups(entries):
    """[((receiver, file, compression), [entries])] in the order of measuring."""
    found = {}
    for entry in entries:
        found.setdefault((entry["receiver"], entry["file"], entry["compression"]), []).append(entry)
    return list(found.items())


def best_peer(group):
    """(name, MB/s) of the fastest peer that delivered everything, or None."""
    sound = [(summary(entry)["rate"], entry["tool"]) for entry in group if entry["peer"] and summary(entry) and not trouble(entry)]
    return max(sound)[::-1] if sound else None


def ratios(entry, group):
    """[(peer, how many times its speed)], the fastest peer first."""
    ours, found = summary(entry), []
    for other in group:
        theirs = summary(other) if other["peer"] and not trouble(other) else None
        if ours and theirs:
            found.append((other["tool"], ours["rate"] / theirs["rate"]))
    return sorted(found, key=lambda pair: pair[1])
