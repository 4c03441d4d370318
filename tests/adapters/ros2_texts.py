"""The messages of ROS 2 that we speak, as texts of .msg files: what programs of others build theirs from."""

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


def fields_of(message):
    """[(type, name)] of one of them."""
    return [tuple(line.split()) for line in MESSAGES[message].split("\n")]
