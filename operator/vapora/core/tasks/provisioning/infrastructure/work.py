"""Running a Job to its end, and telling its last words where it failed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from vapora.core.calls import Answer, ListCall, Listing, read_listed
from vapora.core.procedures.answers import fail
from vapora.core.procedures.apply import apply
from vapora.core.views import child, number, rows, text
from vapora.core.workflow.failure import Failure
from vapora.core.workflow.procedure import Ask, Failed, Finished, Json, Next, Procedure, Situation

Manifest = Mapping[str, object]


def run_work(job: Manifest) -> Procedure:
    """Returns a procedure that runs a Job; a failed one is told by its container: `exit code 3: no such server`."""

    def run(situation: Situation) -> Next:
        memory = situation.memory
        if "failure" in memory:
            if situation.answer is None:
                return _ask_for_words(situation, job)
            return _tell(situation.answer, memory)
        step = apply(replace(situation, body={"manifests": [job]}))
        if isinstance(step, Failed) and step.failure.reason == "ObjectFailed":
            return _ask_for_words(replace(situation, memory={"failure": step.failure.message}), job)
        return Finished(None, {"done": text(child(job, "metadata"), "name")}) if isinstance(step, Finished) else step

    return run


def _ask_for_words(situation: Situation, job: Manifest) -> Next:
    selector = f"batch.kubernetes.io/job-name={text(child(job, 'metadata'), 'name')}"
    return Ask(ListCall((Listing("v1", "Pod", situation.namespace, selector),)), situation.memory)


def _tell(answer: Answer, memory: Json) -> Next:
    """Ends the try; the Job stays what failed where its Pod is gone or may not be read.

    The memory says that something may have been done, and is none that the next try goes on from.
    """
    kept: Json = {"failed": memory["failure"]}
    for end in (end for pod in read_listed(answer) for end in _list_ends(pod)):
        code, words = number(end, "exitCode"), text(end, "message").strip() or text(end, "reason")
        told = f"exit code {code}" + (f": {words}" if words else "")
        return Failed(Failure("ExitCode", told, code), kept)
    return fail("ObjectFailed", text(memory, "failure"), kept)


def _list_ends(pod: Manifest) -> Iterator[Manifest]:
    for status in rows(child(pod, "status"), "containerStatuses"):
        end = child(status, "state", "terminated")
        if end and number(end, "exitCode"):
            yield end
