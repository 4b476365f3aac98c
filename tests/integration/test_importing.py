"""`vapora import` as a process against a real API server: what it prints is taken, and what is another's is left."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from tests.cluster.access import Cluster
from tests.integration.engine import install_definitions

from vapora.cli.importing.differences import IMPORTER

DONE, REFUSED = 0, 4
WORKSPACE = Path(__file__).parents[2] / "examples" / "vapora-wrksp"
SERVICE = """services = [{{
    name = "api"
    namespace = "{namespace}"
    image = "team/api:1.0"
    replicas = {replicas}
}}]
"""


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


class Importer:
    """Calls the command with files in a folder of its own."""

    def __init__(self, cluster: Cluster, namespace: str, folder: Path) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.folder = folder

    def call(self, *arguments: str, verb: str = "import") -> Said:
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        environment = {**kept, "KUBECONFIG": str(self.cluster.kubeconfig), "LANG": "C.UTF-8", "HOME": str(self.folder)}
        command = [sys.executable, "-m", "vapora", verb, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
        return Said(done.returncode, done.stdout, done.stderr)

    def write(self, replicas: int) -> str:
        path = self.folder / "api.k"
        path.write_text(SERVICE.format(namespace=self.namespace, replicas=replicas))
        return str(path)

    def apply(self, source: str, manager: str = IMPORTER) -> None:
        self.cluster.kubectl("apply", "--server-side", "--field-manager", manager, "-f", "-", input=source)

    def read(self) -> dict:
        url = f"/apis/vapora.dev/v1alpha1/namespaces/{self.namespace}/taskservs/api"
        return self.cluster.api.get(url).json()


@pytest.fixture(scope="module", autouse=True)
def definitions(cluster: Cluster) -> None:
    install_definitions(cluster)


@pytest.fixture
def importer(cluster: Cluster, namespace: str, tmp_path: Path) -> Iterator[Importer]:
    return Importer(cluster, namespace, tmp_path)


def test_what_is_printed_is_applied_and_a_second_import_changes_nothing(importer: Importer) -> None:
    file = importer.write(replicas=2)
    said = importer.call(file, "--diff")
    assert (said.code, said.err) == (DONE, "")
    assert f"+++ import/Taskserv/{importer.namespace}/api\n" in said.out
    assert "+  replicas: 2\n" in said.out

    importer.apply(importer.call(file).out)
    assert importer.read()["spec"]["image"] == "team/api:${version}"
    assert importer.call(file, "--diff").out == "Nothing would change.\n"

    said = importer.call(importer.write(replicas=5), "--diff")
    changed = [line for line in said.out.splitlines() if line[0] in "+-" and not line.startswith(("+++", "---"))]
    assert (said.code, changed) == (DONE, ["-  replicas: 2", "+  replicas: 5"])
    assert importer.read()["spec"]["replicas"] == 2


def test_an_object_that_is_anothers_is_refused_and_nothing_is_applied(importer: Importer) -> None:
    importer.apply(importer.call(importer.write(replicas=2)).out, manager="somebody")
    said = importer.call(importer.write(replicas=5), "--diff")
    assert (said.code, said.out) == (REFUSED, "")
    assert f"Taskserv/{importer.namespace}/api: error: it is somebody's, not an import's" in said.err
    assert importer.read()["spec"]["replicas"] == 2


def test_a_field_that_another_has_taken_is_not_taken_over(importer: Importer) -> None:
    importer.apply(importer.call(importer.write(replicas=2)).out)
    patch = ["patch", "taskserv", "api", "-n", importer.namespace, "--type=merge", "--field-manager=somebody"]
    importer.cluster.kubectl(*patch, "-p", json.dumps({"spec": {"replicas": 3}}))
    said = importer.call(importer.write(replicas=5), "--diff")
    assert said.code == REFUSED
    assert "somebody" in said.err
    assert ".spec.replicas" in said.err
    assert importer.read()["spec"]["replicas"] == 3


def test_an_object_that_argo_cd_tracks_is_refused(importer: Importer) -> None:
    importer.apply(importer.call(importer.write(replicas=2)).out)
    tracked = f"argocd.argoproj.io/tracking-id=fleet:vapora.dev/Taskserv:{importer.namespace}/api"
    importer.cluster.kubectl("annotate", "taskserv", "api", "-n", importer.namespace, tracked)
    said = importer.call(importer.write(replicas=5), "--diff")
    assert said.code == REFUSED
    assert "it is tracked by Argo CD (fleet): change it there" in said.err


@pytest.mark.parametrize("options", [(), ("--catalog",)], ids=["objects", "a catalogue"])
def test_the_api_server_takes_all_that_an_import_of_a_workspace_prints(importer: Importer, options: tuple) -> None:
    said = importer.call(str(WORKSPACE), *options)
    assert said.code == DONE, said.err
    documents = [document for document in yaml.safe_load_all(said.out) if document]
    for namespace in [document["metadata"]["name"] for document in documents if document["kind"] == "Namespace"]:
        if importer.cluster.api.get(f"/api/v1/namespaces/{namespace}").status_code != 200:
            importer.cluster.create_namespace(namespace)
    done = importer.cluster.kubectl(
        "apply", "--server-side", "--validate=strict", "--dry-run=server", "-f", "-", input=said.out
    )
    assert done.stdout.count("serverside-applied (server dry run)") == len(documents)
    as_json = json.loads(importer.call(str(WORKSPACE), *options, "-o", "json").out)
    assert as_json["items"] == documents


def test_bad_input_ends_the_command_with_a_line_and_prints_no_object(importer: Importer) -> None:
    (importer.folder / "good.k").write_text('services = [{name = "a", image = "x"}]\n')
    (importer.folder / "bad.k").write_text("f = lambda n {\n    f(n + 1)\n}\na = f(0)\n")
    for options in ((), ("--diff",)):
        said = importer.call(str(importer.folder), *options)
        assert (said.code, said.out) == (REFUSED, "")
        assert said.err.splitlines() == [
            "bad.k: error: the compiler ran out of stack; does a function or a schema call itself without end?",
            "vapora: 1 error: nothing is imported",
        ]
    said = importer.call(str(importer.folder), verb="lint")
    assert (said.code, "ran out of stack" in said.out) == (REFUSED, True)
