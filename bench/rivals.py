#!/usr/bin/env python3
"""Our backends beside what else runs the same network: batch 1, one thread, every exit, the same weights.

usage: bench_rivals.py [--turns N] [--burst N] [--cpu N] [--bf16] [--tune LEVEL] [--only NAME,...]
                       [--torch-python EXE] [--onnx-python EXE] NETWORK...

Every contender is a process of its own with the libraries and the environment that it brings. They run in lock-step on
one CPU under SCHED_FIFO where that is allowed: in each turn every one computes --burst inferences and one uncounted
before, in an order that is drawn anew (seed 1), while the others wait. A turn's ratio is the mean time of the contender
over the mean of dnnl's in the same turn; printed are the median and its 95 % interval (order statistics).

  dnnl, aten        ours (bench_serve): oneDNN prepared at load; libtorch operation by operation with our environment
  dnnl tuned        with --tune: kernels chosen by measuring at load (exact, winograd or bf16)
  eager             PyTorch's modules under inference_mode, as pip or apt leaves them
  torchscript       the same, traced, frozen, optimize_for_inference
  onnxruntime, opencv   the same as ONNX; both need Python packages: onnx, onnxruntime, opencv-python-headless

A contender whose package is missing is left out and named. NETWORK: a weight file or a name of the zoo.
"""
import argparse
import json
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time

FIFO_PRIORITY = 60
WARM_UP = 10


def read_weights(folder):
    """Name -> (shape, float32 bytes)."""
    with open(os.path.join(folder, "weights.safetensors"), "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        first, end = entry["data_offsets"]
        raw = data[first:end]
        if entry["dtype"] == "F16":
            count = len(raw) // 2
            raw = struct.pack(f"<{count}f", *struct.unpack(f"<{count}e", raw))
        elif entry["dtype"] != "F32":
            raise SystemExit(f"{name}: weights of type {entry['dtype']} are not read here")
        tensors[name] = (entry["shape"], raw)
    return tensors


def walk(folder):
    """The manifest's layers as (block, part, index, layer, in slot, out slot), defaults filled in."""
    with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
        manifest = json.load(file)
    trunk = manifest.get("trunk_slots", 1)
    steps = []
    for number, block in enumerate(manifest["blocks"], 1):
        for part in ("conv", "branch"):
            slot = 0
            for index, layer in enumerate(block[part]["layers"]):
                source = layer.get("in", slot)
                slot = layer.get("out", 0 if part == "conv" else trunk)
                steps.append((number, part, index, layer, source, slot))
    return manifest, steps


# ---- contenders ----


def torch_runner(folder, script, bf16):
    import torch
    from torch import nn
    import torch.nn.functional as F

    torch.set_num_threads(1)
    manifest, steps = walk(folder)
    weights = read_weights(folder)

    def tensor(name):
        shape, raw = weights[name]
        return torch.frombuffer(bytearray(raw), dtype=torch.float32).reshape(shape).clone()

    class Lrn(nn.Module):
        def __init__(self, layer):
            super().__init__()
            self.norm = nn.LocalResponseNorm(layer["size"], layer["alpha"] * layer["size"], layer["beta"], layer["k"])

        def forward(self, x):
            return self.norm(x)

    def module(prefix, layer):
        op, k = layer["op"], layer.get("kernel_px", 0)
        if op in ("conv2d", "linear"):
            weight = tensor(prefix + ".weight")
            bias = prefix + ".bias" in weights
            if op == "conv2d":
                made = nn.Conv2d(weight.shape[1], weight.shape[0], k, layer.get("stride_px", 1),
                                 layer.get("padding_px", 0), bias=bias)
            else:
                made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias)
            names = ["weight"] + (["bias"] if bias else [])
        elif op == "batch_norm":
            names = ["weight", "bias", "running_mean", "running_var"]
            made = nn.BatchNorm2d(len(tensor(prefix + ".weight")), layer.get("eps", 1e-5))
        else:
            pool = {"kernel_size": k, "stride": layer.get("stride_px", k), "padding": layer.get("padding_px", 0),
                    "ceil_mode": layer.get("ceil_mode", False)}
            return {"relu": nn.ReLU, "flatten": nn.Flatten, "dropout": nn.Identity,
                    "global_avg_pool": lambda: nn.AdaptiveAvgPool2d(1), "max_pool": lambda: nn.MaxPool2d(**pool),
                    "avg_pool": lambda: nn.AvgPool2d(**pool), "lrn": lambda: Lrn(layer)}[op]()
        made.load_state_dict({n: tensor(f"{prefix}.{n}") for n in names}, strict=False)
        return made

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = nn.ModuleList(
                nn.Identity() if layer["op"] in ("add", "concat") else module(f"block{b}.{part}.{i}", layer)
                for b, part, i, layer, _, _ in steps)

        def forward(self, x):
            slots, exits = {0: x}, []
            for at, (b, part, i, layer, source, target) in enumerate(steps):
                if layer["op"] == "add":
                    y = slots[source] + slots[layer["in2"]]
                elif layer["op"] == "concat":
                    y = torch.cat((slots[source], slots[layer["in2"]]), 1)
                else:
                    y = self.parts[at](slots[source])
                slots[target] = y
                if part == "branch" and (at + 1 == len(steps) or steps[at + 1][:2] != (b, part)):
                    exits.append(y.float())
            return tuple(exits)

    net = Network().eval()
    shape = manifest["input"]
    with open(os.path.join(folder, "input.f32"), "rb") as file:
        x = torch.frombuffer(bytearray(file.read()), dtype=torch.float32)
    x = x.reshape(1, shape["channels"], shape["height_px"], shape["width_px"])
    if bf16:
        net, x = net.bfloat16(), x.bfloat16()
    if script:
        with torch.no_grad():
            net = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, x)))

    def run():
        with torch.inference_mode():
            return net(x)

    return run, lambda outputs: [v for y in outputs for v in y.flatten().tolist()]


