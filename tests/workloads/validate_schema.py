"""Judge workload files by a JSON Schema with an independent validator: one line a file, `ok FILE` or `refused FILE: where: why`.

usage: validate_schema.py SCHEMA.json FILE...
"""
import json
import sys

import jsonschema
import yaml

with open(sys.argv[1], encoding="utf-8") as source:
    schema = json.load(source)
jsonschema.Draft7Validator.check_schema(schema)
validator = jsonschema.Draft7Validator(schema)
for path in sys.argv[2:]:
    try:
        with open(path, encoding="utf-8") as source:
            document = yaml.safe_load(source)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        print(f"refused {path}: no YAML: {str(error).splitlines()[0]}")
        continue
    found = jsonschema.exceptions.best_match(validator.iter_errors(document))
    if found is None:
        print(f"ok {path}")
    else:
        where = ".".join(str(part) for part in found.absolute_path)
        print(f"refused {path}: {where}: {str(found.message).splitlines()[0][:160]}")
