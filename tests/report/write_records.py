"""Write stages.csv and run.json beside the jobs.csv of a simulated run, in the format of docs/stages-csv.md.

usage: write_records.py DIR [--late] [--degrade] [--outrank]

What each job did is drawn from a seed within the times that jobs.csv gives, so that it hangs together: preprocess,
then blocks on the lane with a branch behind each, then postprocess. --late moves the finish of some jobs behind their
deadline in jobs.csv and summary.json; --degrade marks the run as degraded; --outrank gives it the noise of probes
without SCHED_FIFO.
"""
import csv
import json
import os
import random
import sys

folder, options = sys.argv[1], sys.argv[2:]
draw = random.Random(20261121)


def load(name):
    with open(os.path.join(folder, name)) as file:
        return json.load(file)


def store(name, value):
    with open(os.path.join(folder, name), "w") as file:
        json.dump(value, file, indent=1)


def read_jobs():
    with open(os.path.join(folder, "jobs.csv"), newline="") as file:
        reader = csv.DictReader(line for line in file if not line.startswith("#"))
        return list(reader), reader.fieldnames


def make_late(jobs, fields, summary):
    late = {}
    for job in jobs:
        if job["deadline_ns"] and job["outcome"] == "completed" and job["is_warmup"] == "0" and draw.random() < 0.01:
            job["finish_ns"] = int(int(job["deadline_ns"]) * draw.uniform(1.02, 1.6))
            job["is_missed"] = "1"
            late[job["task"]] = late.get(job["task"], 0) + 1
    for task in summary["tasks"]:
        task["misses"] += late.get(task["name"], 0)
    with open(os.path.join(folder, "jobs.csv"), "w", newline="") as file:
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(jobs)


def lines_of(job):
    """(end, line) of one job: times since its release."""
    if not job["finish_ns"]:
        return
    start, finish, release = int(job["start_ns"] or 0), int(job["finish_ns"]), int(job["release_ns"])
    head = [job["task"], job["job_idx"], release]

    def stage(kind, index, name, ready, begin, end, lane=""):
        return (release + end, head + [kind, index, name, "", lane, 1, ready, begin, end, end - begin, ""])

    if job["exits_mask"] == "":
        yield stage("cpu", 0, "law", 0, start, finish)
        return
    span = finish - start
    begin, end = start + span // 8, finish - span // 16
    yield stage("cpu", 0, "pre", 0, start, begin)
    mask = int(job["exits_mask"])
    blocks = [(i, b) for i in range(max(mask.bit_length(), 1)) for b in ("conv", "branch") if b == "conv" or mask >> i & 1]
    wait = int(job["lane_wait_ns"] or 0)
    at = min(begin + wait, end - len(blocks))
    step = max((end - at) // len(blocks), 1)
    for i, kind in blocks:
        length = max(int(step * draw.uniform(0.7, 0.98)), 1)
        confidence = round(draw.uniform(0.4, 0.99), 4) if kind == "branch" else ""
        yield (release + at + length, head + [kind, 1, "net", i, "acc0", "", "", at, at + length, "", confidence])
        at += step
    yield stage("nn", 1, "net", begin, begin, end, "acc0")
    yield stage("cpu", 2, "post", end, end, finish)


jobs, fields = read_jobs()
summary = load("summary.json")
if "--late" in options:
    make_late(jobs, fields, summary)
if "--degrade" in options:
    summary["degraded"] = [{"reason": "no right to SCHED_FIFO <here>", "fix": "setcap cap_sys_nice+ep build/release/einet"}]
if "--outrank" in options:
    summary["noise"].update(wakeups=80000, p50=12000, p99=60000, p999=300000, max=4000000, gaps=700, gap_total_ns=150000000,
                            is_probe_fifo=False)
store("summary.json", summary)
lines = [line for job in jobs for line in lines_of(job)]
lines.sort(key=lambda line: line[0])
with open(os.path.join(folder, "stages.csv"), "w", newline="") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow("task,job_idx,release_ns,kind,stage_idx,stage,block_idx,lane,cpu,ready_ns,start_ns,end_ns,cpu_ns,confidence".split(","))
    writer.writerows(line for _, line in lines)
store("run.json", {"schema": 1, "version": summary["version"], "git": "0123456789abcdef", "started_at": "2026-11-21T22:00:00Z",
                   "command": ["einet", "run", "configs/edge-server.yaml"], "name": summary["name"],
                   "workload": {"file": "edge-server.yaml", "sha256": "ab" * 32, "text": ""}, "seed": summary["seed"],
                   "duration_ns": summary["duration_ns"], "warmup_ns": summary["warmup_ns"], "host": summary["machine"],
                   "gpu": None, "degraded": summary["degraded"], "tasks": [], "lanes": []})
