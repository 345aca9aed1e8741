"""Hostile models beside their sizes: what is missing or in circles, calls, tensors, external data, names, very many nodes."""

import os
import pathlib

import numpy as np

from .case import ANY, BROKEN, FINE, REFUSED, Case, hole
from .models import FLAT, TOP, cases_of, chain, f32, i64
from .wire import BOOL, FLOAT, INT64, Message, attribute, message, model, node, tensor, value, varint, write


def functions_and_graphs():
    def function(name, nodes, inputs=("a",), outputs=("b",)):
        return message("Function", (1, name), (4, list(inputs)), (5, list(outputs)), (7, list(nodes)),
            (9, message("Opset", (1, ""), (2, 13))), (10, "f"))

    call = node("F0", "x", "t", domain="f")
    domain = [message("Opset", (1, "f"), (2, 1))]
    yield from cases_of("call/itself", model(chain(call), functions=[function("F0", [node("F0", "a", "b", domain="f")])],
        opsets=domain), REFUSED)
    yield from cases_of("call/each_other", model(chain(call), functions=[function("F0", [node("F1", "a", "b", domain="f")]),
        function("F1", [node("F0", "a", "b", domain="f")])], opsets=domain), REFUSED)
    laughs = [function(f"F{k}", [node(f"F{k + 1}", "a", "m", domain="f"), node(f"F{k + 1}", "m", "b", domain="f")])
        for k in range(40)]
    yield from cases_of("call/laughs", model(chain(call), functions=[*laughs, function("F40", [node("Relu", "a", "b")])],
        opsets=domain), REFUSED)
    yield from cases_of("call/missing", model(chain(call), opsets=domain), REFUSED)
    yield from cases_of("call/deep_if", deep_model(5000), REFUSED)
    yield from cases_of("call/if", model(chain(message("Node", (1, "c"), (2, "t"), (4, "If"),
        (5, [attribute("then_branch", message("Graph", (1, node("Relu", "x", "t")), (12, value("t"))))]))),
                                         [tensor("c", np.array(True))]), ANY)
    body = message("Graph", (1, [node("Relu", "v", "w")]), (11, [value("i", [], INT64), value("c", [], BOOL), value("v")]),
        (12, [value("c"), value("w")]))
    yield from cases_of("call/loop", model(chain(message("Node", (1, ["m", "", "x"]), (2, "t"), (4, "Loop"),
        (5, attribute("body", body)))), [tensor("m", i64(TOP).reshape(()))]), REFUSED)
    yield from cases_of("circle/self", model([node("Add", "x t", "t"), FLAT]), BROKEN)
    yield from cases_of("circle/two", model([node("Add", "x b", "a"), node("Relu", "a", "b"), node("Flatten", "b", "y")]), BROKEN)
    yield from cases_of("circle/twice", model([node("Relu", "x", "t"), node("Sigmoid", "x", "t"), FLAT]), BROKEN)
    yield from cases_of("circle/input_made", model([node("Relu", "x", "x"), node("Flatten", "x", "y")]), BROKEN)
    yield from cases_of("missing/input", model([node("Relu", "nowhere", "t"), FLAT]), BROKEN)
    yield from cases_of("missing/empty_input", model([node("Relu", [""], "t"), FLAT]), BROKEN)
    yield from cases_of("missing/no_input", model([node("Relu", [], "t"), FLAT]), BROKEN)
    yield from cases_of("missing/no_output", model([node("Relu", "x", []), node("Flatten", "x", "y")]), ANY)
    yield from cases_of("missing/graph_output", model([node("Relu", "x", "t")], outputs=[value("y")]), BROKEN)
    yield from cases_of("missing/all_outputs", model([node("Relu", "x", "y")], outputs=[]), BROKEN)
    yield from cases_of("missing/all_inputs", model([node("Relu", "c", "y")], [tensor("c", f32(1, 2))], inputs=[]), REFUSED)
    yield from cases_of("missing/nodes", model([], outputs=[value("x")]), ANY)
    yield from cases_of("missing/output_is_constant", model([node("Relu", "x", "t")], [tensor("y", f32(1, 2))]), REFUSED)
    yield from cases_of("missing/op_type", model([node("", "x", "t"), FLAT]), REFUSED)
    yield from cases_of("missing/graph", write(message("Model", (1, 8))), BROKEN)
    yield from cases_of("missing/opset", write(message("Model", (1, 8), (7,
        message("Graph", (1, [node("Flatten", "x", "y")]), (11, value("x", [1, 4, 8, 8])), (12, value("y")))))), ANY)
    for opset in (0, -1, 1, 5, 99, TOP):
        yield from cases_of(f"opset/{opset}", model(chain(node("Relu", "x", "t")), opset=opset), ANY, ("inspect",))
    for op in ("Constant", "ConstantOfShape", "Cast", "Conv", "Gemm", "Concat", "Pad", "Slice", "Resize", "Gather", "Reshape",
            "BatchNormalization", "Transpose", "Tile", "OneHot", "Split", "Where", "Clip",
               "LSTM", "Einsum", "Attention", "Expand", "Range", "TopK", "LayerNormalization", "InstanceNormalization",
               "GroupNormalization", "MaxUnpool", "RoiAlign", "NonMaxSuppression", "If", "Loop", "Scan"):
        yield from cases_of(f"bare/{op}", model(chain(node(op, "x", "t"))), ANY, ("inspect",))
        yield from cases_of(f"bare/{op}_none", model(chain(node(op, [], "t"))), ANY, ("inspect",))
        yield from cases_of(f"bare/{op}_many", model(chain(node(op, ["x"] * 20, "t"))), ANY, ("inspect",))
    for key in ("value", "sparse_value", "value_string", "value_strings", "value_ints", "value_floats"):
        for v in (1, "s", 1.5, [1, 2], tensor("", dims=[1 << 40], type=FLOAT, raw=b""), tensor("", dims=[2], type=8, raw=b"")):
            yield from cases_of(f"constant/{key}_{type(v).__name__}_{len(write(v)) if isinstance(v, Message) else 0}",
                model(chain(node("Constant", [], "k", **{key: v}), node("Add", "x k", "t"))), ANY, ("inspect",))


