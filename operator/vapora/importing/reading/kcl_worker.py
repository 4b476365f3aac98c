"""Compiles KCL in a process of its own: run as a script with `-I`, it imports nothing of ours.

The KCL library holds the interpreter's lock, ends the process on endless recursion, and its modules read and write
files. So limits are set before it is loaded, and modules that do more than compute are refused before anything runs.
The request is JSON on the standard input, the answer JSON on the standard output.
"""

import json
import resource
import sys
from collections.abc import Iterator, Sequence
from typing import Any

Node = dict[str, Any]
Row = tuple[list[str | int], int, int]

MEMORY_BYTES = 1 << 30
CPU_SECONDS = 5
OPEN_FILES = 64
MAX_ANSWER = 32 * 1024 * 1024
# They only compute, and give the same for the same; `json` and `yaml` also write files, `file` reads them.
MODULES = frozenset({"base64", "collection", "math", "regex", "units"})
SYSTEM_MODULES = MODULES | {"crypto", "datetime", "file", "json", "manifests", "net", "runtime", "template", "yaml"}
INSTANCE = "vapora_instance_of_"


def limit() -> None:
    """Takes from this process what a compiler does not need."""
    for name, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(name, (value, value))


def answer(request: dict[str, str]) -> Node:
    """Compiles `main` in the folder `root`; answers with value, places, imports, schemas, or with errors as text."""
    from kcl_lib import api  # noqa: PLC0415  # only within the limits

    kcl, main = api.API(), f"{request['root']}/{request['main']}"
    parsed = kcl.parse_program(api.ParseProgramArgs(paths=[main]))
    packages = json.loads(parsed.ast_json)["pkgs"]
    modules = [module for package in packages.values() for module in package]
    refused = [place for module in modules for place in find_refused(module)]
    if refused:
        return {"refused": refused}
    schemas = [name for module in packages["__main__"] for name in list_schemas(module)]
    try:
        value, errors = execute(kcl, api, main)
        if value == {} and schemas and not errors:
            value, errors = execute(kcl, api, main, [f"{INSTANCE}{name} = {name} {{}}" for name in schemas])
    except Exception as problem:  # noqa: BLE001  # the library raises nothing more precise
        return {"errors": str(problem), "schemas": schemas}
    if errors:
        return {"errors": errors, "schemas": schemas}
    places = [row for module in packages["__main__"] for row in list_places(module)]
    return {"value": value, "places": places, "defines": list(find_defined(packages["__main__"]))}


def execute(kcl: Any, api: Any, main: str, added: Sequence[str] = ()) -> tuple[Node, str]:
    """Returns the value of a file with lines added at its end, and what went wrong."""
    with open(main, encoding="utf-8") as source:  # noqa: PTH123  # nothing else is loaded here
        code = "\n".join([source.read(), *added])
    arguments = api.ExecProgramArgs(k_filename_list=[main], k_code_list=[code], disable_yaml_result=True)
    result = kcl.exec_program(arguments)
    return json.loads(result.json_result or "{}"), result.err_message


def find_refused(module: Node) -> list[tuple[str, int, int, str]]:
    """Returns the places of imports of modules that do more than compute."""
    imports = [row for row in module["body"] if row["node"]["type"] == "Import"]
    return [
        (module["filename"], row["line"], row["column"] + 1, row["node"]["path"]["node"])
        for row in imports
        if row["node"]["path"]["node"].split(".")[0] in SYSTEM_MODULES - MODULES
    ]


def list_schemas(module: Node) -> list[str]:
    """Returns the names of a module's schemas."""
    return [row["node"]["name"]["node"] for row in module["body"] if row["node"]["type"] == "Schema"]


def find_defined(modules: list[Node]) -> Iterator[tuple[str, str]]:
    """Yields for each variable that is an instance of a schema: its name, and the schema's."""
    for module in modules:
        for row in module["body"]:
            value = row["node"].get("value") or {}
            if row["node"]["type"] == "Assign" and value["node"]["type"] == "Schema":
                yield (
                    row["node"]["targets"][0]["node"]["name"]["node"],
                    value["node"]["name"]["node"]["names"][-1]["node"],
                )


def list_places(module: Node) -> Iterator[Row]:
    """Yields paths of values that are written as literals, with line and column."""
    for row in module["body"]:
        node = row["node"]
        if node["type"] == "Assign":
            name = node["targets"][0]["node"]["name"]["node"]
            yield [name], row["line"], row["column"] + 1
            yield from walk(node["value"], [name])
        elif node["type"] == "Schema":
            name = INSTANCE + node["name"]["node"]
            yield [name], row["line"], row["column"] + 1
            for inner in node["body"]:
                for field in name_field(inner["node"]):
                    yield [name, field], inner["line"], inner["column"] + 1


def name_field(node: Node) -> list[str]:
    """Returns the name of a schema's field, as a list; empty for what is none."""
    if node["type"] == "SchemaAttr":
        return [node["name"]["node"]]
    return [node["targets"][0]["node"]["name"]["node"]] if node["type"] == "Assign" else []


def walk(value: Node, path: list[str | int]) -> Iterator[Row]:
    """Yields the places inside a literal."""
    node = value["node"]
    if node["type"] == "Schema":
        yield from walk(node["config"], path)
    elif node["type"] == "List":
        for index, item in enumerate(node["elts"]):
            yield [*path, index], item["line"], item["column"] + 1
            yield from walk(item, [*path, index])
    elif node["type"] == "Config":
        for item in node["items"]:
            key = item["node"]["key"]
            if key is None:
                continue
            names = key["node"].get("names")
            keys = [name["node"] for name in names] if names else [key["node"].get("value")]
            yield [*path, *keys], key["line"], key["column"] + 1
            yield from walk(item["node"]["value"], [*path, *keys])


if __name__ == "__main__":
    limit()
    written = json.dumps(answer(json.loads(sys.stdin.read())))
    if len(written) > MAX_ANSWER:
        written = json.dumps({"errors": f"its value has {len(written)} bytes as JSON; allowed are {MAX_ANSWER}"})
    sys.stdout.write(written)
