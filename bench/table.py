"""The table that a measurement prints and the report keeps."""


class Table:
    """Rows as they come: what, Brim, redis-server, bar, verdict."""

    TITLE = ("measured", "Brim", "redis-server", "bar", "")

    def __init__(self):
        self.rows, self.missed = [], 0

    def add(self, what, ours, theirs="", bar="", met=None):
        verdict = "" if met is None else "pass" if met else "MISS"
        self.missed += met is False
        row = tuple(str(x) for x in (what, ours, theirs, bar, verdict))
        self.rows.append(row)
        print(f"{row[0]:44s} {row[1]:>18s} {row[2]:>18s} {row[3]:>18s} {row[4]}", flush=True)

    def at_most(self, what, ours, theirs, bar, unit=""):
        self.add(what, f"{ours:,}{unit}", f"{theirs:,}{unit}" if theirs != "" else "", f"<= {bar}{unit}", ours <= bar)

    def markdown(self):
        lines = ["| " + " | ".join(self.TITLE) + " |", "|---|--:|--:|--:|---|"]
        return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in self.rows])
