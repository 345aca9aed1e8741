"""One explanation of one image: in multiples of heatproof's own forward pass, and against torch and zennit."""

from benchmarks import data, program
from benchmarks.common import Case, Worker, agree, distance, in_turns, ratio_row
from benchmarks.names import title

TITLE = "Explanations"
ABOUT = ("One image. Each explanation appears twice: against heatproof's own forward pass (the ratio says how many passes it costs, its own included), and against "
         "the peer. zennit's composites are registered once, outside of the measurement.")

BOX = "low=-3,high=3"
# recipe of heatproof, largest cost in forward passes
RECIPES = [("gradient", 2.1), ("lrp_epsilon", 2.2), ("lrp_epsilon_plus", 3.2), (f"lrp_epsilon_gamma_box:{BOX}", 3.4),
           ("lrp_epsilon_alpha2_beta1", 5.2), ("lrp_epsilon_alpha2_beta1_flat", 5.2)]
NETWORKS = {"resnet50": RECIPES, "vgg16": RECIPES[:4] + RECIPES[5:], "resnet18": RECIPES[:4], "squeezenet1_1": RECIPES[:4]}


def peer_of(plan, network, recipe, **more):
    """Name, worker's arguments and method of the peer."""
    if recipe == "gradient":
        return "torch", ("benchmarks.peers:Torch", {"network": network, "size": plan.size, **more}), "gradient"
    return "zennit", ("benchmarks.peers:Zennit", {"network": network, "recipe": recipe, "size": plan.size, **more}), "explain"


def check(plan, network, recipe, single):
    """How far heatproof is from the peer in double precision, and how far the peer's own single precision is. Both amplify rounding where denominators (sums of a
    skip connection, for one) or the inputs of ReLUs come near zero; heatproof may be twice as far as the peer, or 1e-4."""
    _, (cls, arguments), method = peer_of(plan, network, recipe, double=True)
    _, path = data.images(1, plan.size)
    raw = data.WORK / "arrays/relevance.npy"
    program.run(plan, "explain", data.network(network), path, "--recipe", recipe, "--target", "0", "--raw", raw)
    with Worker(cls, plan.threads, **arguments) as worker:
        exact = worker.call(method)
    own = distance(single, exact)
    return agree(data.load(raw), exact, f"{title(network)} {recipe}", max(1e-4, 2 * own)), own


def rows(plan, network, recipe, target):
    peer, (cls, arguments), method = peer_of(plan, network, recipe)
    model = data.network(network)
    with Worker(cls, plan.threads, **arguments) as worker:
        first = worker.time(method)
        repeats = plan.repeats(first.ms)
        error, own = (None, None) if plan.quick else check(plan, network, recipe, first.value)
        forwards = []

        def ours():
            result = program.bench(plan, model, recipe, repeats=1 if plan.smoke else 7)
            forwards.append(program.forward(result))
            return program.explanation(result)

        mine, theirs = in_turns(plan.few(), ours, lambda: worker.time(method, repeats=repeats))
    name = recipe.partition(":")[0]
    work = f"{title(network)}, `{name}`"
    multiple = ratio_row(f"explain {network} {name} passes", work, "heatproof's forward pass", mine, forwards, target=target)
    multiple.peer_mb = None
    faster = None if peer == "torch" else 1 / 5
    note = f"results differ by {error:.0e}, {peer}'s own single and double precision by {own:.0e}" if error and error > 1e-4 else ""
    return [multiple, ratio_row(f"explain {network} {name}", work, peer, mine, theirs, target=faster, error=error, note=note)]


def cases(plan) -> list[Case]:
    quick = {("resnet18", "gradient"), ("resnet18", "lrp_epsilon_plus"), ("resnet50", "lrp_epsilon_plus")}
    return [Case(f"{network} {recipe}", lambda p, n=network, r=recipe, t=target: rows(p, n, r, t), (network, recipe) in quick)
            for network in plan.networks(NETWORKS) for recipe, target in (RECIPES[:3:2] if plan.smoke else NETWORKS[network])]