def onnx_file(folder):
    """The network as ONNX; batch norms are left for the runtime to fold."""
    import numpy
    import onnx
    from onnx import TensorProto, helper

    path = os.path.join(folder, "network.onnx")
    manifest, steps = walk(folder)
    weights = read_weights(folder)
    initial = [helper.make_tensor(n, TensorProto.FLOAT, s, raw, raw=True) for n, (s, raw) in weights.items()
               if numpy.prod(s) > 0 and "num_batches" not in n]
    slots, nodes, exits = {0: "input"}, [], []
    for at, (b, part, i, layer, source, target) in enumerate(steps):
        op, prefix = layer["op"], f"block{b}.{part}.{i}"
        k, pad = layer.get("kernel_px", 0), layer.get("padding_px", 0)
        inputs = [slots[source]]
        bias = [prefix + ".bias"] if prefix + ".bias" in weights else []
        window = {"kernel_shape": [k, k], "pads": [pad] * 4,
                  "strides": [layer.get("stride_px", 1 if op == "conv2d" else k)] * 2}
        if op in ("max_pool", "avg_pool"):
            window["ceil_mode"] = int(layer.get("ceil_mode", False))
        kind, attributes = {
            "conv2d": ("Conv", window),
            "linear": ("Gemm", {"transB": 1}),
            "batch_norm": ("BatchNormalization", {"epsilon": layer.get("eps", 1e-5)}),
            "relu": ("Relu", {}), "flatten": ("Flatten", {"axis": 1}), "dropout": ("Identity", {}),
            "global_avg_pool": ("GlobalAveragePool", {}), "max_pool": ("MaxPool", window),
            "avg_pool": ("AveragePool", dict(window, count_include_pad=1)),
            "lrn": ("LRN", {"size": layer.get("size", 0), "alpha": layer.get("alpha", 0.0) * layer.get("size", 0),
                            "beta": layer.get("beta", 0.0), "bias": layer.get("k", 1.0)}),
            "add": ("Add", {}), "concat": ("Concat", {"axis": 1}),
        }[op]
        if op in ("conv2d", "linear"):
            inputs += [prefix + ".weight"] + bias
        elif op == "batch_norm":
            inputs += [f"{prefix}.{n}" for n in ("weight", "bias", "running_mean", "running_var")]
        elif op in ("add", "concat"):
            inputs.append(slots[layer["in2"]])
        slots[target] = prefix
        nodes.append(helper.make_node(kind, inputs, [prefix], **attributes))
        if part == "branch" and (at + 1 == len(steps) or steps[at + 1][:2] != (b, part)):
            exits.append(prefix)
    s, f = manifest["input"], TensorProto.FLOAT
    graph = helper.make_graph(
        nodes, manifest["name"],
        [helper.make_tensor_value_info("input", f, [1, s["channels"], s["height_px"], s["width_px"]])],
        [helper.make_tensor_value_info(n, f, [1, manifest["classes"]]) for n in exits], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    x = numpy.fromfile(os.path.join(folder, "input.f32"), dtype=numpy.float32)
    return path, exits, x.reshape(1, s["channels"], s["height_px"], s["width_px"])


def onnxruntime_runner(folder):
    import onnxruntime

    path, exits, x = onnx_file(folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(exits, {"input": x}), lambda outputs: [float(v) for y in outputs for v in y.ravel()]


def opencv_runner(folder):
    import cv2

    path, exits, x = onnx_file(folder)
    cv2.setNumThreads(1)
    net = cv2.dnn.readNetFromONNX(path)

    def run():
        net.setInput(x)
        return net.forward(exits)

    return run, lambda outputs: [float(v) for y in outputs for v in y.ravel()]


def work(name, folder, bf16):
    """A rival's process: the protocol of bench_serve."""
    runner, flat = (torch_runner(folder, name == "torchscript", bf16) if name in ("eager", "torchscript")
                    else onnxruntime_runner(folder) if name == "onnxruntime" else opencv_runner(folder))
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(FIFO_PRIORITY))
    except PermissionError:
        pass
    for _ in range(WARM_UP):
        outputs = runner()
    print(" ".join(f"{v:.9g}" for v in flat(outputs)), flush=True)
    for line in sys.stdin:
        runner()
        times = []
        for _ in range(int(line)):
            start = time.perf_counter_ns()
            runner()
            times.append(time.perf_counter_ns() - start)
        print(" ".join(map(str, times)), flush=True)


# ---- the coordinator ----


class Contender:
    def __init__(self, name, command, cpu):
        self.name, self.turns = name, []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, preexec_fn=lambda: os.sched_setaffinity(0, {cpu}))
        line = self.process.stdout.readline()
        self.logits = [float(v) for v in line.split()]
        if not self.logits:
            self.process.wait()
            said = self.process.stderr.read().strip().splitlines()
            raise RuntimeError(said[-1] if said else "ended without a word")

    def run(self, burst):
        self.process.stdin.write(f"{burst}\n")
        self.process.stdin.flush()
        self.turns.append(statistics.fmean(map(int, self.process.stdout.readline().split())))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def interval(values):
    """Median and its 95 % interval."""
    values, half = sorted(values), 0.98 * len(values) ** 0.5
    low = max(0, int(len(values) / 2 - half))
    return statistics.median(values), values[low], values[len(values) - 1 - low]


