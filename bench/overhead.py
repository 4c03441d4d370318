#!/usr/bin/env python3
"""What the live engine costs beside the blocks it runs: preemption checks, gate, plans, answers, records.

usage: bench/overhead.py PATH_OF_EINET [SECONDS]

Runs workloads whose jobs own a lane, and takes from jobs.csv, per job, the time from its first stage to its result less
the time inside its blocks. The p50 over all jobs is set against the blocks' time. Emulated networks have blocks of one
length; the real ones pay for caches that their own weights have emptied, and a task that only preprocesses the same
pictures tells what of the time is preprocessing. Tasks of a run take turns on one CPU, and never wait for each other.
"""
import csv
import os
import statistics
import subprocess
import sys
import tempfile

HEAD = """version: 1
name: overhead
run: {{ duration: {seconds}s, warmup: 500ms, seed: 1 }}
platform: {{ privileges: degrade, housekeeping_cpus: "0" }}
lanes: {{ acc: {{ kind: cpu }} }}
models:
"""
PICTURES = "input: { kind: generated, seed: 1, count: 200, split: test }"


def emulated(block_us, exits):
    """Tasks whose networks have `exits` conv parts and branches of block_us; every search is made before each plan."""
    blocks = ", ".join(
        f"{{ conv: {block_us}us, branch: {block_us}us, score: {0.5 + 0.4 * (i + 1) / exits:.3f} }}" for i in range(exits))
    return f"  net: {{ emulate: {{ blocks: [ {blocks} ] }} }}\n", [("net", "{ name: net, kind: nn, model: net, lane: acc }", "")]


def real(zoo):
    weights = os.path.abspath(f"models/pretrained/{zoo}-generated.safetensors")
    models = f"  net: {{ zoo: {zoo}, dataset: generated, weights: {weights} }}\n"
    pre = "{ name: pre, kind: cpu, op: normalize }"
    return models, [("net", pre + ", { name: net, kind: nn, model: net, lane: acc }", PICTURES), ("pre", pre, PICTURES)]


def run(einet, seconds, models, tasks, folder):
    text = HEAD.format(seconds=seconds) + models + "tasks:\n"
    for i, (name, stages, more) in enumerate(tasks):
        text += f"  - name: {name}\n    arrival: {{ model: periodic, period: 30ms, offset: {i * 15}ms }}\n"
        text += f"    deadline: 28ms\n    priority: {60 - i}\n" + (f"    {more}\n" if more else "")
        text += f"    stages: [ {stages} ]\n"
    path = os.path.join(folder, "workload.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    out = os.path.join(folder, "out")
    subprocess.run([einet, "run", path, "--out", out, "--quiet"], check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(out, "jobs.csv"), encoding="utf-8") as file:
        rows = [r for r in csv.DictReader(line for line in file if not line.startswith("#")) if r["is_warmup"] == "0"]
    return [r for r in rows if r["outcome"] == "completed"]


def parts_of(row):
    """Blocks of a job: conv parts up to its last exit, and the branches it took."""
    mask = int(row["exits_mask"])
    return mask.bit_length() + bin(mask).count("1")


def beside_ns(rows, name):
    return statistics.median(
        int(r["finish_ns"]) - int(r["start_ns"]) - int(r["lane_busy_ns"]) for r in rows if r["task"] == name)


def main():
    einet = os.path.abspath(sys.argv[1])
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 20
    cases = [(f"{exits} exits, blocks of {us} us", emulated(us, exits))
             for us, exits in ((100, 3), (100, 12), (100, 21), (200, 12), (500, 3))]
    cases += [(zoo, real(zoo)) for zoo in ("b-alexnet", "msdnet-21-light")]
    print(f"{'network':28} {'jobs':>5} {'blocks':>6} {'us/block':>8} {'beside us':>9} {'ns/block':>8} {'share':>7}")
    for title, (models, tasks) in cases:
        with tempfile.TemporaryDirectory() as folder:
            rows = run(einet, seconds, models, tasks, folder)
        nets = [r for r in rows if r["task"] == "net"]
        beside = beside_ns(rows, "net") - (beside_ns(rows, "pre") if len(tasks) > 1 else 0)
        busy = statistics.median(int(r["lane_busy_ns"]) for r in nets)
        blocks = statistics.median(parts_of(r) for r in nets)
        print(f"{title:28} {len(nets):5} {blocks:6.0f} {busy / blocks / 1e3:8.1f} {beside / 1e3:9.2f} "
              f"{beside / blocks:8.0f} {100 * beside / busy:6.2f}%")


if __name__ == "__main__":
    main()
