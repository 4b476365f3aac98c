"""The command line: `vapora`."""

from __future__ import annotations

import typer

from vapora.cli.agent import agents as agent
from vapora.cli.agents import agents
from vapora.cli.budget import budget
from vapora.cli.graph import graph
from vapora.cli.importing import import_, lint_
from vapora.cli.ml import ml
from vapora.cli.operator import run_operator
from vapora.cli.workflow import workflow

main = typer.Typer(name="vapora", help="Runs fleets of AI agents on Kubernetes.", no_args_is_help=True)
main.command("operator")(run_operator)
main.command("import")(import_)
main.command("lint")(lint_)
main.command("budget", epilog="Example: vapora budget reviewers -n shop -o wide")(budget)
main.add_typer(workflow, name="workflow")
main.add_typer(agent, name="agent")
main.add_typer(agents, name="agents")
main.add_typer(ml, name="ml")
main.add_typer(graph, name="graph")
