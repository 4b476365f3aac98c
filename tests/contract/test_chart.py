"""The Helm chart: the same objects as the overlays, valid, and refusing values that it cannot mean."""

import json
import os
import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from tests.contract.chart import CHART, KUBERNETES, VALUES, helm, template, try_template
from tests.contract.manifests import OVERLAYS, ROOT, Json, find, list_pod_templates, load_objects, render_objects

SAME = {"values.yaml": "default", "values-dev.yaml": "dev", "values-prod.yaml": "production"}
HASHED = re.compile(r"^(vapora-nats|vapora-gpu)-[a-z0-9]{10}$")


def normalize(objects: list[Json]) -> dict[tuple[str, str], Json]:
    """Objects by kind and name, without what is Helm's own, and with hashes of contents told as such."""
    return {(obj["kind"], obj["metadata"]["name"]): obj for obj in map(_normalize, objects)}


def _normalize(obj: Json) -> Json:
    meta = obj["metadata"]
    kept = {name: said for name, said in meta.get("annotations", {}).items() if not name.startswith("helm.sh/")}
    others = {name: value for name, value in meta.items() if name != "annotations"}
    body = {**obj, "metadata": {**others, **({"annotations": kept} if kept else {})}}
    return json.loads(json.dumps(body), object_hook=_normalize_node)


def _normalize_node(node: Json) -> Json:
    """Patches of kustomize change the order of volumes, mounts and variables; none of ours rests on one behind it."""
    hidden = {key: HASHED.sub(r"\1-HASH", value) if isinstance(value, str) else value for key, value in node.items()}
    for key in {"volumes", "volumeMounts", "env"} & hidden.keys():
        if isinstance(hidden[key], list):
            hidden[key] = sorted(hidden[key], key=lambda one: one["name"])
    return hidden


@pytest.mark.parametrize(("values", "overlay"), SAME.items(), ids=SAME)
def test_the_chart_makes_the_objects_of_the_overlay(values: str, overlay: str) -> None:
    """But the namespace, which `helm install --create-namespace` makes."""
    ours = normalize(template("-f", str(CHART / values)))
    theirs = normalize([obj for obj in render_objects(OVERLAYS / overlay) if obj["kind"] != "Namespace"])
    assert ours.keys() == theirs.keys()
    for key, obj in theirs.items():
        assert ours[key] == obj, key


def test_what_prometheus_and_grafana_are_given_is_that_of_the_component_and_labelled_as_asked(tmp_path: Path) -> None:
    folders = {
        "resources": [OVERLAYS / "default"],
        "components": [ROOT / "kustomize" / "components" / "prometheus"],
    }
    named = {key: [os.path.relpath(path, tmp_path.resolve()) for path in paths] for key, paths in folders.items()}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(named))
    theirs = normalize([obj for obj in render_objects(tmp_path) if obj["kind"] != "Namespace"])
    assert normalize(template("--set", "prometheus.enabled=true")) == theirs
    asked = template("--set", "prometheus.enabled=true,prometheus.labels.release=stack", namespace="team-a")
    for name in theirs.keys() - normalize(template()).keys():
        meta = find(asked, *name)["metadata"]
        assert (meta["namespace"], meta["labels"]["release"]) == ("team-a", "stack")


@pytest.mark.parametrize("values", VALUES)
def test_the_chart_passes_helms_own_checks(values: str) -> None:
    done = helm("lint", "--strict", str(CHART), "-f", str(CHART / values))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", VALUES)
def test_every_object_is_valid(values: str) -> None:
    for obj in template("-f", str(CHART / values), "--set", "author=true,tenants={team-a}"):
        kubernetes_validate.validate(obj, KUBERNETES, strict=True)


def test_the_test_of_an_installation_is_as_restricted_as_all_pods() -> None:
    done = try_template("-s", "templates/tests/ready.yaml")
    [pod] = load_objects(done.stdout)
    [operator, *_] = list_pod_templates([find(template(), "Deployment", "vapora-operator")])
    kubernetes_validate.validate(pod, KUBERNETES, strict=True)
    (ours,), (theirs,) = pod["spec"]["containers"], operator["containers"]
    assert ours["securityContext"] == theirs["securityContext"]
    assert ours["image"] == theirs["image"]


