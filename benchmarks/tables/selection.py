"""Choosing the best explanation: recipes × images × orders of perturbation, as a whole."""

import json
import shutil
import tempfile

import numpy as np

from benchmarks import data, program
from benchmarks.common import Case, Skip, Worker, agree, distance, in_turns, ratio_row
from benchmarks.names import title

TITLE = "Selection as a whole"
ABOUT = ("Three composites × 4 images × 32 regions of 16×16 × (MoRF, LeRF). heatproof: `select` as a user runs it, in whole processes, with loading, compiling, statistics and the "
         "report, and with the control `uniform`, which every selection contains (4 recipes instead of 3). PnPXAI: `optimize` of LRPEpsilonPlus by AbPC, 5 trials × 4 images × "
         "10 steps × 2 orders, pixels becoming 0; heatproof's ten steps remove the same pixels except for the last, which PnPXAI lets remove all that is left.")
RECIPES = ["lrp_epsilon_plus", "lrp_epsilon_gamma_box:low=-3,high=3", "lrp_epsilon_alpha2_beta1_flat"]


def space(recipes, objective, diagnostics):
    """A search space as TOML."""
    return f"recipes = {json.dumps(recipes)}\nobjective = {json.dumps(objective)}\ndiagnostics = {json.dumps(diagnostics)}\nheld_back = 0\n"


def select(plan, network, images, targets, text, threads=None):
    """Measure of one `heatproof select`; its value: the JSON."""
    folder = tempfile.mkdtemp(prefix="selection", dir=data.WORK)
    try:
        with open(f"{folder}/space.toml", "w") as file:
            file.write(text)
        m = program.run(plan, "select", data.network(network), images, "--target", targets, "--space", f"{folder}/space.toml", "--out", f"{folder}/out",
                        threads=threads)
        return m
    finally:
        shutil.rmtree(folder)


def busy(plan, measures):
    return f"cores {100 * max(m.cpu_ms / m.ms for m in measures) / plan.threads:.0f} % busy, loading and compiling included"


def region_perturbation(patch, regions, order):
    return f"region_perturbation:patch_size={patch},order={order},regions_evaluation={regions},perturb_baseline=0,normalise=none"


def check(plan, network, images, targets, patch, regions, maps, curves):
    """The same curves, recipe by recipe, for zennit's attributions: the largest distance. And the distance where both start from their own attributions, which is larger
    where rounding lets two patches change places (the table of explanations tells how far zennit's own precisions are apart)."""
    same, own = [], []
    for recipe in RECIPES:
        attributions = data.saved("zennit", maps[recipe])
        for order in ("morf", "lerf"):
            curve, what = curves[f"{recipe} {order}"], f"curves of {recipe}, {order}"
            evaluate = lambda *source: program.run(plan, "evaluate", data.network(network), images, *source, "--target", targets, "--metric",  # noqa: E731
                                                   region_perturbation(patch, regions, order)).value["curves"]
            same.append(agree(evaluate("--attributions", attributions), curve, what))
            own.append(distance(evaluate("--recipe", recipe), curve))
    return max(same), max(own)


def rows(plan, network):
    patch, regions, n = (8, 4, 2) if plan.smoke else (16, 32, 4)
    _, images = data.images(n, plan.size)
    _, targets = data.targets(n)
    orders = [region_perturbation(patch, regions, order) for order in ("morf", "lerf")]
    text = space([*RECIPES, "uniform"], orders[0], orders[1:])
    with Worker("benchmarks.peers:ZennitAndQuantus", plan.threads, network=network, images=images, targets=targets) as worker:
        first = worker.time("select", RECIPES, patch, regions)
        error, own = check(plan, network, images, targets, patch, regions, *first.value)
        mine, theirs = in_turns(plan.few(done=1), lambda: select(plan, network, images, targets, text), lambda: worker.time("select", RECIPES, patch, regions))
    work = f"{title(network)}, 3 recipes × {n} images × {regions} regions × 2 orders"
    return [ratio_row(f"select {network}", work, "zennit + Quantus", mine, theirs, target=1 / 5, error=error, note=f"{busy(plan, mine)}; curves from each one's own attributions differ by {own:.0e}")]


def check_pnpxai(plan, network, images, targets, steps, worker):
    """The same curves, up to the last step, for PnPXAI's own heatmaps. A step is a tenth of the pixels, rounded here and cut there, hence the tolerance."""
    maps, *curves = worker.call("curves", steps)
    attributions = data.saved("pnpxai", maps)
    errors = []
    for order, curve in zip(("morf", "lerf"), curves):
        result = program.run(plan, "evaluate", data.network(network), images, "--attributions", attributions, "--target", targets, "--metric",
                             f"pixel_flipping:patch=1,steps={steps},order={order},imputer=black,score=probability,ties=index")
        errors.append(agree(np.asarray(result.value["curves_by_name"][order])[:, :steps - 1], curve[:, :-1], f"{order} of PnPXAI", 0.02))
    return max(errors)


def pnpxai_rows(plan, network):
    trials, steps, n = (2, 3, 2) if plan.smoke else (5, 10, 4)
    _, images = data.images(n, plan.size)
    _, targets = data.targets(n)
    epsilons = "/".join(f"{e:g}" for e in np.geomspace(1e-5, 0.5, trials))
    text = space([f"lrp_epsilon_plus:epsilon={epsilons}", "uniform"],
                 f"pixel_flipping:patch=1,steps={steps},order=symmetric,imputer=black,score=probability,ties=index", [])
    given = {"network": network, "images": images, "targets": targets}
    peer, note = "PnPXAI 0.1.4", ""
    try:
        worker = Worker("benchmarks.pnpxai:Optimize", plan.threads, **given)
    except Skip as reason:
        worker, peer, note = Worker("benchmarks.pnpxai:Loop", plan.threads, **given), "PnPXAI's loop", str(reason)
    with worker:
        error = check_pnpxai(plan, network, images, targets, steps, worker)
        mine, theirs = in_turns(plan.few(), lambda: select(plan, network, images, targets, text), lambda: worker.time("optimize", trials, steps))
    work = f"{title(network)}, {trials} trials × {n} images × {steps} steps × 2 orders"
    return [ratio_row(f"optimize {network}", work, peer, mine, theirs, target=1 / 8, error=error, note=note)]


def cases(plan) -> list[Case]:
    found = [Case(f"{n} zennit + Quantus", lambda p, n=n: rows(p, n)) for n in plan.networks(["resnet18", "squeezenet1_1"])]
    return found + [Case(f"{n} PnPXAI", lambda p, n=n: pnpxai_rows(p, n)) for n in plan.networks(["resnet18"])]