def deep_model(depth):
    """If within If, written from the inside, since a tree of that depth could not be walked."""
    graph = write(message("Graph", (1, node("Identity", "x", "t")), (12, value("t"))))
    for _ in range(depth):
        graph = write(message("Graph", (1, write(message("Node", (1, "c"), (2, "t"), (4, "If"),
            (5, write(message("Attribute", (1, "then_branch"), (6, graph), (20, 5))))))), (12, value("t"))))
    return write(message("Model", (1, 8), (7, graph), (8, message("Opset", (1, ""), (2, 13)))))


def tensors_and_bytes():
    def conv(*args, **more):
        return model(chain(node("Conv", "x w", "t")), [tensor("w", *args, **more)])

    for dims, raw in [([4, 4, 3, 3], b""), ([4, 4, 3, 3], bytes(575)), ([4, 4, 3, 3], bytes(580)),
            ([1 << 32, 1 << 32, 3, 3], bytes(576)), ([1 << 62, 4, 1, 1], b""), ([-4, -4, 3, 3], bytes(576)),
            ([TOP, 4, 3, 3], b""),
                      ([1 << 30, 1 << 30, 1, 1], bytes(16)), ([1] * 5000, bytes(4))]:
        yield from cases_of(f"tensor/dims_{'x'.join(map(str, dims))[:50]}_{len(raw)}", conv(dims=dims, type=FLOAT, raw=raw),
            BROKEN)
    for type in (0, 8, 14, 15, 16, 17, 22, 99, -1):
        yield from cases_of(f"tensor/type_{type}", conv(dims=[4, 4, 3, 3], type=type, raw=bytes(576)), ANY)
    strange = message("Tensor", (1, [4, 4, 3, 3]), (2, FLOAT), (4, bytes(8)), (8, "w"))
    yield from cases_of("tensor/few_floats", model(chain(node("Conv", "x w", "t")), [strange]), BROKEN)
    both = message("Tensor", (1, [4, 4, 3, 3]), (2, FLOAT), (4, bytes(576)), (8, "w"), (9, bytes(576)))
    yield from cases_of("tensor/both", model(chain(node("Conv", "x w", "t")), [both]), ANY)
    for name, w in [("nan", np.nan), ("inf", np.inf), ("huge", 3e38)]:
        data = model(chain(node("Conv", "x w", "t")), [tensor("w", np.full((4, 4, 3, 3), w, np.float32))])
        yield from cases_of(f"tensor/weights_{name}", data, REFUSED, ("run", "explain", "gradient"))
    valid = model(chain(node("Relu", "x", "t")))
    yield from cases_of("bytes/empty", b"", BROKEN)
    yield from cases_of("bytes/text", b"<html>not found</html>\n" * 9, BROKEN)
    yield from cases_of("bytes/zeros", bytes(4096), BROKEN)
    yield from cases_of("bytes/ones", b"\xff" * 4096, BROKEN)
    yield from cases_of("bytes/half", valid[:len(valid) // 2], BROKEN)
    yield from cases_of("bytes/length", b"\x3a" + varint(1 << 40) + valid, BROKEN)
    yield from cases_of("bytes/appended", valid + b"\xff\xff\xff", BROKEN)
    yield from cases_of("bytes/twice", valid + valid, ANY)
    yield from cases_of("bytes/groups", b"\x0b" * 100_000, BROKEN)
    yield from cases_of("bytes/nested", b"".join(b"\x3a" + varint(1 << 20) for _ in range(100)), BROKEN)
    bare = {"m.onnx": b""}

    def instead(make):
        def prepare(folder):
            (folder / "m.onnx").unlink()
            make(folder / "m.onnx")
        return prepare

    for name, make in [("folder", pathlib.Path.mkdir), ("pipe", os.mkfifo), ("zero", lambda p: p.symlink_to("/dev/zero")),
            ("null", lambda p: p.symlink_to("/dev/null")),
                       ("circle", lambda p: p.symlink_to("m.onnx")), ("hole3G", lambda p: hole(p, 3 << 30)),
                       ("hole1G", lambda p: hole(p, 1 << 30)), ("tty", lambda p: p.symlink_to("/dev/tty"))]:
        yield Case(f"file/{name}", ["inspect", "m.onnx"], dict(bare), frozenset({1, 3, 4}), prepare=instead(make))
    yield Case("file/none", ["inspect", "nowhere.onnx"], {}, frozenset({3}))
    yield Case("file/long_name", ["inspect", "n" * 300 + ".onnx"], {}, ANY - {0})
    yield Case("file/very_long_name", ["inspect", "n" * 100_000 + ".onnx"], {}, ANY - {0})
    yield Case("file/control_name", ["inspect", "\x1b[31mred\nnext.onnx"], {}, ANY - {0})
    yield Case("file/not_utf8_name", ["inspect", "\udcff\udcfe.onnx"], {}, ANY - {0})


def external_data():
    dims = [4, 4, 3, 3]

    def conv(entries, location=1, raw=None):
        return model(chain(node("Conv", "x w", "t")), [tensor("w", dims=dims, type=FLOAT, raw=raw, external=entries,
            location=location)])

    weights = {"w.bin": bytes(576), "deep/secret.bin": bytes(576)}
    for name, entries, codes in [
            ("right", [("location", "w.bin")], FINE), ("missing", [("location", "v.bin")], BROKEN), ("none", [], BROKEN),
            ("empty", [("location", "")], BROKEN),
            ("up", [("location", "../w.bin")], BROKEN), ("absolute", [("location", "/etc/hostname")], BROKEN),
            ("dev", [("location", "/dev/zero")], BROKEN), ("inside_up", [("location", "deep/../../x.bin")], BROKEN),
            ("folder", [("location", "deep")], BROKEN), ("nul", [("location", "w.bin\0.txt")], ANY),
            ("offset", [("location", "w.bin"), ("offset", "8")], BROKEN),
            ("minus", [("location", "w.bin"), ("offset", "-1")], BROKEN),
            ("huge", [("location", "w.bin"), ("offset", str(TOP)), ("length", str(TOP))], BROKEN),
            ("wrap", [("location", "w.bin"), ("offset", str((1 << 64) - 4)), ("length", "576")], BROKEN),
            ("word", [("location", "w.bin"), ("offset", "many")], BROKEN),
            ("short", [("location", "w.bin"), ("length", "4")], BROKEN),
            ("tail", [("location", "w.bin"), ("offset", "0x")], BROKEN),
            ("twice", [("location", "w.bin"), ("location", "../w.bin")], BROKEN),
            ("control", [("location", "\x1b[31m\n.bin")], BROKEN),
            ("itself", [("location", "m.onnx")], ANY), ("long", [("location", "a/" * 50_000)], BROKEN)]:
        yield from cases_of(f"external/{name}", conv(entries), codes, ("inspect", "run") if codes != FINE else ("inspect",),
            files=weights)
    yield from cases_of("external/link_out", conv([("location", "w.bin")]), BROKEN, ("inspect",),
        prepare=lambda f: (f / "w.bin").symlink_to("/etc/hostname"))
    yield from cases_of("external/link_folder", conv([("location", "sub/hostname")]), BROKEN, ("inspect",),
        prepare=lambda f: (f / "sub").symlink_to("/etc"))
    yield from cases_of("external/pipe", conv([("location", "w.bin")]), BROKEN, ("inspect",),
        prepare=lambda f: os.mkfifo(f / "w.bin"))
    yield from cases_of("external/hole", conv([("location", "w.bin")]), ANY, ("inspect",),
        prepare=lambda f: hole(f / "w.bin", 1 << 40))
    good = np.ones(dims, np.float32).tobytes()
    # Entries of a tensor that is not external are not looked at: no pipe is waited for, nothing outside is read.
    for name, location in [("pipe", "fifo"), ("up", "../x.bin"), ("absolute", "/dev/zero"), ("null", "/dev/null")]:
        for kind in (None, 0):
            yield from cases_of(f"external/raw_{name}_{kind}", conv([("location", location)], kind, good), ANY,
                ("inspect", "run"), prepare=lambda f: os.mkfifo(f / "fifo"))
    constant = model(chain(node("Constant", [], "w", value=tensor("", dims=dims, type=FLOAT, external=[("location", "fifo")],
        location=1)), node("Conv", "x w", "t")))
    yield from cases_of("external/constant_pipe", constant, BROKEN, ("inspect",), prepare=lambda f: os.mkfifo(f / "fifo"))
    constant = model(chain(node("Constant", [], "w", value=tensor("", dims=dims, type=FLOAT,
        external=[("location", "../../etc/hostname")], location=1)), node("Conv", "x w", "t")))
    yield from cases_of("external/constant_up", constant, BROKEN, ("inspect",))
    yield from stale()


def stale():
    """Weights beside a model are part of what it is: other weights, another ranking."""
    dims = [4, 4, 3, 3]
    rng = np.random.default_rng(1)
    one, two = (rng.normal(size=dims).astype(np.float32).tobytes() for _ in range(2))
    external = tensor("", dims=dims, type=FLOAT, external=[("location", "w.bin")], location=1)
    inside = message("Graph", (1, [node("Constant", [], "w", value=external), node("Conv", "x w", "t")]), (12, [value("t")]))
    kinds = {
        "constant": model(chain(node("Constant", [], "w", value=external), node("Conv", "x w", "t"))),
        "initializer": model(chain(node("Conv", "x w", "t")), [tensor("w", dims=dims, type=FLOAT,
        external=[("location", "w.bin")], location=1)]),
        "branch": model(chain(message("Node", (1, "c"), (2, "t"), (4, "If"),
        (5, [attribute("then_branch", inside), attribute("else_branch", inside)]))), [tensor("c", np.array(True))]),
    }
    for name, data in kinds.items():
        def check(folder, outcome):
            said = outcome.stdout.decode().split("----\n")
            return [] if outcome.code != 0 or len(said) != 2 or said[0] != said[1] else ["other weights beside the model give the same answer"]

        yield Case(f"stale/{name}", ["inspect", "m.onnx", "--json"], {"m.onnx": data, "w.bin": one, "w2.bin": two}, ANY,
            makes=("w.bin",),
                   shell='"$0" "$@" && echo ---- && cp w2.bin w.bin && exec "$0" "$@"', check=check, quiet_ok=True)


def names():
    bad = ["a\r\x1b[31mred\x1b[0m\nnext\tline", "\udcff\udcfe\udcc3", "\x00\x07\x7f", "\u202eright to left\u2028", "n" * 100_000,
        "%s%n{}{0}", "<script>alert(1)</script>", "\u0085\u009b31m", "\ufeff"]
    for k, name in enumerate(bad):
        yield from cases_of(f"name/node_{k}", model([node("Foo", "x", "t", name=name), FLAT]), BROKEN, ("inspect",))
        yield from cases_of(f"name/op_{k}", model([node(name, "x", "t", name="n"), FLAT]), BROKEN, ("inspect",))
        yield from cases_of(f"name/domain_{k}", model([node("Relu", "x", "t", domain=name), FLAT]), BROKEN, ("inspect",))
        yield from cases_of(f"name/value_{k}", model([node("Add", ["x", name], "t"), FLAT]), BROKEN, ("inspect",))
        yield from cases_of(f"name/attribute_{k}", model([node("Relu", "x", "t", **{name: 1}), FLAT]), BROKEN, ("inspect",))
        yield from cases_of(f"name/initializer_{k}", model([node("Add", ["x", name], "t"), FLAT],
            [tensor(name, dims=[3], type=FLOAT, raw=b"")]), BROKEN, ("inspect",))
        yield from cases_of(f"name/fine_{k}", model([node("Conv", "x w", "t", name=name), FLAT],
            [tensor("w", np.ones((4, 4, 3, 3), np.float32))], name=name, producer=name), ANY, ("inspect", "json", "explain"))
        yield from cases_of(f"name/input_{k}", model([node("Relu", [name], "t"), FLAT], inputs=[value(name, [1, 4, 8, 8])]), ANY,
            ("inspect", "json", "named"))
        yield from cases_of(f"name/output_{k}", model([node("Flatten", "x", [name])], outputs=[value(name), value("z")]), ANY,
            ("inspect", "run"))
        yield from cases_of(f"name/dimension_{k}", model([node("Flatten", "x", "y")], inputs=[value("x", [name, 4, name, 8])]),
            ANY, ("inspect", "run"))
        yield from cases_of(f"name/enum_{k}", model(chain(node("Resize", "x r s", "t", mode=name)),
            [tensor("r", np.zeros(0, np.float32)), tensor("s", f32(1, 1, 2, 2))]), BROKEN, ("inspect",))
    for k, name in enumerate(["../escaped", "/tmp/heatproof_escaped", "a/b/c", "..", ".", "a\0b", "n" * 300, "\x1b[31m", "CON",
            "-", "../../../../../../tmp/heatproof_escaped2", "/dev/full"]):
        yield from cases_of(f"name/output_file_{k}", model([node("Flatten", "x", [name])], outputs=[value(name)]), ANY,
            ("named",),
                            check=lambda f, o: [f"wrote {e}, outside of its folder"
                            for e in ("/tmp/heatproof_escaped.npy", "/tmp/heatproof_escaped2.npy") if pathlib.Path(e).exists()])
    many = [node(f"Foo{k}", f"v{k}" if k else "x", f"v{k + 1}", name=f"layer/{k}/with/a/long/name") for k in range(3000)]
    yield from cases_of("name/many_unsupported", model([*many, node("Flatten", "v3000", "y")]), BROKEN, ("inspect", "json"))
    same = [node("Foo", f"v{k}" if k else "x", f"v{k + 1}", name=f"layer/{k}") for k in range(20_000)]
    yield from cases_of("name/many_of_one", model([*same, node("Flatten", "v20000", "y")]), BROKEN, ("inspect",))
    yield from cases_of("name/many_inputs", model([node("Flatten", "x0", "y")],
        inputs=[value(f"x{k}", [1, 4]) for k in range(3000)]), ANY, ("inspect", "run"))
    yield from cases_of("name/many_outputs", model([node("Flatten", "x", f"y{k}") for k in range(3000)],
        outputs=[value(f"y{k}") for k in range(3000)]), ANY, ("inspect", "run"))
    yield from cases_of("name/many_attributes", model(chain(node("Relu", "x", "t", **{f"a{k}": k for k in range(3000)}))), BROKEN,
        ("inspect",))


def repeated(op, count, first="x", last="Flatten", more=b""):
    """A chain of so many nodes, written without a tree, since a tree of a million nodes takes a minute."""
    parts = []
    for k in range(count):
        a, b = (b"%x" % k if k else first.encode()), b"%x" % (k + 1)
        if k == 0:
            a = first.encode()
        body = b"\x0a" + bytes([len(a) + (k > 0)]) + (b"v" if k
            else b"") + a + more + b"\x12" + bytes([len(b) + 1]) + b"v" + b + b"\x22" + bytes([len(op)]) + op.encode()
        parts.append(b"\x0a" + varint(len(body)) + body)
    tail = write(message("Graph", (1, node(last, f"v{count:x}", "y")), (11, value("x", [1, 4, 8, 8])), (12, value("y"))))
    graph = b"".join(parts) + tail
    return write(message("Model", (1, 8), (7, graph), (8, message("Opset", (1, ""), (2, 13)))))


def many_nodes():
    """Made when they are needed, since a million nodes take seconds."""
    def case(name, make, how):
        return cases_of(f"many/{name}", make, ANY, how)

    def backwards():
        return model([node("Flatten", "v30000", "y"), *(node("Identity", f"v{k}" if k else "x", f"v{k + 1}")
            for k in range(30_000))][::-1])

    def constants():
        return model([*(node("Add", f"k{k} c" if k else "c c", f"k{k + 1}") for k in range(30_000)),
            *chain(node("Add", "x k30000", "t"))], [tensor("c", f32(1e-6))])

    yield from case("identity_1000000", lambda: repeated("Identity", 1_000_000), ("inspect",))
    yield from case("relu_200000", lambda: repeated("Relu", 200_000), ("run",))
    yield from case("neg_100000", lambda: repeated("Neg", 100_000), ("inspect", "gradient"))
    yield from case("add_x_50000", lambda: repeated("Add", 50_000, more=b"\x0a\x01x"), ("run",))
    yield from case("sigmoid_3000", lambda: repeated("Sigmoid", 3000), ("explain",))
    yield from case("backwards", backwards, ("inspect",))
    yield from case("concat", lambda: model(chain(node("Concat", ["x"] * 20_000, "t", axis=1))), ("run",))
    yield from case("unused", lambda: model([node("Flatten", "x", "y")], [tensor(f"w{k}", f32(k)) for k in range(50_000)]),
        ("inspect",))
    yield from case("dead", lambda: model([*(node("Relu", "x", f"r{k}") for k in range(30_000)), node("Flatten", "x", "y")]),
        ("inspect",))
    yield from case("constants", constants, ("run",))


def all_cases():
    yield from functions_and_graphs()
    yield from tensors_and_bytes()
    yield from external_data()
    yield from names()
    yield from many_nodes()
