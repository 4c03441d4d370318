"""Show images to einet-dds and read its answers with CycloneDDS for Python, whose messages are put together and taken
apart by code of its own, in Python, and whose library is another than ours.

usage: cyclonedds_peer.py DOMAIN TASK SEC     one image whose stamp has these seconds, on /camera/image_raw, 32x32, again
                                              until it was answered; prints the answers, a line a field
"""
import sys
import time

from cyclonedds.core import Policy, Qos
from cyclonedds.domain import DomainParticipant
from cyclonedds.idl import make_idl_struct, types
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration

from ros2_texts import fields_of

PACKAGES = {"Time": "builtin_interfaces", "Header": "std_msgs", "Image": "sensor_msgs", "ObjectHypothesis": "vision_msgs",
            "Classification": "vision_msgs", "InferenceStatus": "einet_msgs"}
PLAIN = {"bool": bool, "string": str, "uint8": types.uint8, "int32": types.int32, "uint32": types.uint32,
         "int64": types.int64, "float32": types.float32, "float64": types.float64}
SIDE = 32
made = {}


def type_of(kind):
    if kind.endswith("[]"):
        return types.sequence[type_of(kind[:-2])]
    if kind in PLAIN:
        return PLAIN[kind]
    if kind not in made:
        fields = {name: type_of(field) for field, name in fields_of(kind)}
        made[kind] = make_idl_struct(kind, f"{PACKAGES[kind]}.msg.dds_.{kind}_", fields)
    return made[kind]


def print_value(value, name):
    if isinstance(value, (list, tuple)):
        for i, one in enumerate(value):
            print_value(one, f"{name}.{i}")
    elif hasattr(value, "__dataclass_fields__"):
        for field in value.__dataclass_fields__:
            print_value(getattr(value, field), f"{name}.{field}")
    else:
        print(name, int(value) if isinstance(value, bool) else value)


def main(domain, task, sec):
    participant = DomainParticipant(int(domain))
    qos = Qos(Policy.Reliability.Reliable(duration(seconds=1)), Policy.History.KeepAll)

    def end(make, message, name):
        return make(participant, Topic(participant, f"rt{name}", type_of(message)), qos=qos)

    images = end(DataWriter, "Image", "/camera/image_raw")
    statuses = end(DataReader, "InferenceStatus", f"/einet/{task}/status")
    classifications = end(DataReader, "Classification", f"/einet/{task}/classification")
    stamp = type_of("Time")(sec=int(sec), nanosec=5)
    image = type_of("Image")(header=type_of("Header")(stamp=stamp, frame_id="peer"), height=SIDE, width=SIDE,
                             encoding="rgb8", is_bigendian=0, step=3 * SIDE, data=bytes(3 * SIDE * SIDE))
    heard = {}
    for _ in range(600):
        images.write(image)  # until both sides know each other
        time.sleep(0.05)
        for name, reader in (("status", statuses), ("classification", classifications)):
            for sample in reader.take(10):
                heard.setdefault(name, sample)
        if len(heard) == 2:
            break
    for name, sample in heard.items():
        print_value(sample, name)
    return 0 if len(heard) == 2 else 1


sys.exit(main(*sys.argv[1:]))
