"""One explanation of one image: in multiples of heatproof's own forward pass, and against torch and zennit."""

from benchmarks import data, program
from benchmarks.common import Case, Worker, agree, in_turns, ratio_row
from benchmarks.names import title

TITLE = "Explanations"
ABOUT = ("One image. Each explanation appears twice: against heatproof's own forward pass (the ratio says how many passes it costs, its own included), and against "
         "the peer. zennit's composites are registered once, outside of the measurement.")

BOX = "low=-3,high=3"
# recipe of heatproof, largest cost in forward passes
RECIPES = [("gradient", 2.1), ("lrp_epsilon", 2.2), ("lrp_epsilon_plus", 3.2), (f"lrp_epsilon_gamma_box:{BOX}", 3.4),
           ("lrp_epsilon_alpha2_beta1", 5.2), ("lrp_epsilon_alpha2_beta1_flat", 5.2)]
NETWORKS = {"resnet50": RECIPES, "vgg16": RECIPES, "resnet18": RECIPES[:4], "squeezenet1_1": RECIPES[:4]}


def peer_of(plan, network, recipe, **more):
    """Name, worker's arguments and method of the peer."""
    if recipe == "gradient":
        return "torch", ("benchmarks.peers:Torch", {"network": network, "size": plan.size}), "gradient"
    return "zennit", ("benchmarks.peers:Zennit", {"network": network, "recipe": recipe, "size": plan.size, **more}), "explain"


def check(plan, network, recipe):
    """Both explain alike. zennit computes in double precision here: near-zero denominators amplify rounding."""
    _, (cls, arguments), method = peer_of(plan, network, recipe, double=True)
    _, path = data.images(1, plan.size)
    raw = data.WORK / "arrays/relevance.npy"
    program.run(plan, "explain", data.network(network), path, "--recipe", recipe, "--target", "0", "--raw", raw)
    with Worker(cls, plan.threads, **arguments) as worker:
        return agree(data.load(raw), worker.call(method), f"{title(network)} {recipe}")


def rows(plan, network, recipe, target):
    error = None if plan.quick else check(plan, network, recipe)
    peer, (cls, arguments), method = peer_of(plan, network, recipe)
    model = data.network(network)
    with Worker(cls, plan.threads, **arguments) as worker:
        repeats = plan.repeats(worker.time(method).ms)
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
    return [multiple, ratio_row(f"explain {network} {name}", work, peer, mine, theirs, target=faster, error=error)]


def cases(plan) -> list[Case]:
    quick = {("resnet18", "gradient"), ("resnet18", "lrp_epsilon_plus"), ("resnet50", "lrp_epsilon_plus")}
    return [Case(f"{network} {recipe}", lambda p, n=network, r=recipe, t=target: rows(p, n, r, t), (network, recipe) in quick)
            for network in plan.networks(NETWORKS) for recipe, target in (RECIPES[:3:2] if plan.smoke else NETWORKS[network])]
