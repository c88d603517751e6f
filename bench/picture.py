#!/usr/bin/python3
"""Draw resident memory over time. usage: picture.py SAMPLES.csv OUT.svg [LIMIT BYTES]

Samples are lines of seconds,server,pss_bytes under such a header. Each server becomes a line with its peak marked;
the limit (300 MB when not given) a dashed one.
"""

import csv
import math
import sys
from xml.sax.saxutils import escape

MB, LIMIT = 1 << 20, 300 << 20
WIDTH, HEIGHT = 960, 500
LEFT, RIGHT, TOP, BOTTOM = 80, 30, 100, 64
FONT = "system-ui, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif"
COLORS = ("#0b6e4f", "#c1440e", "#3459a6", "#7a4a9c")  # in the order in which the servers come
INK, FAINT, LIMIT_COLOR = "#222222", "#dddddd", "#8a1538"


def read_samples(path):
    """{server: [(seconds, bytes), ...]} in the order of the file."""
    out = {}
    with open(path, newline="") as f:
        for row in csv.DictReader(f):
            out.setdefault(row["server"], []).append((float(row["seconds"]), int(row["pss_bytes"])))
    return out


def step_of(span, parts):
    """A round step (1, 2 or 5 times a power of ten) that divides the span into about so many parts."""
    rough = span / parts
    power = 10 ** math.floor(math.log10(rough))
    return next(power * m for m in (1, 2, 5, 10) if power * m >= rough)


class Drawing:
    """An SVG in the coordinates of the data: seconds to the right, megabytes up."""

    def __init__(self, seconds, megabytes):
        self.seconds, self.megabytes, self.parts = seconds, megabytes, []

    def x(self, seconds):
        return LEFT + seconds / self.seconds * (WIDTH - LEFT - RIGHT)

    def y(self, megabytes):
        return HEIGHT - BOTTOM - megabytes / self.megabytes * (HEIGHT - TOP - BOTTOM)

    def line(self, x1, y1, x2, y2, color, width=1.0, dash=""):
        dash = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{color}" '
                          f'stroke-width="{width}"{dash}/>')  # fmt: skip

    def text(self, x, y, words, size=15, anchor="start", color=INK, more=""):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
                          f'fill="{color}"{more}>{escape(words)}</text>')  # fmt: skip

    def curve(self, points, color):
        path = " ".join(f"{self.x(s):.1f},{self.y(b / MB):.1f}" for s, b in points)
        self.parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2.5" '
                          f'stroke-linejoin="round"/>')  # fmt: skip

    def dot(self, x, y, color):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{color}" stroke="white" stroke-width="1.5"/>')

    def axes(self):
        right, floor = WIDTH - RIGHT, self.y(0)
        step = step_of(self.megabytes, 8)
        for i in range(int(self.megabytes / step) + 1):
            y = self.y(i * step)
            self.line(LEFT, y, right, y, INK if i == 0 else FAINT)
            self.text(LEFT - 10, y + 5, f"{i * step:g}", anchor="end")
        step = step_of(self.seconds, 8)
        for i in range(int(self.seconds / step) + 1):
            x = self.x(i * step)
            self.line(x, floor, x, floor + 6, INK)
            self.text(x, floor + 24, f"{i * step:g}", anchor="middle")
        self.line(LEFT, self.y(self.megabytes), LEFT, floor, INK)
        self.text((LEFT + right) / 2, HEIGHT - 14, "seconds", anchor="middle")
        middle = (self.y(self.megabytes) + floor) / 2
        self.text(24, middle, "resident, MB", anchor="middle", more=f' transform="rotate(-90 24 {middle:.1f})"')

    def svg(self, title):
        body = "\n".join(self.parts)
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
                f'height="{HEIGHT}" font-family="{FONT}" role="img">\n<title>{escape(title)}</title>\n'
                f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n')  # fmt: skip


def draw(samples, limit=LIMIT, title="Resident memory under churn of shifting value sizes"):
    """The SVG's text."""
    seconds = max(s for points in samples.values() for s, _ in points)
    top = max(limit, *(b for points in samples.values() for _, b in points)) / MB * 1.08
    out = Drawing(max(seconds, 1e-3), top)
    out.text(LEFT, 32, title, 20, more=' font-weight="600"')
    out.axes()
    out.line(LEFT, out.y(limit / MB), WIDTH - RIGHT, out.y(limit / MB), LIMIT_COLOR, 2, "8 5")
    x = LEFT
    entries = [(name, COLORS[i % len(COLORS)], "") for i, name in enumerate(samples)]
    for i, (name, points) in enumerate(samples.items()):
        when, peak = max(points, key=lambda point: point[1])
        out.curve(points, entries[i][1])
        out.dot(out.x(when), out.y(peak / MB), entries[i][1])
        words = f"{name}: peak {peak / MB:.0f} MB, {peak / limit:.2f} × maxmemory"
        entries[i] = (words, entries[i][1], "")
    entries.append((f"maxmemory {limit / MB:.0f} MB", LIMIT_COLOR, "8 5"))
    for words, color, dash in entries:
        out.line(x, 62, x + 24, 62, color, 2.5, dash)
        out.text(x + 32, 67, words, 14)
        x += 54 + 6.9 * len(words)  # about as wide as it is in these fonts
    return out.svg(title)


if __name__ == "__main__":
    limit_ = int(sys.argv[3]) if len(sys.argv) > 3 else LIMIT
    with open(sys.argv[2], "w") as svg:
        svg.write(draw(read_samples(sys.argv[1]), limit_))
