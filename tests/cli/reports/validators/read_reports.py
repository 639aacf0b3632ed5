"""Reads reports with libraries that others wrote, and prints one JSON object a file: its errors, and what was read.

    read_reports.py schema SCHEMA FILE…    JSON against a JSON Schema, with jsonschema
    read_reports.py junit SCHEMA FILE…     JUnit XML against an XML Schema, with xmlschema; read with junitparser
"""

import json
import sys
from pathlib import Path
from urllib.parse import urljoin
from xml.parsers import expat


def of_schema(path):
    from jsonschema.validators import validator_for
    from referencing import Registry, Resource

    def load(path):
        with open(path, encoding="utf-8-sig") as file:
            return json.load(file)

    schema = load(path)
    # A schema may refer to others of its folder by their names.
    others = {other.name: load(other) for other in Path(path).parent.glob("*.schema.json")}
    resources = ((urljoin(schema.get("$id", ""), name), Resource.from_contents(other)) for name, other in others.items())
    registry = Registry().with_resources(resources)
    validator = validator_for(schema)
    validator.check_schema(schema)

    def read(report):
        with open(report, encoding="utf-8") as file:
            document = json.load(file)
        found = validator(schema, registry=registry).iter_errors(document)
        return {"errors": [f"{error.json_path}: {error.message:.300}" for error in found]}

    return read


def of_junit(path):
    import junitparser
    import xmlschema

    schema = xmlschema.XMLSchema(path)

    def read(report):
        # Whether every character is legal in XML 1.0.
        with open(report, "rb") as file:
            expat.ParserCreate().ParseFile(file)
        errors = [f"{error.path}: {error.reason}" for error in schema.iter_errors(report)]
        suites = junitparser.JUnitXml.fromfile(report)
        totals = {name: getattr(suites, name) for name in ("tests", "failures", "errors", "skipped")}
        return {"errors": errors, "totals": totals, "suites": [suite_of(suite) for suite in suites]}

    def suite_of(suite):
        totals = {name: getattr(suite, name) for name in ("tests", "failures", "errors", "skipped")}
        return {"name": suite.name, "totals": totals, "cases": [case_of(case) for case in suite]}

    def case_of(case):
        results = [{"kind": type(result).__name__.lower(), "type": result.type, "message": result.message,
                    "text": result.text} for result in case.result]
        return {"name": case.name, "classname": case.classname, "results": results, "system_out": case.system_out}

    return read


def main():
    kind, schema, *reports = sys.argv[1:]
    read = {"schema": of_schema, "junit": of_junit}[kind](schema)
    for report in reports:
        try:
            found = read(report)
        except (ValueError, expat.ExpatError) as error:
            found = {"errors": [f"cannot be read: {error}"]}
        print(json.dumps({"file": report, **found}))


main()
