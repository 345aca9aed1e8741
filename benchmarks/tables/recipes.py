"""Many recipes at once, against the same recipes one by one."""

from benchmarks import data, program
from benchmarks.common import Case, Measure, ratio_row
from benchmarks.names import title

TITLE = "Many recipes at once"
ABOUT = "One image, one compiled graph for all recipes, against the sum of the explanations that are computed one by one. Both are heatproof, in the same process."

GAMMAS = "/".join(f"{g / 10:g}" for g in range(1, 11))
GRIDS = [f"lrp_epsilon_gamma_box:gamma={GAMMAS},low=-3,high=3", f"lrp_gamma:gamma={GAMMAS}"]
# 30 that differ in more than a number
MIXED = ["gradient", "gradient_x_input", "guided_backprop", "deconvnet", "excitation_backprop", "lrp_epsilon:epsilon=0.000001/0.01", "lrp_zplus",
         "lrp_zplus:bias=ignore", "lrp_w2", "lrp_flat", "lrp_gamma:gamma=0.1/0.25/0.5", "lrp_alpha_beta", "lrp_epsilon_plus:epsilon=0.000001/0.01",
         "lrp_epsilon_plus_flat", "lrp_epsilon_alpha2_beta1", "lrp_epsilon_alpha2_beta1_flat",
         "lrp_epsilon_gamma_box:gamma=0.1/0.25/0.5,low=-3,high=3", "deep_taylor:gamma=0/0.1/0.25/0.5,input=w2",
         "deep_taylor:gamma=0/0.25,low=-3,high=3", "deep_taylor:input=zplus"]


def rows(plan, key, network, what, recipes, target):
    repeats = 1 if plan.smoke else 3
    together, apart = [], []
    for _ in range(plan.few()):
        result = program.bench(plan, data.network(network), *recipes, repeats=repeats, more=["--separate"])
        together.append(program.explanation(result))
        apart.append(Measure(sum(result["separate_ms"])))
    n = len(result["recipes"])
    note = f"arena {result['explain_arena_bytes'] / 2**20:.0f} MB, constants {result['explain_constant_bytes'] / 2**20:.0f} MB"
    return [ratio_row(f"recipes {network} {key}", f"{title(network)}, {n} {what}", "one by one", together, apart, target=target, note=note)]


def cases(plan) -> list[Case]:
    found = []
    for network in plan.networks(["resnet18", "resnet50", "vgg16"]):
        found.append(Case(f"{network} γ", lambda p, n=network: rows(p, "gamma_box", n, "values of γ of `lrp_epsilon_gamma_box`", GRIDS[:1], 1 / 2),
                          network == "resnet18"))
    for network in [] if plan.smoke else ["resnet18"]:
        found.append(Case(f"{network} γ everywhere", lambda p, n=network: rows(p, "gamma", n, "values of γ of `lrp_gamma`", GRIDS[1:], 1 / 2)))
    for network in plan.networks(["resnet18", "squeezenet1_1"]):
        found.append(Case(f"{network} mixed", lambda p, n=network: rows(p, "mixed", n, "mixed recipes", MIXED, 1 / 3)))
    return found
