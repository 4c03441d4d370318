"""Hold a trace against what the kernel recorded of the same threads, both in CLOCK_MONOTONIC.

usage: kernel_switches.py TRACE_AS_JSON < OUTPUT_OF_PERF_SCRIPT

TRACE_AS_JSON is what trace_decode.py prints; perf script prints switches as "TID SECONDS.NANOSECONDS: PERF_RECORD_SWITCH
IN|OUT ...". A job thread reads the clock where a stage begins and ends, so by the kernel it must be running then. Prints
{"stages", "outside": ends of stages at which it was not running, "outside_if_shifted": the same of a trace that is 100 us
off, to show that the comparison would notice}.
"""
import bisect
import json
import re
import sys

SHIFT_NS = 100_000


def read_runs(lines):
    """Of each thread the times from when and until when it ran."""
    runs, since = {}, {}
    for line in lines:
        found = re.match(r"\s*(\d+)\s+(\d+)\.(\d{9}):\s+PERF_RECORD_SWITCH\s+(IN|OUT)", line)
        if found is None:
            continue
        tid, at_ns = int(found[1]), int(found[2]) * 10**9 + int(found[3])
        if found[4] == "IN":
            since[tid] = at_ns
        elif tid in since:
            runs.setdefault(tid, []).append((since.pop(tid), at_ns))
    return runs


def is_running(runs, at_ns):
    at = bisect.bisect(runs, (at_ns, 1 << 62)) - 1
    return at >= 0 and runs[at][0] <= at_ns <= runs[at][1]


def main(argv):
    with open(argv[1], encoding="utf-8") as stream:
        trace = json.load(stream)
    runs = read_runs(sys.stdin)
    result = {"stages": 0, "outside": 0, "outside_if_shifted": 0}
    for track in trace["tracks"].values():
        own = runs.get(track["tid"], []) if track["kind"] == "thread" else []
        for stage in track["slices"] if own else []:
            if stage["at"] < own[0][0] or stage["end"] > own[-1][1]:
                continue  # before or after what was recorded
            ends = (stage["at"], stage["end"])
            result["stages"] += 1
            result["outside"] += sum(not is_running(own, at) for at in ends)
            result["outside_if_shifted"] += sum(not is_running(own, at + SHIFT_NS) for at in ends)
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv)
