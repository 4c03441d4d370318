"""Decode a message of ROS 2 from its bytes: an implementation of its own, from the .msg texts and the rules of plain CDR.

usage: cdr_decode.py TYPE HEX     prints one line a field, and fails when bytes are left over
"""
import struct
import sys

from ros2_texts import fields_of

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
            for field_kind, field_name in fields_of(kind):
                self.value(field_kind, f"{name}.{field_name}".lstrip("."))


reader = Reader(bytes.fromhex(sys.argv[2]))
reader.value(sys.argv[1], "")
left = len(reader.data) - reader.at
if left > 3 or left != reader.padding:
    sys.exit(f"{left} bytes are left over")
