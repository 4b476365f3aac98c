"""Every command of the documentation, typed as it stands: on a real cluster, or with the reason why not."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from tests.cluster.access import Cluster
from tests.cluster.nats import NatsServer
from tests.cluster.process import Supervisor
from tests.integration.engine import ROOT, install_definitions, operators_of
from tests.integration.typed import type_command
from tests.unit.docs.pages import Command, list_commands, list_pages, name_page

NOT_RUN = {
    "make ": "runs this test",
    "vapora agent exec": "serves until it is stopped; tests/integration/agents",
    "vapora agent http": "serves until it is stopped; tests/integration/agents",
    "kubectl annotate workflow/deploy approval.": "other people say it; tests/integration/approvals",
    "kubectl exec ": "the nodes of this cluster are simulated: nothing runs in their Pods",
    'echo \'{"diff"': "the reader's agent; tests/integration/queue/test_agent_dev.py",
    "vapora graph query cause ": "an error that the reader has seen; tests/unit/cli/test_graph.py",
    "kubectl get workflow release -o jsonpath": "an assignment that the reader has seen",
    "vapora taskserv rollback backend ": "there is nothing before; tests/integration/test_cli_groups.py",
    "vapora graph import ": "the reader's server; tests/contract/graph",
    "vapora workflow run --template greeting ": "the reader's agents; tests/integration/workflow/test_templates.py",
    "cd examples/vapora-wrksp": "deploys a whole fleet; tests/integration/definitions",
    "vapora import kcl taskservs ": "deploys a whole fleet; tests/integration/definitions",
    "vapora lint examples/vapora-wrksp": "the workspace of docs/importing.md",
    "vapora import workspace/   ": "prints what --diff compares; tests/integration/test_importing.py",
    "vapora import workspace/ --catalog |": "deploys a whole fleet; tests/integration/definitions",
    "vapora workflow get deploy-fleet ": "deploys a whole fleet; tests/integration/definitions",
}
PAGES_ELSEWHERE = {"docs/installing.md": "installs in every way, and takes it out again"}
PAGES = [name_page(page) for page in list_pages() if any(list_commands(page))]
GATE = {"apiVersion": "vapora.dev/v1alpha1", "kind": "Workflow", "metadata": {"name": "deploy"}}
GATE |= {"spec": {"steps": [{"name": "gate", "approval": {"message": "Deploy?"}}]}}
SERVICE = {"apiVersion": "vapora.dev/v1alpha1", "kind": "Taskserv", "metadata": {"name": "backend"}}
SERVICE |= {"spec": {"image": "backend:1", "ports": {"http": 80}}}
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm", "namespace": "argocd"}, "data": {}}
CASES = {"cases": [{"text": "Fine-tune a language model", "want": {"class": "gpuRequired", "isMl": True}}]}
OURS = ("workflows", "workflowtemplates", "agentpools", "taskservs", "providers")


def add(cluster: Cluster, *objects: Mapping[str, object]) -> None:
    cluster.kubectl("apply", "-f", "-", input=yaml.safe_dump_all(objects))


def add_namespaces(cluster: Cluster, *names: str) -> None:
    add(cluster, *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in names))


def prepare_approvals(cluster: Cluster) -> None:
    add_namespaces(cluster, "team")
    add(cluster, GATE)


def prepare_gitops(cluster: Cluster) -> None:
    add_namespaces(cluster, "argocd")
    add(cluster, CONFIG)


def prepare_importing(cluster: Cluster) -> None:
    cluster.kubectl("apply", "-k", "examples/vapora-wrksp/access")


PREPARE: Mapping[str, Callable[[Cluster], None]] = {
    "docs/approvals.md": prepare_approvals,
    "docs/gitops.md": prepare_gitops,
    "docs/gpu.md": lambda _: Path("cases.json").write_text(json.dumps(CASES)) and None,
    "docs/importing.md": prepare_importing,
    "docs/services.md": lambda cluster: add(cluster, SERVICE),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What looks like a checkout, in which commands may leave files, and is where they are typed."""
    folder, before = tmp_path_factory.mktemp("checkout"), Path.cwd()
    for name in ("examples", "kustomize", "manifests"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "examples" / "vapora-wrksp", folder / "workspace")
    os.chdir(folder)
    yield folder
    os.chdir(before)


@pytest.fixture(scope="module")
def cluster_of_readers(
    cluster: Cluster, nats: NatsServer, folder: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Cluster, str]]:
    """A cluster with an operator, and an agent where nothing runs in Pods; with the address of the graph."""
    install_definitions(cluster)
    # Other tests may have applied them in another way, and what is applied server-side conflicts with that.
    cluster.kubectl("delete", "--ignore-not-found", "-k", str(ROOT / "kustomize" / "base" / "admission"))
    graph = f"sqlite://{folder}/graph.db"
    environment = {**os.environ, "VAPORA_NATS_URL": nats.url, "VAPORA_NAMESPACE": "default", "VAPORA_POOL": "echo"}
    with operators_of(cluster, request) as fleet, Supervisor("vapora-docs-") as supervisor:
        fleet.start("operator", "--nats-url", nats.url, "--graph-url", graph)
        agent = [sys.executable, str(ROOT / "examples" / "agents" / "echo.py")]
        supervisor.start("echo", agent, env={**environment, "VAPORA_POD": "echo-0"})
        yield cluster, graph
        cluster.kubectl("delete", ",".join(OURS), "--all", "-n", "default", "--timeout=60s")
    gone = ("namespace/team", "namespace/argocd", "namespace/vapora-system", "namespace/vapora-agents")
    roles = [
        f"clusterrole/vapora-{name}"
        for name in ("operator", "operator-cluster", "view", "edit", "approver", "admin", "argocd", "deployer")
    ]
    bindings = [f"clusterrolebinding/vapora-{name}" for name in ("operator", "operator-cluster", "argocd", "deployer")]
    cluster.kubectl("delete", "--ignore-not-found", "--timeout=60s", *gone, *roles, *bindings)


def run(cluster: Cluster, graph: str, command: Command) -> tuple[int, str]:
    """How a command ended, and what it said."""
    [[program, *arguments]] = command.programs
    if program == "kubectl":
        done = cluster.kubectl(*arguments, check=False)
        return done.returncode, done.stdout + done.stderr
    typed = type_command(arguments, KUBECONFIG=str(cluster.kubeconfig), VAPORA_GRAPH_URL=graph)
    return typed.code, typed.said


@pytest.mark.parametrize("page", sorted(PAGES, key=lambda page: (page != "docs/quickstart.md", page)))
def test_the_commands_of_a_page(cluster_of_readers: tuple[Cluster, str], page: str) -> None:
    cluster, graph = cluster_of_readers
    if page in PAGES_ELSEWHERE:
        return
    PREPARE.get(page, lambda _: None)(cluster)
    for command in list_commands(ROOT / page):
        if not command.line.startswith(tuple(NOT_RUN)):
            code, said = run(cluster, graph, command)
            assert code == command.exit_code, f"{command.line}: {said}"


def test_nothing_is_left_out_that_is_not_there() -> None:
    lines = [command.line for page in PAGES for command in list_commands(ROOT / page)]
    assert [start for start in NOT_RUN if not any(line.startswith(start) for line in lines)] == []
