"""How cost grows: with threads, image size, depth, batch, recipes and images. What docs/scaling.svg shows."""

import statistics

from benchmarks import data, program
from benchmarks.common import Case, Measure, Skip, in_turns, ratio_row
from benchmarks.names import title
from benchmarks.tables.recipes import GRIDS
from benchmarks.tables.selection import busy, region_perturbation, select, space

TITLE = "Scaling"
ABOUT = ("Two threads against one; then cost against one size at a time ([chart](scaling.svg)): each ratio is the cost per unit (pixel, layer, image, recipe) at the largest size "
         "against that at the smallest, so that 1 is linear growth. heatproof on both sides.")


def thread_rows(plan, network):
    """One thread against two."""
    if plan.threads < 2:
        raise Skip("one core only")
    model = data.network(network)
    recipe, repeats = "lrp_epsilon_plus", 1 if plan.smoke else 7
    results = {t: [] for t in (1, 2)}
    for _ in range(plan.few()):
        for t, found in results.items():
            found.append(program.bench(plan, model, recipe, repeats=repeats, threads=t))
    rows = []
    for what, measure in (("forward pass", program.forward), (f"`{recipe}`", program.explanation)):
        rows.append(ratio_row(f"threads {network} {what}", f"{title(network)}, {what}, 2 threads", "1 thread", [measure(r) for r in results[2]],
                              [measure(r) for r in results[1]], target=1 / 1.8))
    return rows


def select_rows(plan, network):
    """The same for a whole selection."""
    if plan.threads < 2:
        raise Skip("one core only")
    patch, regions, n = (8, 4, 2) if plan.smoke else (16, 32, 4)
    _, images = data.images(n, plan.size)
    _, targets = data.targets(n)
    text = space(["lrp_epsilon_plus", "uniform"], region_perturbation(patch, regions, "morf"), [])
    two, one = in_turns(plan.few(), lambda: select(plan, network, images, targets, text, threads=2),
                        lambda: select(plan, network, images, targets, text, threads=1))
    return [ratio_row(f"threads {network} select", f"{title(network)}, `select`, 2 threads", "1 thread", two, one, target=1 / 1.8, note=busy(plan, two))]


def growth(key, work, unit, sizes, measures):
    """A row of one kind of size: the ratio is per unit, the largest against the smallest; the chart reads the note."""
    per = lambda size: [Measure(m.ms / size, m.peak_mb) for m in measures[size]]  # noqa: E731
    total = {size: statistics.median(m.ms for m in measures[size]) for size in sizes}
    row = ratio_row(f"growth {key}", work, f"{sizes[0]} {unit}", per(sizes[-1]), per(sizes[0]))
    row.ours_ms, row.peer_ms = total[sizes[-1]], total[sizes[0]]
    row.note = "ms: " + ", ".join(f"{size} {unit}: {ms:.1f}" for size, ms in total.items())
    return [row]


def sweep(plan, sizes, measure):
    """size → Measures, taken in turns."""
    return dict(zip(sizes, in_turns(plan.few(), *[lambda s=s: measure(s) for s in sizes])))


def repeats(plan):
    return 1 if plan.smoke else 5


def image_size_rows(plan, network):
    sides = [16, 32] if plan.smoke else [112, 160, 224, 320]
    model = data.network(f"{network}_any")
    bench = lambda pixels: program.bench(plan, model, "lrp_epsilon_plus", repeats=repeats(plan), more=["--size", round(pixels**0.5)])  # noqa: E731
    sizes = [s * s for s in sides]
    measures = sweep(plan, sizes, lambda s: program.explanation(bench(s)))
    return growth("pixels", f"{title(network)}, `lrp_epsilon_plus`, {sides[-1]}×{sides[-1]}, per pixel", "pixels", sizes, measures)


def depth_rows(plan, _):
    depths = [2, 4] if plan.smoke else [4, 8, 16, 32]
    bench = lambda depth: program.bench(plan, data.network(f"chain{depth}"), "lrp_epsilon_plus", repeats=repeats(plan))  # noqa: E731
    return growth("layers", f"{depths[-1]} convolutions 3×3 of 64 channels, `lrp_epsilon_plus`, per layer", "layers", depths,
                  sweep(plan, depths, lambda s: program.explanation(bench(s))))


def batch_rows(plan, network):
    batches = [1, 2] if plan.smoke else [1, 2, 4, 8, 16]
    bench = lambda batch: program.bench(plan, data.network(network), "lrp_epsilon_plus", batch=batch, repeats=3)  # noqa: E731
    return growth("batch", f"{title(network)}, `lrp_epsilon_plus`, batch {batches[-1]}, per image", "in a batch", batches,
                  sweep(plan, batches, lambda s: program.explanation(bench(s))))


def recipe_rows(plan, network):
    counts = [1, 2] if plan.smoke else [1, 2, 5, 10]
    name, _, rest = GRIDS[0].partition("gamma=")
    gammas, _, box = rest.partition(",")
    grid = lambda n: f"{name}gamma={'/'.join(gammas.split('/')[:n])},{box}"  # noqa: E731
    bench = lambda n: program.bench(plan, data.network(network), grid(n), repeats=3)  # noqa: E731
    return growth("recipes", f"{title(network)}, {counts[-1]} values of γ, per recipe", "recipes", counts, sweep(plan, counts, lambda s: program.explanation(bench(s))))


def image_rows(plan, network):
    """A whole evaluation; the peak of memory must not grow with the images."""
    counts = [2, 4] if plan.smoke else [4, 8, 16, 32]
    patch = 8 if plan.smoke else 16

    def evaluate(n):
        _, images = data.images(n, plan.size)
        return program.run(plan, "evaluate", data.network(network), images, "--recipe", "lrp_epsilon_plus", "--metric", region_perturbation(patch, 4, "morf"))
    measures = sweep(plan, counts, evaluate)
    rows = growth("images", f"{title(network)}, `evaluate` of {counts[-1]} images, per image", "images", counts, measures)
    rows[0].note += "; peak MB: " + ", ".join(f"{n}: {max(m.peak_mb for m in measures[n]):.0f}" for n in counts)
    return rows


def explained_rows(plan, network):
    """Many explanations: inputs are read a few at a time, so that the peak stays where it is."""
    counts = [2, 40] if plan.smoke else [16, 64, 256]

    def explain(n):
        _, images = data.images(n, plan.size)
        return program.run(plan, "explain", data.network(network), images, "--recipe", "lrp_epsilon_plus")
    measures = sweep(plan, counts, explain)
    rows = growth("explained", f"{title(network)}, `explain` of {counts[-1]} images, per image", "images", counts, measures)
    rows[0].note += "; peak MB: " + ", ".join(f"{n}: {max(m.peak_mb for m in measures[n]):.0f}" for n in counts)
    return rows


def cases(plan) -> list[Case]:
    found = [Case(f"{n} threads", lambda p, n=n: thread_rows(p, n)) for n in plan.networks(["resnet18", "resnet50", "vgg16"])]
    network = plan.networks(["resnet18"])[0]
    for name, rows in (("threads of select", select_rows), ("pixels", image_size_rows), ("layers", depth_rows), ("batch", batch_rows), ("recipes", recipe_rows),
                       ("images", image_rows), ("explained images", explained_rows)):
        found.append(Case(name, lambda p, r=rows: r(p, network)))
    return found
