"""What is installed: rendered as shipped, valid, pinned, restricted, and with no right too many."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from tests.cluster.binaries import locate_tool
from tests.contract.manifests import (
    OVERLAYS,
    ROOT,
    Json,
    find,
    list_pod_templates,
    load_objects,
    name_object,
    render,
    render_objects,
)
from tests.contract.rbac import Call, allowed, list_grants, missing

from vapora.adapters.kube_kinds import RESOURCES
from vapora.api.kinds import GROUP, KINDS
from vapora.cli.uninstall import INSTALLED as INSTALLED_KINDS
from vapora.cli.uninstall import PART as PART_SELECTOR
from vapora.core.gpu.job import GpuSettings
from vapora.core.gpu.settings import parse_gpu_settings
from vapora.settings import Settings

KUBERNETES = "1.36"
RENDERED = {
    "default": OVERLAYS / "default",
    "dev": OVERLAYS / "dev",
    "production": OVERLAYS / "production",
    "the component for Prometheus": ROOT / "kustomize" / "components" / "prometheus",
    "the author's component": ROOT / "kustomize" / "components" / "author",
    "the access of the example": ROOT / "examples" / "vapora-wrksp" / "access",
}
EVERY = [RENDERED[name] for name in ("default", "dev", "production")]
INSTALLED = render_objects(OVERLAYS / "default")
PRODUCTION = render_objects(OVERLAYS / "production")
IMAGE = re.compile(r"^[a-z0-9./-]+:v?[0-9][\w.-]*$")
PART = PART_SELECTOR.split("=")
VARIABLE = re.compile(r"\$\(([A-Z_]+)\)")


def test_the_shipped_file_is_what_the_default_overlay_renders() -> None:
    """`make generate` writes it."""
    comment, _, shipped = (ROOT / "manifests" / "install.yaml").read_text().partition("\n")
    assert comment.startswith("# Rendered from kustomize/overlays/default")
    assert shipped == render(OVERLAYS / "default")


@pytest.mark.parametrize("folder", RENDERED.values(), ids=RENDERED)
def test_every_object_is_valid(folder: Path) -> None:
    for obj in render_objects(folder):
        if not obj["apiVersion"].startswith((GROUP, "monitoring.coreos.com")):
            kubernetes_validate.validate(obj, KUBERNETES, strict=True)


@pytest.mark.parametrize("folder", EVERY, ids=lambda path: path.name)
def test_every_image_is_pinned_by_a_tag(folder: Path) -> None:
    images = [c["image"] for pod in list_pod_templates(render_objects(folder)) for c in pod["containers"]]
    assert images
    assert [image for image in images if not IMAGE.match(image)] == []


@pytest.mark.parametrize("folder", EVERY, ids=lambda path: path.name)
def test_every_pod_is_restricted(folder: Path) -> None:
    for pod in list_pod_templates(render_objects(folder)):
        security = pod["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] in {1000, 999}  # the image of PostgreSQL has a user of its own
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["enableServiceLinks"] is False
        assert pod["automountServiceAccountToken"] is (pod.get("serviceAccountName") == "vapora-operator")
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"requests", "limits"} <= container["resources"].keys()
            assert {"livenessProbe", "readinessProbe"} <= container.keys()


def test_dev_is_half_a_cpu_and_512_mebibytes_and_keeps_nothing() -> None:
    objects = render_objects(OVERLAYS / "dev")
    operator = find(objects, "Deployment", "vapora-operator")["spec"]["template"]["spec"]
    assert operator["containers"][0]["resources"]["limits"] == {"cpu": "500m", "memory": "512Mi"}
    assert not any(obj["kind"] == "PersistentVolumeClaim" for obj in objects)


def test_the_operator_runs_once_as_its_graph_has_one_writer() -> None:
    spec = find(INSTALLED, "Deployment", "vapora-operator")["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})


def test_in_production_one_operator_works_and_another_stands_by_elsewhere() -> None:
    spec = find(PRODUCTION, "Deployment", "vapora-operator")["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (2, "RollingUpdate")
    spread = spec["template"]["spec"]["topologySpreadConstraints"]
    assert [row["topologyKey"] for row in spread] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    budget = find(PRODUCTION, "PodDisruptionBudget", "vapora-operator")["spec"]
    assert budget["selector"] == spec["selector"] == {"matchLabels": spread[0]["labelSelector"]["matchLabels"]}
    assert budget["maxUnavailable"] < spec["replicas"]


def test_no_pod_needs_a_claim_that_is_not_there_and_none_is_there_that_no_pod_needs() -> None:
    for folder in EVERY:
        objects = render_objects(folder)
        volumes = [volume for pod in list_pod_templates(objects) for volume in pod.get("volumes", [])]
        needed = {v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v}
        assert needed == {o["metadata"]["name"] for o in objects if o["kind"] == "PersistentVolumeClaim"}, folder


@pytest.mark.parametrize(
    ("objects", "kind", "name", "volume"),
    [
        (INSTALLED, "Deployment", "vapora-operator", "graph"),
        (INSTALLED, "StatefulSet", "vapora-nats", "data"),
        (PRODUCTION, "StatefulSet", "vapora-nats", "data"),
        (PRODUCTION, "StatefulSet", "vapora-postgres", "data"),
    ],
    ids=["the graph", "the broker's streams", "the broker's in production", "the graph in production"],
)
def test_what_must_outlive_a_pod_is_on_a_claim(objects: list[Json], kind: str, name: str, volume: str) -> None:
    volumes = {row["name"]: row for row in find(objects, kind, name)["spec"]["template"]["spec"]["volumes"]}
    claim = volumes[volume]["persistentVolumeClaim"]["claimName"]
    assert find(objects, "PersistentVolumeClaim", claim)["spec"]["accessModes"] == ["ReadWriteOnce"]


@pytest.mark.parametrize("folder", EVERY, ids=lambda path: path.name)
def test_every_pod_is_shut_in_and_each_of_its_openings_is_named(folder: Path) -> None:
    objects = render_objects(folder)
    policies = {o["metadata"]["name"]: o["spec"] for o in objects if o["kind"] == "NetworkPolicy"}
    deny = policies.pop("vapora-default-deny")
    assert (set(deny["policyTypes"]), deny.keys()) == ({"Ingress", "Egress"}, {"podSelector", "policyTypes"})
    for obj in objects:
        if obj["kind"] in {"Deployment", "StatefulSet"}:
            labels = obj["spec"]["template"]["metadata"]["labels"].items()
            assert deny["podSelector"]["matchLabels"].items() <= labels
            assert policies[obj["metadata"]["name"]]["podSelector"]["matchLabels"].items() <= labels


def test_the_operator_reaches_no_metadata_service_of_a_cloud() -> None:
    rules = find(INSTALLED, "NetworkPolicy", "vapora-operator")["spec"]["egress"]
    blocks = [peer["ipBlock"] for rule in rules for peer in rule.get("to", []) if "ipBlock" in peer]
    assert {word for block in blocks for word in block["except"]} >= {"169.254.0.0/16", "fd00:ec2::254/128"}


@pytest.mark.parametrize("folder", EVERY, ids=lambda path: path.name)
def test_everything_installed_says_what_it_belongs_to(folder: Path) -> None:
    """By it `vapora uninstall` finds what there is to remove."""
    strangers = [o for o in render_objects(folder) if o["metadata"]["labels"].get(PART[0]) != PART[1]]
    assert [name_object(o) for o in strangers] == []


def test_uninstalling_knows_every_kind_that_is_installed() -> None:
    kinds = {obj["kind"] for folder in RENDERED.values() for obj in render_objects(folder)}
    known = {*INSTALLED_KINDS, "Namespace", "PersistentVolumeClaim", "CustomResourceDefinition", "Secret"}
    assert kinds <= known


def test_an_operator_may_serve_one_namespace_that_is_not_ours(tmp_path: Path) -> None:
    folders = {
        "resources": [OVERLAYS / "default"],
        "components": [ROOT / "kustomize" / "components" / "namespaced"],
    }
    text = (folders["components"][0] / "kustomization.yaml").read_text()
    transformer = re.search(r"^#   transformers:\n((?:#     .*\n)+)", text, re.MULTILINE)
    lines = "".join(line.removeprefix("#   ") + "\n" for line in transformer[1].splitlines())
    named = {key: [os.path.relpath(path, tmp_path) for path in paths] for key, paths in folders.items()}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(named) + "transformers:\n" + lines)
    objects = render_objects(tmp_path)
    assert "vapora-system" not in render(tmp_path)
    wide = [obj["roleRef"]["name"] for obj in objects if obj["kind"] == "ClusterRoleBinding"]
    assert wide == ["vapora-operator-cluster"]
    subjects = [s for o in objects if o["kind"].endswith("RoleBinding") for s in o["subjects"]]
    assert {subject["namespace"] for subject in subjects} == {"team-a"}
    assert "VAPORA_NAMESPACE" in render(tmp_path)


@pytest.mark.parametrize("objects", [INSTALLED, PRODUCTION], ids=["default", "production"])
def test_every_variable_of_the_operator_is_a_setting_and_names_only_what_stands_before_it(objects: list[Json]) -> None:
    rows = find(objects, "Deployment", "vapora-operator")["spec"]["template"]["spec"]["containers"][0]["env"]
    names = [row["name"] for row in rows]
    ours = {name.removeprefix("VAPORA_").lower() for name in names if name.startswith("VAPORA_")}
    assert {"nats_url", "graph_url"} <= ours <= Settings.model_fields.keys()
    for place, row in enumerate(rows):
        assert set(VARIABLE.findall(row.get("value", ""))) <= set(names[:place]), row["name"]


GPU_OVERLAY = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [{base}]
configMapGenerator:
  - name: vapora-gpu
    namespace: vapora-system
    behavior: replace
    files: [gpu.json]
"""
OUR_GPUS = {"runtimeClassName": "nvidia", "profiles": {"large": {"gpus": 1, "memory": "80Gi", "cpu": 8}}}