def apart(ours, theirs, exits):
    """Largest difference of logits, against the largest of the exit."""
    if len(ours) != len(theirs):
        return float("nan")
    worst, classes = 0.0, len(ours) // exits
    for first in range(0, len(ours), classes):
        a, b = ours[first:first + classes], theirs[first:first + classes]
        worst = max(worst, max(abs(x - y) for x, y in zip(a, b)) / max(map(abs, a)))
    return worst


def commands(args, folder):
    here = os.path.dirname(os.path.abspath(__file__))
    serve = args.serve or os.path.join(here, "bench_serve")
    narrow = ["--bf16"] if args.bf16 else []
    worker = [os.path.abspath(__file__), "--worker"]
    found = {"dnnl": [serve, folder, "dnnl"] + narrow, "aten": [serve, folder, "aten"] + narrow}
    if args.tune:
        found["dnnl tuned"] = found["dnnl"] + ["--tune", args.tune]
    for name in ("eager", "torchscript"):
        found[name] = [args.torch_python] + worker + [name, folder] + narrow
    if args.bf16:  # what the gain over float32 is measured against; ONNX's runtimes have no bfloat16 here
        found["aten fp32"] = [serve, folder, "aten"]
        found["eager fp32"] = [args.torch_python] + worker + ["eager", folder]
    else:
        for name in ("onnxruntime", "opencv"):
            found[name] = [args.onnx_python] + worker + [name, folder]
    wanted = args.only.split(",") if args.only else list(found)
    return {n: c for n, c in found.items() if n == "dnnl" or n in wanted}, serve


def compare(network, args):
    with tempfile.TemporaryDirectory() as folder:
        known, serve = commands(args, folder)
        subprocess.run([serve, "--write", folder, network], check=True)
        contenders = []
        for name, command in known.items():
            try:
                contenders.append(Contender(name, command, args.cpu))
            except (RuntimeError, OSError) as error:
                print(f"{network}: without {name}: {error}")
        ours = contenders[0]
        if ours.name != "dnnl":
            raise SystemExit("dnnl itself does not run")
        exits = len({b for b, *_ in walk(folder)[1]})
        order, rng = list(contenders), random.Random(1)
        for _ in range(args.turns):
            rng.shuffle(order)
            for contender in order:
                contender.run(args.burst)
        print(f"{network}{', bfloat16' if args.bf16 else ''}: {args.turns} turns of {args.burst}")
        for c in contenders:
            ratios = [t / o for t, o in zip(c.turns, ours.turns)]
            middle, low, high = interval(ratios)
            print(f"  {c.name:12} p50 {statistics.median(c.turns) / 1e3:9.1f} us   min {min(c.turns) / 1e3:9.1f} us   "
                  f"/ dnnl {middle:5.2f} [{low:.2f}, {high:.2f}]   of minima {min(c.turns) / min(ours.turns):5.2f}   "
                  f"difference {apart(ours.logits, c.logits, exits):.1e}", flush=True)
            c.close()


def main():
    if len(sys.argv) > 3 and sys.argv[1] == "--worker":
        return work(sys.argv[2], sys.argv[3], "--bf16" in sys.argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", metavar="NETWORK")
    parser.add_argument("--turns", type=int, default=60)
    parser.add_argument("--burst", type=int, default=3)
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--tune", choices=("exact", "winograd", "bf16"))
    parser.add_argument("--only", help="contenders beside dnnl, with commas")
    parser.add_argument("--serve", help="bench_serve (default: beside this script)")
    parser.add_argument("--torch-python", default="/usr/bin/python3")
    parser.add_argument("--onnx-python", default=sys.executable)
    args = parser.parse_args()
    for network in args.networks:
        compare(network, args)
    return 0


if __name__ == "__main__":
    sys.exit(main())
