"""Reading the file of a Workflow and checking it before it is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import yaml

from vapora.core.naming import API_VERSION, CREATED_BY_CLI, LABEL_CREATED_BY
from vapora.core.supported import SpecProblem
from vapora.core.views import child, text

KIND = "Workflow"


class BadFile(ValueError):
    """Says what is no Workflow in a file."""


class Refused(ValueError):
    """Says where a Workflow is wrong, or uses what is not done yet."""


class _Loader(yaml.SafeLoader):
    """Reads a date as the text it is, as Kubernetes does."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_manifest(source: str) -> dict[str, object]:
    """Returns the one Workflow in a text of YAML or JSON; raises BadFile."""
    try:
        documents = [found for found in yaml.load_all(source, _Loader) if found is not None]
    except yaml.YAMLError as problem:
        raise BadFile(f"is no YAML: {_describe(problem)}") from problem
    if len(documents) != 1:
        raise BadFile(f"holds {len(documents)} objects; one Workflow is run at a time")
    manifest = documents[0]
    if not isinstance(manifest, dict) or (manifest.get("apiVersion"), manifest.get("kind")) != (API_VERSION, KIND):
        raise BadFile(f"is no Workflow: apiVersion must be {API_VERSION} and kind {KIND}")
    return manifest


def _describe(problem: yaml.YAMLError) -> str:
    if not isinstance(problem, yaml.MarkedYAMLError) or problem.problem_mark is None:
        return str(problem)
    mark = problem.problem_mark
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem.problem}"


def read_params(pairs: Sequence[str]) -> dict[str, object]:
    """Reads `KEY=VALUE` pairs; a value that is JSON is taken as such, anything else as text. Raises BadFile."""
    params: dict[str, object] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not key or not separator:
            raise BadFile(f"--param {pair}: must be KEY=VALUE")
        params[key] = _read_value(value)
    return params


def _read_value(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value


def fill_in(manifest: Mapping[str, object], namespace: str | None, params: Mapping[str, object]) -> dict[str, object]:
    """Returns the manifest with the params over its own, in the namespace asked for; raises BadFile for another's.

    Its label says that it was submitted, not applied, so that `ttlAfterFinished` deletes it.
    """
    meta, spec = child(manifest, "metadata"), child(manifest, "spec")
    own = text(meta, "namespace")
    if own and namespace and own != namespace:
        raise BadFile(f"is for namespace {own}, but -n says {namespace}")
    if not text(meta, "name") and not text(meta, "generateName"):
        raise BadFile("has no name: metadata.name or metadata.generateName is needed")
    filled = {**spec, "params": {**child(spec, "params"), **params}} if params else spec
    labels = {**child(meta, "labels"), LABEL_CREATED_BY: CREATED_BY_CLI}
    placed = {**meta, **({"namespace": namespace} if namespace else {}), "labels": labels}
    return {**manifest, "metadata": placed, "spec": filled}


def build_of_template(name: str) -> dict[str, object]:
    """Returns a Workflow that runs a WorkflowTemplate; the API server names it after the template."""
    spec = {"templateRef": {"name": name}}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"generateName": f"{name}-"}, "spec": spec}


def find_template(manifest: Mapping[str, object]) -> str:
    """Returns the name of the WorkflowTemplate that a Workflow runs; empty for one with steps of its own."""
    return text(child(manifest, "spec", "templateRef"), "name")


def resolve(manifest: Mapping[str, object], template: Mapping[str, object]) -> Mapping[str, object]:
    """Returns the spec that a Workflow with `templateRef` runs; raises Refused where its params do not fit."""
    # Only here, as below: templates are rendered by a library that no other command needs.
    from vapora.core.template.resolution import resolve_template  # noqa: PLC0415

    resolved = resolve_template(child(manifest, "spec"), child(template, "spec"))
    if isinstance(resolved, SpecProblem):
        raise Refused(f"{resolved.reason}: {resolved.message}")
    return resolved


def check_spec(spec: Mapping[str, object]) -> None:
    """Raises Refused, with the place, for a spec that the operator would refuse too."""
    # Only here: expressions are compiled by a library that no other command needs.
    from vapora.core.workflow.definition import read_definition  # noqa: PLC0415

    definition = read_definition(spec)
    if isinstance(definition, SpecProblem):
        raise Refused(f"{definition.reason}: {definition.message}")
