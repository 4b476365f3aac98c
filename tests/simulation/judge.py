"""The last word on a run: whether it ended as its fate says it must, and whether everything was recorded once."""

from collections.abc import Iterator
from dataclasses import replace

from tests.simulation.kinds import KINDS, Json, Verdict
from tests.simulation.loop import Violation
from tests.simulation.oracle import Foretold, Oracle
from tests.simulation.outside import is_there_before
from tests.simulation.run import Run
from tests.simulation.specs import read_rows
from tests.simulation.weather import Weather

from vapora.core.workflow.ranges import parse_ranges

# A leader that leads no more, and a clock that says a time is over: both may tell of a failure that was none.
_HASTY = {"usurped", "clock_forward", "clock_back"}
# A child that was deleted when its time was over, by an operator that could not write that down.
_STOPPED = {"ChildLost", "Disrupted", "ChildFailed"}
_ALSO = {"PendingTimeout": "ChildLost", "ImagePullFailed": "Disrupted"}
_RECORDED = {"Succeeded": "success", "Failed": "failure"}
_UNDOING = {"Compensating", "Compensated", "CompensationFailed"}


COMPARED = 32  # of so many seeds one is compared with the same run in calm weather


def judge(run: Run) -> None:
    """Raises Violation for the first thing that is not as it must be."""
    status = run.status
    for words in _check_tasks(run):
        raise Violation(words)
    if status:
        for words in (
            *_check_ends(run, status),
            *_check_cluster(run, status),
            *_check_completion(run, status),
            *_check_records(run, status),
            *_check_likeness(run),
        ):
            raise Violation(words)


def _check_likeness(run: Run) -> Iterator[str]:
    """Compares with the undisturbed run: all that does not depend on who was faster must be the same."""
    plot = run.plot
    if run.seed % COMPARED or plot.weather.is_clear or not _is_comparable(run) or plot.drawn.spec["failFast"]:
        return
    calm = Run(run.seed, replace(plot, weather=Weather([], [])))
    calm.play()
    found, wanted = _tell(run), _tell(calm)
    if any(row.get("reason") == "ItemsFailed" for row in calm.status["steps"].values()):
        return  # which of its items were begun before depends on who was faster
    graph_was_away = any(moment == "graph_away" for _, moment in plot.weather.moments)
    for name, value in wanted.items():
        if name == "executions" and graph_was_away and set(found[name]) <= set(value):
            continue  # see _check_records
        if found[name] != value:
            yield f"{name} are {found[name]}; undisturbed they are {value}"


def _tell(run: Run) -> Json:
    fields = ("state", "tries", "attempt", "infrastructureAttempt", "effect", "outputs")
    rows, tries = read_rows(run.status), run.nodes.tries.values()
    return {
        "phase": run.status["phase"],
        "steps": {name: {field: row.get(field) for field in fields} for name, row in sorted(rows.items())},
        "children": sorted((run.plays.name(u), *rest, made.number) for made in tries for u, *rest in [made.unit]),
        "tasks": sorted(map(run.plays.name, run.broker.published)),
        "posts": sorted(map(run.plays.name, run.outside.acted)),
        "executions": sorted((run.plays.name(name), row.outcome) for name, row in run.graph.rows.items()),
    }


def _check_ends(run: Run, status: Json) -> Iterator[str]:
    """Compares with what the oracle says, as far as it does not depend on who was faster."""
    if not _is_comparable(run):
        return
    oracle = Oracle(run.plot.drawn, run.plot.fate)
    if status["phase"] not in oracle.phases:
        yield f"it ended {status['phase']}; it must end {sorted(oracle.phases)}"
    for name, foretold in oracle.steps.items():
        row = status["steps"].get(name, {"state": "Waiting"})
        is_cut = row["state"] in {"Waiting", "Cancelled", "Skipped"} or row.get("reason") in {"Cancelled", *_STOPPED}
        if not (oracle.is_cut_short and is_cut):
            undone = None if oracle.undone is None else oracle.undone.get(name, foretold.state)
            words = _compare(row, foretold, undone, is_cut_short=oracle.is_cut_short)
            yield from (f"step {name} {word}" for word in words)


def _compare(row: Json, foretold: Foretold, state: str | None, *, is_cut_short: bool) -> Iterator[str]:
    if row["state"] != state and (state is not None or row["state"] not in {*_UNDOING, foretold.state}):
        yield f"ended {row['state']} ({row.get('reason')}); it must end {state or foretold.state} ({foretold.reason})"
    if row.get("reason", "") not in {foretold.reason, _ALSO.get(foretold.reason)}:
        yield f"ended for {row.get('reason')}; it must end for {foretold.reason}"
    if foretold.tries is not None and "items" not in row:
        found = (row.get("tries", 0), row.get("attempt", 0), row.get("infrastructureAttempt", 0))
        wanted = (foretold.tries, foretold.attempt, foretold.infrastructure)
        if found != wanted:
            yield f"took {found} tries, attempts and infrastructure failures; it must take {wanted}"
    if ("v" in row.get("outputs", {})) != foretold.has_output:
        yield f"gave {row.get('outputs')}; an output must be there: {foretold.has_output}"
    if foretold.failed_items is not None and not is_cut_short:
        failed = tuple(parse_ranges(row.get("items", {}).get("failedIndices", "")))
        if failed != foretold.failed_items:
            yield f"has the failed items {failed}; they must be {foretold.failed_items}"


