"""Methods that are many forward passes, against captum."""

from benchmarks import data, program
from benchmarks.common import Case, Measure, Worker, agree, distance, in_turns, ratio_row
from benchmarks.names import title

TITLE = "Estimators"
ABOUT = "One image; heatproof's times are whole processes of `heatproof explain`, loading and compiling included, captum's are without."


def rows(plan, network, key, recipe, method, arguments, tolerance=1e-4):
    model = data.network(network)
    _, path = data.images(1, plan.size)
    raw = data.WORK / "arrays/relevance.npy"
    ours = lambda: program.run(plan, "explain", model, path, "--recipe", recipe, "--target", "0", "--raw", raw)  # noqa: E731
    first = ours()
    with Worker("benchmarks.peers:Captum", plan.threads, network=network, size=plan.size, double=True) as worker:
        exact = worker.call(method, *arguments)
    with Worker("benchmarks.peers:Captum", plan.threads, network=network, size=plan.size) as worker:
        theirs = worker.time(method, *arguments)
        # Rounding shows in single precision on both sides, at the kinks of ReLUs and maxima.
        error = agree(data.load(raw), exact, recipe, max(tolerance, 2 * distance(theirs.value, exact)))
        mine, others = in_turns(plan.few(done=1), ours, lambda: worker.time(method, *arguments))
    return [ratio_row(f"estimator {network} {key}", f"{title(network)}, `{recipe}`", "captum", [Measure(first.ms, first.peak_mb), *mine],
                      [theirs, *others], target=1 / 4, error=error)]


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