def find_gpu_settings(objects: list[Json]) -> Json:
    """Return the ConfigMap that the operator reads, by the path that its Deployment says."""
    pod = find(objects, "Deployment", "vapora-operator")["spec"]["template"]["spec"]
    env = {row["name"]: row.get("value") for row in pod["containers"][0]["env"]}
    mounts = {row["name"]: row["mountPath"] for row in pod["containers"][0]["volumeMounts"]}
    (volume,) = (row for row in pod["volumes"] if row["name"] == "gpu")
    found = find(objects, "ConfigMap", volume["configMap"]["name"])
    assert env["VAPORA_GPU_SETTINGS"] == f"{mounts['gpu']}/{next(iter(found['data']))}"
    return found


def test_the_shipped_settings_of_gpu_jobs_are_those_of_an_operator_without_any() -> None:
    (shipped,) = find_gpu_settings(INSTALLED)["data"].values()
    assert parse_gpu_settings(shipped) == GpuSettings()


def test_an_overlay_replaces_the_settings_of_gpu_jobs_and_the_operator_starts_anew(tmp_path: Path) -> None:
    base = os.path.relpath(OVERLAYS / "default", tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(GPU_OVERLAY.format(base=base))
    (tmp_path / "gpu.json").write_text(json.dumps(OUR_GPUS))
    found = find_gpu_settings(render_objects(tmp_path))
    (document,) = found["data"].values()
    settings = parse_gpu_settings(document)
    assert (settings.runtime_class, settings.profiles["large"].memory) == ("nvidia", "80Gi")
    assert settings.profiles["xlarge"] == GpuSettings().profiles["xlarge"]
    assert found["metadata"]["name"] != find_gpu_settings(INSTALLED)["metadata"]["name"]


def test_only_dev_lets_steps_be_simulated() -> None:
    allowing = [
        folder.name
        for folder in (OVERLAYS / "default", OVERLAYS / "dev")
        for pod in list_pod_templates(render_objects(folder))
        for row in pod["containers"][0].get("env", [])
        if row["name"] == "VAPORA_ALLOW_SIMULATE"
    ]
    assert allowing == ["dev"]


def test_the_image_is_of_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    image = find(INSTALLED, "Deployment", "vapora-operator")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"vapora/operator:{version}"


def test_all_definitions_are_installed_after_the_namespace() -> None:
    names = [name_object(obj) for obj in INSTALLED]
    assert names[0] == "Namespace/vapora-system"
    assert {f"CustomResourceDefinition/{kind.crd_name}" for kind in KINDS} <= {*names}


def test_the_brokers_configuration_is_one(tmp_path: Path) -> None:
    config = next(o for o in INSTALLED if o["kind"] == "ConfigMap" and o["metadata"]["name"].startswith("vapora-nats"))
    path = tmp_path / "nats.conf"
    path.write_text(config["data"]["nats.conf"])
    done = subprocess.run(
        [str(locate_tool("nats-server")), "-t", "-c", str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr


RULES = [
    rule
    for name in ("vapora-operator", "vapora-operator-cluster")
    for rule in find(INSTALLED, "ClusterRole", name)["rules"]
]
OWN = ("workflows", "agentpools", "taskservs", "workflowtemplates", "providers")
CALLS = {
    "our kinds are watched": [Call(v, GROUP, kind) for v in ("list", "watch") for kind in OWN],
    "what is reconciled is read anew after a conflict": [Call("get", GROUP, kind) for kind in OWN[:3]],
    "a status is patched": [Call("patch", GROUP, kind, "status") for kind in ("workflows", "agentpools", "taskservs")],
    "finalizers are set": [Call("patch", GROUP, kind) for kind in ("workflows", "agentpools")],
    "tries are made, followed, let go and collected": [
        Call(verb, group, kind)
        for verb in ("create", "get", "list", "watch", "patch", "delete", "deletecollection")
        for group, kind in (("", "pods"), ("batch", "jobs"))
    ],
    "what pools and services are made of is applied and followed": [
        Call(verb, group, kind)
        for verb in ("create", "list", "watch", "patch", "delete")
        for group, kind in (("apps", "deployments"), ("apps", "statefulsets"), ("", "services"))
    ],
    "runs are made for others, in their name": [
        Call("create", GROUP, "workflows"),
        Call("create", GROUP, "workflows", "authorship"),
    ],
    "a run is pinned": [Call(verb, "apps", "controllerrevisions") for verb in ("create", "get")],
    "events are told": [Call("create", "", "events")],
    "the definitions are looked at": [
        Call("get", "apiextensions.k8s.io", "customresourcedefinitions", name=kind.crd_name) for kind in KINDS
    ],
}


@pytest.mark.parametrize("calls", CALLS.values(), ids=CALLS)
def test_the_operator_may(calls: list[Call]) -> None:
    assert missing(RULES, calls) == []


FORBIDDEN = {
    "read a secret": ("get", "", "secrets"),
    "list secrets": ("list", "", "secrets"),
    "write what users want": ("update", GROUP, "workflows"),
    "approve a step": ("create", GROUP, "workflows", "approval"),
    "change a template": ("patch", GROUP, "workflowtemplates"),
    "replace a status": ("update", GROUP, "workflows", "status"),
    "run a command in a pod": ("create", "", "pods", "exec"),
    "grant rights": ("create", "rbac.authorization.k8s.io", "clusterrolebindings"),
    "read other definitions": ("get", "apiextensions.k8s.io", "customresourcedefinitions", "", "other.example.com"),
    "touch leases everywhere": ("get", "coordination.k8s.io", "leases"),
}


@pytest.mark.parametrize("call", FORBIDDEN.values(), ids=FORBIDDEN)
def test_the_operator_may_not(call: tuple[str, ...]) -> None:
    assert not allowed(RULES, *call)


def test_no_role_allows_everything() -> None:
    roles = [obj for obj in INSTALLED if obj["kind"] in {"Role", "ClusterRole"}]
    named = {word for role in roles for grant in list_grants(role["rules"]) for word in (grant.verb, grant.resource)}
    assert "*" not in named
    assert all(grant.group != "*" for role in roles for grant in list_grants(role["rules"]))


def test_every_resource_that_the_operator_may_use_is_one_it_knows() -> None:
    known = {resource.plural for resource in RESOURCES.values()}
    assert {grant.resource for grant in list_grants(RULES)} <= known


def test_where_it_serves_one_namespace_the_operator_sees_only_nodes_and_definitions_of_the_cluster() -> None:
    grants = list_grants(find(INSTALLED, "ClusterRole", "vapora-operator-cluster")["rules"])
    assert {f"{grant.verb} {grant.resource}" for grant in grants} == {
        "get customresourcedefinitions",
        "list nodes",
        "create workflows",  # workflows/authorship
    }


def test_the_lease_may_be_taken_in_one_namespace_and_by_one_name() -> None:
    role = find(INSTALLED, "Role", "vapora-operator")
    assert role["metadata"]["namespace"] == "vapora-system"
    name = Settings.model_fields["lease_name"].default
    calls = [Call(verb, "coordination.k8s.io", "leases", name=name) for verb in ("create", "get", "patch")]
    assert missing(role["rules"], calls) == []
    assert not allowed(role["rules"], "patch", "coordination.k8s.io", "leases", "", "another")


def test_users_never_write_a_status() -> None:
    rules = [rule for name in ("view", "edit", "admin", "approver") for rule in find_user_role(name)["rules"]]
    assert {grant.subresource for grant in list_grants(rules)} == {"", "scale", "approval"}
    assert not allowed(rules, "patch", GROUP, "workflows", "status")


def find_user_role(name: str) -> Json:
    return find(INSTALLED, "ClusterRole", f"vapora-{name}")


def test_each_role_of_users_adds_to_kubernetes_own() -> None:
    for name in ("view", "edit", "admin"):
        assert find_user_role(name)["metadata"]["labels"][f"rbac.authorization.k8s.io/aggregate-to-{name}"] == "true"
    assert all(allowed(find_user_role("view")["rules"], "list", GROUP, kind) for kind in OWN)
    assert all(grant.verb in {"get", "list", "watch"} for grant in list_grants(find_user_role("view")["rules"]))
    assert allowed(find_user_role("edit")["rules"], "create", GROUP, "workflows")
    assert not allowed(find_user_role("edit")["rules"], "create", GROUP, "providers")
    assert allowed(find_user_role("admin")["rules"], "create", GROUP, "providers")


DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_the_image_runs_as_an_ordinary_user_without_build_tools() -> None:
    final = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    assert "USER 1000:1000" in final
    assert 'ENTRYPOINT ["vapora"]' in final
    assert "/livez" in final
    assert "pip uninstall" in final
    assert not re.search(r"apt-get|gcc|pip install|COPY (?!--from=build)", final)
    assert "--require-hashes" in DOCKERFILE
    assert DOCKERFILE.count("FROM ${BASE}") == 2


def test_the_build_context_holds_what_the_dockerfile_copies() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [line.split()[1:-1] for line in DOCKERFILE.splitlines() if re.match(r"COPY (?!--from)", line)]
    assert {name for names in copied for name in names} == kept


def test_a_pod_security_label_is_the_same_wherever_the_namespace_is_written() -> None:
    sample = find(
        load_objects((ROOT / "manifests/samples/fleet/namespaces.yaml").read_text()), "Namespace", "vapora-system"
    )
    assert sample["metadata"]["labels"] == find(INSTALLED, "Namespace", "vapora-system")["metadata"]["labels"]


COMPOSE = yaml.safe_load((ROOT / "compose" / "compose.yaml").read_text())


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_what_compose_starts_is_pinned_and_restricted_and_has_its_files(name: str) -> None:
    service = COMPOSE["services"][name]
    assert IMAGE.match(service["image"])
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    paths = [volume.split(":")[0] for volume in service.get("volumes", []) if volume.startswith(".")]
    assert [path for path in paths if not (ROOT / "compose" / path).exists()] == []


def test_compose_runs_the_image_and_the_settings_that_there_are() -> None:
    operator, nats = (COMPOSE["services"][name] for name in ("operator", "nats"))
    pod = find(INSTALLED, "Deployment", "vapora-operator")["spec"]["template"]["spec"]
    assert operator["image"] == pod["containers"][0]["image"]
    names = {name.removeprefix("VAPORA_").lower() for name in operator["environment"]}
    assert names <= Settings.model_fields.keys()
    [installed] = find(INSTALLED, "StatefulSet", "vapora-nats")["spec"]["template"]["spec"]["containers"]
    assert nats["image"] == installed["image"]
