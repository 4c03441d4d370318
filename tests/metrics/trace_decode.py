"""Decode a trace as Perfetto's importer does, with Google's protobuf, and print what it holds as JSON.

usage: trace_decode.py TRACE FOLDER_OF_PERFETTO_PB2 | trace_decode.py TRACE --official

The result: {"problems": [...], "clocks": {...}, "tracks": {path: {"kind", "pid", "tid", "slices": [...],
"instants": [...], "counters": [...]}}, "flows": {id: [...]}, "packets": n, "events": n, "absolute": n, "begins": n}.
A problem is anything by which the file is not a proper trace: unknown fields, state that was never given, slices that
are not balanced, flows that begin and do not end. --official takes the messages of the PyPI package perfetto.
"""
import json
import sys

BEGIN, END, INSTANT, COUNTER = 1, 2, 3, 4
CLEARED, NEEDED = 1, 2
MONOTONIC, SEQUENCE = 3, 64


def load(argv):
    if argv[2] == "--official":
        from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as messages
    else:
        sys.path.insert(0, argv[2])
        import perfetto_pb2 as messages
    trace = messages.Trace()
    with open(argv[1], "rb") as stream:
        trace.ParseFromString(stream.read())
    return trace


def unknown_in(message, problems):
    """Numbers of fields that the schema does not know, at any depth."""
    try:
        from google.protobuf.unknown_fields import UnknownFieldSet
        fields = UnknownFieldSet(message)
    except ImportError:
        fields = message.UnknownFields()
    for i in range(len(fields)):
        problems.append(f"{message.DESCRIPTOR.name} has an unknown field {fields[i].field_number}")
    for field, value in message.ListFields():
        if field.message_type is not None:
            repeated = getattr(field, "is_repeated", None)
            repeated = field.label == field.LABEL_REPEATED if repeated is None else repeated
            for inner in value if repeated else [value]:
                unknown_in(inner, problems)


class Sequence:
    """The incremental state of one packet sequence."""

    def __init__(self):
        self.is_valid = False
        self.at_ns = None
        self.defaults = None
        self.strings = {"event_categories": {}, "event_names": {}, "debug_annotation_names": {},
                        "debug_annotation_string_values": {}}

    def take(self, packet, problems):
        if packet.sequence_flags & CLEARED:
            before_ns, is_first = self.at_ns, packet.first_packet_on_sequence
            self.__init__()
            self.is_valid = True
            self.at_ns = before_ns
            if is_first != (before_ns is None):
                problems.append("a sequence has two first packets, or none")
        if packet.HasField("clock_snapshot"):
            for clock in packet.clock_snapshot.clocks:
                if clock.clock_id == SEQUENCE:
                    if self.at_ns is not None and clock.timestamp < self.at_ns:
                        problems.append("the clock of a sequence goes back")
                    self.at_ns = clock.timestamp
                    if not clock.is_incremental:
                        problems.append("the clock of a sequence is not incremental")
        if packet.HasField("trace_packet_defaults"):
            self.defaults = packet.trace_packet_defaults
        for kind, strings in self.strings.items():
            for entry in getattr(packet.interned_data, kind):
                text = entry.str.decode() if kind == "debug_annotation_string_values" else entry.name
                if strings.setdefault(entry.iid, text) != text or entry.iid == 0:
                    problems.append(f"{kind} {entry.iid} is given twice, or 0")

    def text(self, kind, iid, problems):
        if iid not in self.strings[kind]:
            problems.append(f"{kind} {iid} was never given")
        return self.strings[kind].get(iid)

    def time(self, packet):
        if packet.timestamp_clock_id == MONOTONIC:
            return packet.timestamp
        self.at_ns += packet.timestamp
        return self.at_ns


def read_event(packet, state, at_ns, problems):
    event = packet.track_event
    track = event.track_uuid if event.HasField("track_uuid") else state.defaults.track_event_defaults.track_uuid
    args = {}
    for arg in event.debug_annotations:
        value = (arg.int_value if arg.HasField("int_value") else
                 arg.double_value if arg.HasField("double_value") else
                 state.text("debug_annotation_string_values", arg.string_value_iid, problems))
        args[state.text("debug_annotation_names", arg.name_iid, problems)] = value
    name = state.text("event_names", event.name_iid, problems) if event.HasField("name_iid") else None
    categories = [state.text("event_categories", iid, problems) for iid in event.category_iids]
    value = event.counter_value if event.HasField("counter_value") else event.double_counter_value
    return {"at": at_ns, "type": int(event.type), "track": track, "name": name, "category": ",".join(categories),
            "args": args, "value": value, "flows": list(event.flow_ids), "ends": list(event.terminating_flow_ids)}