def test_definitions_and_volumes_outlive_a_release() -> None:
    kept = {"CustomResourceDefinition", "PersistentVolumeClaim"}
    for obj in template("-f", str(CHART / "values-prod.yaml")):
        is_kept = obj["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
        assert is_kept == (obj["kind"] in kept), obj["metadata"]["name"]


def test_an_operator_of_one_namespace_has_rights_in_no_other() -> None:
    objects = template("--set", "namespaced=true", namespace="team-a")
    wide = [obj for obj in objects if obj["kind"] == "ClusterRoleBinding"]
    assert [obj["roleRef"]["name"] for obj in wide] == ["vapora-operator-cluster"]
    assert find(objects, "RoleBinding", "vapora-operator-namespace")["roleRef"]["name"] == "vapora-operator"
    assert {o["metadata"]["namespace"] for o in objects if o["kind"] == "RoleBinding"} == {"team-a"}
    [container] = find(objects, "Deployment", "vapora-operator")["spec"]["template"]["spec"]["containers"]
    assert {"name": "VAPORA_NAMESPACE", "value": "$(POD_NAMESPACE)"} in container["env"]
    assert "vapora-system" not in yaml.safe_dump([obj for obj in objects if "namespace" in obj["metadata"]])


def test_two_releases_share_the_objects_of_the_cluster_and_no_other() -> None:
    first, second = (
        {
            (obj["kind"], obj["metadata"].get("namespace"), obj["metadata"]["name"])
            for obj in template("--set", f"namespaced=true,clusterObjects={is_first}", namespace=namespace)
        }
        for namespace, is_first in (("team-a", "true"), ("team-b", "false"))
    )
    assert first & second == set()


def test_a_store_and_a_broker_of_ones_own_take_the_place_of_ours() -> None:
    own = "graph.url=postgresql://me@db:5432/vapora,nats.enabled=false,nats.url=nats://broker:4222,replicas=2"
    objects = template("--set", own)
    [container] = find(objects, "Deployment", "vapora-operator")["spec"]["template"]["spec"]["containers"]
    env = {row["name"]: row.get("value") for row in container["env"]}
    assert env["VAPORA_GRAPH_URL"] == "postgresql://me@db:5432/vapora"
    assert env["VAPORA_NATS_URL"] == "nats://broker:4222"
    assert not [obj for obj in objects if obj["kind"] in {"StatefulSet", "PersistentVolumeClaim"}]


REFUSED = {
    "a value that there is not": ("replica=2", "replica"),
    "a number of replicas that is a word": ("replicas=two", "replicas"),
    "two operators that would write one file": ("replicas=2", "more than one needs the graph in a server"),
    "a size without a unit": ("nats.persistence.size=5", "size"),
    "an image without a version": ("nats.image=nats", "image"),
    "a variable that is none": ("env[0].name=log-level", "env"),
}


@pytest.mark.parametrize(("setting", "told"), REFUSED.values(), ids=REFUSED)
def test_values_are_refused_that_the_chart_cannot_mean(setting: str, told: str) -> None:
    done = try_template("--set", setting)
    assert done.returncode != 0
    assert told in done.stderr


def list_values(values: Json, before: str = "") -> list[str]:
    found = []
    for name, value in values.items():
        is_group = isinstance(value, dict) and value and name != "resources"
        found += list_values(value, f"{before}{name}.") if is_group else [f"{before}{name}"]
    return found


def test_every_value_is_in_the_schema_and_in_the_charts_readme() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    names = list_values(yaml.safe_load((CHART / "values.yaml").read_text()))
    page = (CHART / "README.md").read_text().split("\n## Values\n")[1]
    told = set(re.findall(r"^\| `([\w.]+)` \|", page, re.MULTILINE))
    assert set(names) == told
    assert {name.split(".")[0] for name in names} == set(schema["properties"])


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    image = find(template(), "Deployment", "vapora-operator")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert chart["version"] == chart["appVersion"] == image.partition(":")[2]


def test_values_of_the_stages_are_of_one_shape() -> None:
    """Staging differs from production in sizes only."""

    def shape(values: str) -> set[tuple[str, str]]:
        return set(normalize(template("-f", str(CHART / values))))

    assert shape("values-staging.yaml") == shape("values-prod.yaml")
