"""docs/scaling.svg: cost against one size at a time."""

import re

TITLES = {"pixels": "image size", "layers": "depth", "batch": "batch", "recipes": "recipes at once", "images": "images of evaluate"}


def points(note):
    """[(size, ms)] of the note of a row of the table `scaling`."""
    return [(int(size), float(ms)) for size, ms in re.findall(r"(\d+) [a-z ]+: ([0-9.]+)", note.partition(";")[0])]


def draw(rows, path):
    import matplotlib
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "heatproof"  # the same bytes for the same rows
    from matplotlib import pyplot
    growth = [row for row in rows if row.key.startswith("growth ")]
    figure, axes = pyplot.subplots(1, max(1, len(growth)), figsize=(3 * max(1, len(growth)), 2.8), squeeze=False)
    for axis, row in zip(axes[0], growth):
        sizes, times = zip(*points(row.note))
        axis.plot(sizes, times, "o-", color="#c0392b", label="measured")
        axis.plot(sizes, [times[0] * s / sizes[0] for s in sizes], "--", color="#888888", label="in proportion")
        kind = row.key.removeprefix("growth ")
        axis.set_title(TITLES.get(kind, kind), fontsize=10)
        axis.set_xlabel(kind, fontsize=8)
        axis.set_ylabel("ms", fontsize=8)
        axis.set_ylim(bottom=0)
        axis.tick_params(labelsize=7)
    axes[0][0].legend(fontsize=7, frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
