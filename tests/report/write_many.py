"""Make the jobs of a run folder many times as many: jobs.csv gets N lines of one task of the run, drawn from a seed,
summary.json counts them, and stages.csv, which would be of other jobs, goes.

usage: write_many.py DIR N
"""
import json
import os
import random
import sys

folder, many = sys.argv[1], int(sys.argv[2])
draw = random.Random(7)
path = os.path.join(folder, "summary.json")
with open(path) as file:
    summary = json.load(file)
task = next(t for t in summary["tasks"] if t["name"] == "camera")
summary["tasks"] = [task]
summary["duration_ns"] = many * 1000000
late = 0
with open(os.path.join(folder, "jobs.csv"), "w") as file:
    file.write("task,job_idx,release_ns,outcome,cause,is_warmup,is_missed,start_ns,finish_ns,deadline_ns,answer_ns,exit_idx,label,is_correct\n")
    for i in range(many):
        response = int(1000000 * draw.lognormvariate(1.6, 0.35))
        missed = int(response > 15000000)
        late += missed
        file.write(f"camera,{i},{i}000000,completed,{'preempted' if i % 10 == 0 else 'plan_done'},0,{missed},1000,{response},15000000,{response - 500},{i % 21},3,{int(draw.random() < 0.9)}\n")
task.update(released=many, completed=many, misses=late, skipped=0, dropped=0, aborted=0, preemptions=0)
task["response_ns"]["max"] = 15000000 * 3
os.remove(os.path.join(folder, "stages.csv"))
with open(path, "w") as file:
    json.dump(summary, file)
