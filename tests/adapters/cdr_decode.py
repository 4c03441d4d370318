"""Decode a message of ROS 2 from its bytes: an implementation of its own, from the .msg texts and the rules of plain CDR.

usage: cdr_decode.py TYPE HEX     prints one line a field, and fails when bytes are left over
"""
import struct
import sys

MESSAGES = {
    "Time": "int32 sec\nuint32 nanosec",
    "Header": "Time stamp\nstring frame_id",
    "Image": "Header header\nuint32 height\nuint32 width\nstring encoding\nuint8 is_bigendian\nuint32 step\nuint8[] data",
    "CompressedImage": "Header header\nstring format\nuint8[] data",
    "ObjectHypothesis": "string class_id\nfloat64 score",
    "Classification": "Header header\nObjectHypothesis[] results",
    "KeyValue": "string key\nstring value",
    "DiagnosticStatus": "byte level\nstring name\nstring message\nstring hardware_id\nKeyValue[] values",
    "DiagnosticArray": "Header header\nDiagnosticStatus[] status",
}
# Ours, as other programs get it: the text that they build from.
with open("examples/ros2/einet_msgs/msg/InferenceStatus.msg", encoding="ascii") as text:
    lines = [line.split("#")[0].split() for line in text]
MESSAGES["InferenceStatus"] = "\n".join(f"{line[0].split('/')[-1]} {line[1]}" for line in lines
                                         if len(line) == 2 and "=" not in line[1])
PLAIN = {"bool": "?", "byte": "B", "uint8": "B", "int32": "i", "uint32": "I", "int64": "q", "float32": "f", "float64": "d"}


class Reader:
    def __init__(self, data):
        if data[:2] not in (b"\x00\x00", b"\x00\x01"):
            sys.exit(f"the encapsulation is {data[:2].hex()}, not plain CDR")
        self.order = "<" if data[1] else ">"
        self.padding = data[3] & 3
        self.data = data[4:]
        self.at = 0

    def plain(self, code):
        size = struct.calcsize(code)
        self.at += -self.at % size  # aligned from behind the encapsulation on
        (value,) = struct.unpack_from(self.order + code, self.data, self.at)
        self.at += size
        return value

    def text(self):
        length = self.plain("I")
        raw = self.data[self.at:self.at + length]
        self.at += length
        if raw[-1:] != b"\0":
            sys.exit("a string without its end")
        return raw[:-1].decode()

    def value(self, kind, name):
        if kind.endswith("[]"):
            count = self.plain("I")
            print(f"{name}.length {count}")
            for i in range(count):
                self.value(kind[:-2], f"{name}.{i}")
        elif kind == "string":
            print(name, self.text())
        elif kind in PLAIN:
            print(name, self.plain(PLAIN[kind]))
        else:
            for line in MESSAGES[kind].split("\n"):
                field_kind, field_name = line.split()
                self.value(field_kind, f"{name}.{field_name}".lstrip("."))


reader = Reader(bytes.fromhex(sys.argv[2]))
reader.value(sys.argv[1], "")
left = len(reader.data) - reader.at
if left > 3 or left != reader.padding:
    sys.exit(f"{left} bytes are left over")