def path_of(tracks, uuid):
    track = tracks[uuid]
    parent = path_of(tracks, track["parent"]) + "/" if track["parent"] in tracks else ""
    return parent + track["name"]


def read_track(descriptor):
    kind, name, pid, tid = "plain", descriptor.name, 0, 0
    if descriptor.HasField("process"):
        kind, name, pid = "process", descriptor.process.process_name, descriptor.process.pid
    elif descriptor.HasField("thread"):
        kind, name = "thread", "thread " + descriptor.thread.thread_name
        pid, tid = descriptor.thread.pid, descriptor.thread.tid
        name += f" {tid}"
    elif descriptor.HasField("counter"):
        kind = "counter"
    return {"name": name, "parent": descriptor.parent_uuid, "kind": kind, "pid": pid, "tid": tid, "open": [],
            "slices": [], "instants": [], "counters": []}


def place(event, track, path, flows, problems):
    at_ns = event["at"]
    shown = {key: event[key] for key in ("at", "name", "category", "args")}
    if event["type"] == COUNTER:
        if track["kind"] != "counter":
            problems.append(f"a counter value on {path}")
        track["counters"].append([at_ns, event["value"]])
        return
    if track["kind"] == "counter":
        problems.append(f"a slice on the counter {path}")
    if event["type"] == BEGIN:
        shown["depth"] = len(track["open"])
        track["open"].append(shown)
        track["slices"].append(shown)
    elif event["type"] == END:
        if not track["open"]:
            problems.append(f"an end without a beginning on {path} at {at_ns}")
            return
        track["open"].pop()["end"] = at_ns
    elif event["type"] == INSTANT:
        shown["inside"] = track["open"][-1]["name"] if track["open"] else None
        track["instants"].append(shown)
    else:
        problems.append(f"an event of type {event['type']}")
    for flow in event["flows"] + event["ends"]:
        steps = flows.setdefault(str(flow), [])
        if steps and steps[-1]["is_end"]:
            problems.append(f"flow {flow} goes on behind its end")
        steps.append({"at": at_ns, "path": path, "name": event["name"], "is_end": flow in event["ends"]})


def main(argv):
    trace = load(argv)
    problems, tracks, clocks, sequences, events = [], {}, {}, {}, []
    absolute = begins = 0
    unknown_in(trace, problems)
    for packet in trace.packet:
        if packet.HasField("track_descriptor"):
            tracks.setdefault(packet.track_descriptor.uuid, read_track(packet.track_descriptor))
        if not packet.trusted_packet_sequence_id:
            if packet.HasField("clock_snapshot"):
                if clocks:
                    problems.append("the clocks are told twice")
                clocks = {str(clock.clock_id): clock.timestamp for clock in packet.clock_snapshot.clocks}
                clocks["primary"] = int(packet.clock_snapshot.primary_trace_clock)
            continue
        state = sequences.setdefault(packet.trusted_packet_sequence_id, Sequence())
        state.take(packet, problems)
        begins += bool(packet.sequence_flags & CLEARED)
        if packet.sequence_flags & NEEDED and not state.is_valid:
            problems.append("a packet needs a state that was not begun")
            continue
        if packet.HasField("track_event"):
            absolute += packet.timestamp_clock_id == MONOTONIC
            events.append(read_event(packet, state, state.time(packet), problems))
            if events[-1]["track"] not in tracks:
                problems.append(f"track {events[-1]['track']} is used before it is described")
    events.sort(key=lambda event: event["at"])  # stable, as the importer's
    flows = {}
    for event in events:
        if event["track"] in tracks:
            place(event, tracks[event["track"]], path_of(tracks, event["track"]), flows, problems)
    by_path = {}
    for uuid, track in [(uuid, dict(track)) for uuid, track in tracks.items()]:
        path = path_of(tracks, uuid)
        if track.pop("open"):
            problems.append(f"a slice on {path} has no end")
        del track["name"], track["parent"]
        while path in by_path:
            path += "+"
        by_path[path] = track
    for flow, steps in flows.items():
        if len(steps) < 2 or not steps[-1]["is_end"]:
            problems.append(f"flow {flow} has {len(steps)} steps, and its end is missing")
    print(json.dumps({"problems": sorted(set(problems)), "clocks": clocks, "tracks": by_path, "flows": flows,
                      "packets": len(trace.packet), "events": len(events), "absolute": absolute, "begins": begins}))


main(sys.argv)