def _check_cluster(run: Run, status: Json) -> Iterator[str]:
    """What was applied or scaled is there; what was undone stands as it did before."""
    play, cluster = run.plays.main, run.outside.cluster
    for name, row in status.get("steps", {}).items():
        step = run.plot.drawn.find(name)
        is_undone = row["state"] == "Compensated" and step.undone_by == f"undo {step.kind}"
        if row["state"] != "Succeeded" and not is_undone:
            continue
        if step.kind == "apply":
            wanted: object = ({"old": "1"} if is_there_before(play, name) else {}) | ({} if is_undone else {"by": "w"})
            found: object = (cluster.get("Thing", name) or {}).get("data", {})
        elif step.kind == "scale":
            wanted, found = 1 if is_undone else 3, cluster.objects["AgentPool", name]["spec"]["replicas"]
        else:
            continue
        if found != wanted:
            yield f"step {name} is {row['state']}, and in the cluster stands {found}; it must be {wanted}"


def _check_completion(run: Run, status: Json) -> Iterator[str]:
    """What follows the end has run only after the outcome that it is for."""
    fitting = {"Succeeded": {"success", "always"}, "Cancelled": {"always"}}.get(status["phase"], {"failure", "always"})
    for name, step in run.plot.drawn.completion.items():
        began = status.get("steps", {}).get(name, {}).get("tries", 0) > 0
        is_asked_again = run.plot.weather.again or run.plays.main.uid in run.guard.asked_again
        if began and step.fields["runOn"] not in fitting and not is_asked_again:
            yield f"{name} ran after {status['phase']}, and is for {step.fields['runOn']}"


def _is_comparable(run: Run) -> bool:
    """Says whether the end must be as if nothing had struck.

    Why a Job failed only its Pod tells: whoever did not see the Pod in time takes it for disrupted.
    """
    weather, kinds = run.plot.weather, {step.kind for step in run.plot.drawn.steps.values()}
    is_blind = any(name in {"watch_lost", "watch_late"} for _, name in weather.moments)
    return weather.is_harmless and not (is_blind and kinds & {"job", "ml"})


def _check_records(run: Run, status: Json) -> Iterator[str]:
    """Every try that was made stands in the knowledge graph, under one id and with one outcome.

    One that left nothing behind, and was not the last of its step, nobody can tell of any more where the operator was
    killed while the graph was away: the row of a step says only how its last try ended.
    """
    is_raced = any(name in _HASTY for _, name in run.plot.weather.moments)
    recorded = {name: row.outcome for name, row in run.graph.rows.items()}
    for made in run.nodes.tries.values():
        uid, name, item = made.unit
        found = recorded.get(f"{uid}/{name}/{'' if item < 0 else item}/{made.number}")
        if found is None and made.outcome not in {"refused", "gone"} and run.plays.status(uid):
            yield f"try {made.number} of {made.unit} was never recorded"
        is_well = _is_success(run, made.unit[:2], made.outcome)
        if is_raced:
            continue
        if (
            _is_comparable(run)
            and found not in {None, "cancelled"}
            and (found == "success") != is_well
            and status["phase"] not in {"Failed", "RolledBack"}
        ):
            yield f"try {made.number} of {made.unit} ended {made.outcome} and is recorded as {found}"
    for name, outcomes in run.graph.outcomes.items():
        uid, step, *_ = name.split("/")
        if len(outcomes - {"cancelled"}) > 1 and not is_raced and not _is_repeated(run, uid, step):
            yield f"{name} was recorded as {sorted(outcomes)}"
    uid = run.plays.main.uid
    for name, row in read_rows(status).items():
        found, wanted = recorded.get(f"{uid}/{name}//{row.get('tries')}"), _RECORDED.get(row["state"])
        if row.get("tries") and "items" not in row and wanted not in {None, found} and not is_raced:
            yield f"{name} ended {row['state']}, and its last try is recorded as {found}"


def _is_repeated(run: Run, uid: str, name: str) -> bool:
    """Says whether a try may be carried out twice, and end otherwise: what an operator asked for before its end."""
    kind = KINDS[run.plays.plays[uid].drawn.find(name).kind]
    return kind.has_effects and not kind.is_task


def _check_tasks(run: Run) -> Iterator[str]:
    """Nobody works for a workflow that is gone, as far as anybody could be told."""
    weather = run.plot.weather
    if weather.requests or any(name in {"broker_away", "usurped"} for _, name in weather.moments):
        return
    for task in sorted(run.broker.open_tasks - run.broker.called_back):
        yield f"task {task} is still to be done, and was never called back"


def _is_success(run: Run, unit: tuple[str, str], outcome: str) -> bool:
    step = run.plays.plays[unit[0]].drawn.find(unit[1])
    if outcome == "no words":
        return not step.wants_output
    ends = KINDS[step.kind].ends
    return outcome in ends and ends[outcome].verdict is Verdict.SUCCESS
