"""The command line: `vapora`, also as `kubectl vapora`."""

from __future__ import annotations

import typer

from vapora.cli.agent.commands import agents as agent
from vapora.cli.agents.commands import agents
from vapora.cli.budget.commands import budget
from vapora.cli.graph.commands import graph
from vapora.cli.importing.commands import import_, lint_
from vapora.cli.ml import ml
from vapora.cli.observing.dashboard import dashboard
from vapora.cli.observing.logs import logs
from vapora.cli.operator import run_operator
from vapora.cli.options import show_examples
from vapora.cli.services.cluster import cluster
from vapora.cli.services.taskserv import taskserv
from vapora.cli.uninstall import uninstall
from vapora.cli.version import show_version
from vapora.cli.workflow.batch import batch
from vapora.cli.workflow.commands import workflow

main = typer.Typer(
    name="vapora",
    help="Runs fleets of AI agents on Kubernetes.",
    epilog="Exit codes: 0 done, 1 failed workflow, 2 usage, 3 not found, 4 refused, 5 timeout.",
    no_args_is_help=True,
)
main.add_typer(workflow, name="workflow")
main.add_typer(batch, name="batch")
main.add_typer(agents, name="agents")
main.add_typer(taskserv, name="taskserv")
main.add_typer(cluster, name="cluster")
main.add_typer(graph, name="graph")
main.command("budget", epilog=show_examples("budget", "budget reviewers -n shop -o wide"))(budget)
main.add_typer(ml, name="ml")
main.command("import", epilog=show_examples("import examples/vapora-wrksp", "import services.k --diff"))(import_)
main.command("lint", epilog=show_examples("lint examples/vapora-wrksp"))(lint_)
main.add_typer(dashboard, name="dashboard")
main.add_typer(logs, name="logs")
main.command("version", epilog=show_examples("version -o json"))(show_version)
main.add_typer(agent, name="agent")
main.command("uninstall", epilog=show_examples("uninstall --dry-run", "uninstall --yes"))(uninstall)
main.command("operator", epilog=show_examples("operator --kubeconfig ~/.kube/config --log-format human"))(run_operator)
