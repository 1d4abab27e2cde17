"""Charts as SVG, written by hand: bars for comparisons, a line for the cost curve. Text stays text."""
import math
from xml.sax.saxutils import escape

FONT = "font-family='DejaVu Sans, Verdana, Arial, sans-serif'"
OURS, PEER, INK, FAINT = "#0b62a4", "#b8b2a7", "#222222", "#dddddd"
WIDTH, NAMES, BAR, GAP = 860, 290, 18, 5


def text(x, y, words, size=13, anchor="start", weight="normal", color=INK):
    return "<text x='%.1f' y='%.1f' font-size='%d' text-anchor='%s' font-weight='%s' fill='%s' %s>%s</text>" % (
        x, y, size, anchor, weight, color, FONT, escape(words))


def picture(title, height, parts):
    return "\n".join(["<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %d %d' width='%d' height='%d' role='img' aria-label='%s'>" % (
        WIDTH, height, WIDTH, height, escape(title, {"'": "&apos;"})), "<title>%s</title>" % escape(title),
        "<rect width='%d' height='%d' fill='#ffffff'/>" % (WIDTH, height), text(16, 28, title, 17, weight="bold"), *parts, "</svg>", ""])


def short(value):
    return "{:,.0f}".format(value) if value >= 100 else "%.1f" % value


def bars(title, groups, unit):
    """groups: [(heading, [(name, middle, low, high, ours?)])]; each group has a scale of its own."""
    parts, y = [], 44
    for heading, rows in groups:
        y += 24
        parts.append(text(16, y, heading, 14, weight="bold"))
        y += 8
        scale = (WIDTH - NAMES - 150) / max(high for _, _, _, high, _ in rows)
        for name, middle, low, high, ours in rows:
            parts.append("<rect x='%d' y='%d' width='%.1f' height='%d' fill='%s'/>" % (NAMES, y, max(1, middle * scale), BAR, OURS if ours else PEER))
            for colour, thickness in (("#ffffff", 5), (INK, 1.5)):  # the spread, seen on the bar as well
                parts.append("<path d='M%.1f %.1fH%.1f' stroke='%s' stroke-width='%s'/>" % (
                    NAMES + low * scale, y + BAR / 2, NAMES + max(high, low + 1 / scale) * scale, colour, thickness))
            parts.append(text(NAMES - 8, y + 14, name, 13, "end"))
            parts.append(text(NAMES + high * scale + 8, y + 14, "%s %s" % (short(middle), unit), 13))
            y += BAR + GAP
    return picture(title, y + 14, parts)


def curve(title, points):
    """points: [(megabytes, seconds)]; both axes logarithmic, so that what is proportional is a line at 45 degrees."""
    left, top, bottom, right = 80, 50, 420, WIDTH - 40
    decades = [math.floor(math.log10(min(value for _, value in points))), math.ceil(math.log10(max(value for _, value in points)))]
    span = [math.floor(math.log10(points[0][0])), math.ceil(math.log10(points[-1][0]))]

    def place(megabytes, seconds):
        return (left + (math.log10(megabytes) - span[0]) / (span[1] - span[0]) * (right - left),
                bottom - (math.log10(seconds) - decades[0]) / (decades[1] - decades[0]) * (bottom - top))

    parts = []
    for power in range(decades[0], decades[1] + 1):
        y = place(points[0][0], 10.0**power)[1]
        parts += ["<path d='M%d %.1fH%d' stroke='%s'/>" % (left, y, right, FAINT), text(left - 8, y + 5, "%g s" % 10.0**power, 13, "end")]
    for power in range(span[0], span[1] + 1):
        x = place(10.0**power, 1)[0]
        parts += ["<path d='M%.1f %dV%d' stroke='%s'/>" % (x, top, bottom, FAINT), text(x, bottom + 20, "{:,.0f} MB".format(10.0**power), 13, "middle")]
    placed = [place(*point) for point in points]
    parts.append("<polyline points='%s' fill='none' stroke='%s' stroke-width='2'/>" % (" ".join("%.1f,%.1f" % spot for spot in placed), OURS))
    for (x, y), (megabytes, seconds) in zip(placed, points):
        parts.append("<circle cx='%.1f' cy='%.1f' r='4' fill='%s'/>" % (x, y, OURS))
        parts.append(text(x + 10, y + 18, "%s MB/s" % short(megabytes / seconds), 12) if x < right - 80 else
                     text(x - 10, y - 10, "%s MB/s" % short(megabytes / seconds), 12, "end"))
    return picture(title, bottom + 40, parts)
