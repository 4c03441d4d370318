"""Look at examples/ros2 where ROS 2 is not: against the rules of its formats, by an implementation of their own.

usage: ros2_package.py hash FILE.msg     prints RIHS01_..., computed from the text of the message (REP 2011, REP 2016)
       ros2_package.py check FOLDER      the package and the launch file; prints "ok" or what is wrong, and fails then
"""
import hashlib
import json
import os
import re
import runpy
import sys
import types
import xml.etree.ElementTree

# type_description_interfaces/msg/FieldType
PLAIN = {"int8": 2, "uint8": 3, "int16": 4, "uint16": 5, "int32": 6, "uint32": 7, "int64": 8, "uint64": 9, "float32": 10,
         "float64": 11, "bool": 15, "byte": 16, "string": 17}
KNOWN = {"builtin_interfaces/Time": "int32 sec\nuint32 nanosec"}  # of other packages
FIELD = re.compile(r"([a-z0-9]+|[a-z][a-z0-9_]*/[A-Z][A-Za-z0-9]*) ([a-z][a-z0-9]*(?:_[a-z0-9]+)*)")
CONSTANT = re.compile(r"([a-z0-9]+) ([A-Z](?:[A-Z0-9_]*[A-Z0-9])?)=(-?[0-9]+)")


def fields_of(text):
    """[(type, name)] of a .msg text; every line is a field, a constant or a comment."""
    fields, constants = [], {}
    for number, line in enumerate(text.split("\n"), 1):
        line = re.sub(" +", " ", line.split("#")[0].strip())
        constant = CONSTANT.fullmatch(line)
        field = FIELD.fullmatch(line)
        if constant:
            if constant[1] not in PLAIN or constant[2] in constants:
                sys.exit(f"line {number}: {line}")
            constants[constant[2]] = int(constant[3])
        elif field and (field[1] in PLAIN or field[1] in KNOWN) and field[2] not in (name for _, name in fields):
            fields.append((field[1], field[2]))
        elif line:
            sys.exit(f"line {number}: neither a field nor a constant: {line}")
    return fields


def full_name(kind):
    return kind.replace("/", "/msg/")


def description(name, fields):
    return {"type_name": name,
            "fields": [{"name": field, "type": {"type_id": PLAIN.get(kind, 1), "capacity": 0, "string_capacity": 0,
                                                "nested_type_name": full_name(kind) if kind in KNOWN else ""}}
                       for kind, field in fields]}


def print_hash(path):
    parts = os.path.abspath(path).split(os.sep)
    name = f"{parts[-3]}/msg/{parts[-1].removesuffix('.msg')}"
    with open(path, encoding="ascii") as file:
        fields = fields_of(file.read())
    referenced = sorted({kind for kind, _ in fields if kind in KNOWN})
    whole = {"type_description": description(name, fields),
             "referenced_type_descriptions": [description(full_name(kind), fields_of(KNOWN[kind]))
                                              for kind in referenced]}
    print("RIHS01_" + hashlib.sha256(json.dumps(whole).encode()).hexdigest())


def check_package(folder, version):
    """package.xml of format 3 (REP 149) for a package of messages, and what CMakeLists.txt needs of it."""
    root = xml.etree.ElementTree.parse(f"{folder}/package.xml").getroot()
    assert root.tag == "package" and root.get("format") == "3", "format 3 is wanted"
    one = {tag: [e for e in root if e.tag == tag] for tag in ("name", "version", "description")}
    assert all(len(found) == 1 and found[0].text.strip() for found in one.values()), "name, version, description: once each"
    name = one["name"][0].text
    assert re.fullmatch("[a-z][a-z0-9_]*", name) and name == os.path.basename(folder), name
    assert one["version"][0].text == version, f"version {one['version'][0].text}, einet is {version}"
    assert all("@" in e.get("email", "") for e in root.iter("maintainer")) and root.find("maintainer") is not None
    assert root.find("license") is not None
    allowed = {"name", "version", "description", "maintainer", "license", "buildtool_depend", "depend", "exec_depend",
               "member_of_group", "export"}
    assert {e.tag for e in root} <= allowed, "an element that does not belong there"
    has = {(e.tag, e.text) for e in root}
    for wanted in (("buildtool_depend", "ament_cmake"), ("buildtool_depend", "rosidl_default_generators"),
                   ("exec_depend", "rosidl_default_runtime"), ("member_of_group", "rosidl_interface_packages")):
        assert wanted in has, f"{wanted} is missing"
    assert root.findtext("export/build_type") == "ament_cmake"
    with open(f"{folder}/CMakeLists.txt", encoding="ascii") as file:
        text = file.read()
    assert re.search(rf"^project\({name}\)$", text, re.M), "project() is another"
    found = set(re.findall(r"find_package\((\S+) REQUIRED\)", text))
    assert found == {e.text for e in root if e.tag in ("buildtool_depend", "depend")}, "find_package and package.xml differ"
    generated = re.search(r"rosidl_generate_interfaces\(\$\{PROJECT_NAME\} ((?:\"[^\"]+\" ?)+)DEPENDENCIES ([^)]*)\)", text)
    assert set(re.findall('"([^"]+)"', generated[1])) == {f"msg/{f}" for f in os.listdir(f"{folder}/msg")}, "messages"
    assert set(generated[2].split()) == {e.text for e in root if e.tag == "depend"}, "DEPENDENCIES"
    assert text.rstrip().endswith("ament_package()"), "ament_package() comes last"


class Recorded:
    """Stands in for anything of launch: keeps what it was made with."""

    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs


def check_launch(path):
    """Run the launch file with stand-ins: it starts one process, out of arguments that it declares."""
    for module, names in {"launch": ["LaunchDescription"], "launch.actions": ["DeclareLaunchArgument", "ExecuteProcess"],
                          "launch.substitutions": ["LaunchConfiguration"]}.items():
        sys.modules[module] = types.ModuleType(module)
        for name in names:
            setattr(sys.modules[module], name, type(name, (Recorded,), {}))
    entities = runpy.run_path(path)["generate_launch_description"]().args[0]
    declared = {e.args[0] for e in entities if type(e).__name__ == "DeclareLaunchArgument"}
    (process,) = [e for e in entities if type(e).__name__ == "ExecuteProcess"]
    used = [part.args[0] if isinstance(part, Recorded) else part for part in process.kwargs["cmd"]]
    assert used == ["command", "--priority", "priority", "workload"], used
    assert {part.args[0] for part in process.kwargs["cmd"] if isinstance(part, Recorded)} == declared, declared


if sys.argv[1] == "hash":
    print_hash(sys.argv[2])
else:
    with open("CMakeLists.txt", encoding="ascii") as top:
        project_version = re.search(r"project\(einet VERSION (\S+)", top.read())[1]
    try:
        check_package(f"{sys.argv[2]}/einet_msgs", project_version)
        check_launch(f"{sys.argv[2]}/launch/einet.launch.py")
    except AssertionError as error:
        sys.exit(f"wrong: {error}")
    print("ok")
