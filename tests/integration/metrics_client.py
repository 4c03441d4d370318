"""Clients of a run's HTTP server, for tests: python3 metrics_client.py check|attack HOST:PORT.

check:  the text is what Prometheus takes, judged by its own client library where it is installed.
attack: garbage, oversized and unfinished requests, and more connections than it serves, from several threads.
"""

import random
import socket
import sys
import threading
import urllib.error
import urllib.request


def fetch(address, path):
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=60) as answer:
            return answer.status, answer.headers.get("Content-Type", ""), answer.read().decode("utf-8")
    except urllib.error.HTTPError as error:
        return error.code, "", error.read().decode("utf-8")


def check(address):
    status, content_type, text = fetch(address, "/metrics")
    assert status == 200 and content_type.startswith("text/plain; version=0.0.4"), (status, content_type)
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError:
        print("no prometheus_client here")
        return
    families = {family.name: family for family in text_string_to_metric_families(text)}
    jobs = {}
    for sample in families["einet_jobs"].samples:
        assert sample.name == "einet_jobs_total", sample
        jobs.setdefault(sample.labels["task"], {})[sample.labels["outcome"]] = sample.value
    assert set(jobs) == {"control", "late", "camera"}, jobs
    assert all(set(outcomes) == {"met", "missed", "aborted", "skipped", "dropped"} for outcomes in jobs.values())
    assert jobs["late"]["missed"] > 0 and jobs["late"]["met"] == 0, jobs
    response = families["einet_response_seconds"]
    assert response.type == "histogram"
    for task in jobs:
        buckets = [(float(s.labels["le"]), s.value) for s in response.samples
                   if s.name.endswith("_bucket") and s.labels["task"] == task]
        count = [s.value for s in response.samples if s.name.endswith("_count") and s.labels["task"] == task]
        assert buckets == sorted(buckets) and buckets[-1][0] == float("inf"), buckets
        assert [v for _, v in buckets] == sorted(v for _, v in buckets), buckets
        assert count == [buckets[-1][1]] == [jobs[task]["met"] + jobs[task]["missed"]], (count, buckets[-1], jobs[task])
    slow = [s.value for s in response.samples if s.name.endswith("_bucket") and s.labels == {"task": "late", "le": "0.00025"}]
    assert slow == [0.0], slow  # it spins for 300 us
    exits = {s.labels["exit"] for s in families["einet_answers"].samples if s.labels["task"] == "camera"}
    assert exits == {"1", "2"}, exits
    for name in ("einet_degraded", "einet_run_phase", "einet_lane_busy_seconds", "einet_records_lost", "einet_backlog_jobs"):
        assert name in families, name
    status, _, word = fetch(address, "/healthz")
    degraded = families["einet_degraded"].samples[0].value
    assert (status, word.split("\n")[0]) == ((503, "degraded") if degraded else (200, "ok")), (status, word)
    print("whole")


def throw(address, rounds, seed):
    host, port = address.split(":")
    draw = random.Random(seed)
    held = []
    for number in range(rounds):
        try:
            client = socket.create_connection((host, int(port)), timeout=1)
            kind = number % 5
            if kind == 0:
                client.send(draw.randbytes(4000))
            elif kind == 1:
                client.send(b"GET /" + b"a" * 60000 + b" HTTP/1.1\r\n\r\n")
            elif kind == 2:
                client.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 5000)
            elif kind == 3:
                client.send(b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\nx")
            else:
                client.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)  # and reads none of the answers
            held.append(client)
        except OSError:
            pass
        if len(held) > 8:
            held.pop(0).close()
    for client in held:
        client.close()


def attack(address):
    threads = [threading.Thread(target=throw, args=(address, 30, seed)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    status, _, text = fetch(address, "/metrics")
    assert status == 200 and "einet_jobs_total" in text, (status, text)
    print("still there")


{"check": check, "attack": attack}[sys.argv[1]](sys.argv[2])
