"""Forward passes against ONNX Runtime, and how long a user waits before the first one."""

from benchmarks import data, program
from benchmarks.common import Case, Measure, Worker, agree, in_turns, ratio_row
from benchmarks.names import title

TITLE = "Forward passes"
ABOUT = "Median time of one batch on the same threads. Compiling: from a loaded model to the first run, against ONNX Runtime's session with optimized graph."
NETWORKS = ["resnet18", "resnet50", "vgg16", "mobilenet_v2", "densenet121", "squeezenet1_1"]


def check(plan, network, worker, batch):
    """Both predict the same."""
    x, path = data.images(batch, plan.size)
    output = data.WORK / "arrays/logits.npy"
    program.run(plan, "run", data.network(network), path, "--output", output)
    return agree(data.load(output), worker.call("predict", x), "logits")


def rows(plan, network, batch):
    model = data.network(network)
    with Worker("benchmarks.peers:OnnxRuntime", plan.threads, model=model, batch=batch, size=plan.size) as worker:
        error = check(plan, network, worker, batch)
        repeats = plan.repeats(worker.time("run", repeats=1 if plan.smoke else 3).ms)
        results = []

        def ours():
            results.append(program.bench(plan, model, batch=batch, repeats=repeats))
            return program.forward(results[-1])

        mine, theirs = in_turns(plan.rounds if batch == 1 else plan.few(), ours, lambda: worker.time("run", repeats=repeats))
        work = f"{title(network)}, batch {batch}"
        found = [ratio_row(f"forward {network} {batch}", work, "ONNX Runtime", mine, theirs, target=1.0, error=error)]
        if batch == 1:
            compiled = [Measure(r["forward_compile_ms"]) for r in results]
            sessions = [worker.time("compile") for _ in results]
            row = ratio_row(f"compile {network}", f"{title(network)}, compiling", "ONNX Runtime session", compiled, sessions, limit_ms=1000.0)
            row.peer_mb = None
            found.append(row)
        return found


def torch_rows(plan, network):
    """torch, for comparison."""
    model = data.network(network)
    with Worker("benchmarks.peers:Torch", plan.threads, network=network, size=plan.size) as worker:
        repeats = plan.repeats(worker.time("run").ms)
        mine, theirs = in_turns(plan.few(), lambda: program.forward(program.bench(plan, model, repeats=repeats)),
                                lambda: worker.time("run", repeats=repeats))
        return [ratio_row(f"forward {network} torch", f"{title(network)}, batch 1", "torch", mine, theirs)]


def cases(plan) -> list[Case]:
    found = []
    for batch in (1, 8):
        for network in plan.networks(NETWORKS):
            quick = batch == 1 and network in ("resnet18", "resnet50", "squeezenet1_1", "mobilenet_v2")
            found.append(Case(f"{network} batch {batch}", lambda p, n=network, b=batch: rows(p, n, b), quick))
    found += [Case(f"{n} torch", lambda p, n=n: torch_rows(p, n)) for n in plan.networks(["resnet50"])]
    return found
