"""Methods that are many forward passes, against captum."""

from benchmarks import data, program
from benchmarks.common import Case, Measure, Worker, agree, distance, in_turns, ratio_row
from benchmarks.names import title

TITLE = "Estimators"
ABOUT = ("One image, without loading the network and starting on both sides: from heatproof's time, that of the whole process of `heatproof explain`, that of the recipe "
         "`uniform`, which explains nothing, is subtracted; compiling what the method needs is included.")


def rows(plan, network, key, recipe, method, arguments, tolerance=1e-4):
    model = data.network(network)
    _, path = data.images(1, plan.size)
    raw = data.WORK / "arrays/relevance.npy"
    whole = []

    def explain(what, to):
        return program.run(plan, "explain", model, path, "--recipe", what, "--target", "0", "--raw", to)

    def ours():
        whole.append(explain(recipe, raw))
        return Measure(max(1.0, whole[-1].ms - explain("uniform", data.WORK / "arrays/nothing.npy").ms), whole[-1].peak_mb)

    first = ours()
    with Worker("benchmarks.peers:Captum", plan.threads, network=network, size=plan.size, double=True) as worker:
        exact = worker.call(method, *arguments)
    with Worker("benchmarks.peers:Captum", plan.threads, network=network, size=plan.size) as worker:
        theirs = worker.time(method, *arguments)
        # Rounding shows in single precision on both sides, at the kinks of ReLUs and maxima.
        error = agree(data.load(raw), exact, recipe, max(tolerance, 2 * distance(theirs.value, exact)))
        mine, others = in_turns(plan.few(done=1), ours, lambda: worker.time(method, *arguments))
    return [ratio_row(f"estimator {network} {key}", f"{title(network)}, `{recipe}`", "captum", [first, *mine], [theirs, *others], target=1 / 4,
                      error=error, note=f"whole process {min(m.ms for m in whole) / 1000:.1f} s")]


def cases(plan) -> list[Case]:
    steps, patch = (4, 8) if plan.smoke else (50, 16)
    found = []
    for network in plan.networks(["resnet18"]):
        found.append(Case(f"{network} integrated gradients", lambda p, n=network: rows(
            p, n, "integrated_gradients", f"integrated_gradients:steps={steps},rule=gauss_legendre", "integrated_gradients", (steps,))))
        found.append(Case(f"{network} occlusion", lambda p, n=network: rows(
            p, n, "occlusion", f"occlusion:patch={patch},stride={patch}", "occlusion", (patch, patch),
            5e-4)))  # of what a window takes away: some hundredths of the score, of which this is 1e-5
    return found
