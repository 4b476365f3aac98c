"""The results that agents sent: kept by workflow until what they say is durable."""

from vapora.controller.inbox import Inbox
from vapora.core.agentpool.broker import Delivery
from vapora.core.workflow.results import AgentResult

FIRST, SECOND, OTHER = "u/t/0/1", "u/t/0/2", "v/t/0/1"


class Mail:
    """An inbox, and which deliveries were acknowledged."""

    def __init__(self) -> None:
        self.inbox = Inbox()
        self.acknowledged: list[str] = []

    def deliver(self, task: str, outcome: str = "success", note: str = "") -> None:
        async def acknowledge() -> None:
            self.acknowledged.append(note or task)

        self.inbox.put(Delivery({"outcome": outcome}, task, None, acknowledge))


def test_results_are_kept_by_workflow_and_task() -> None:
    mail = Mail()
    for task in (FIRST, SECOND, OTHER):
        mail.deliver(task)
    assert set(mail.inbox.results("u")) == {FIRST, SECOND}
    assert (mail.inbox.has("v"), mail.inbox.has("w"), mail.inbox.results("w")) == (True, False, {})


def test_what_came_is_told_once() -> None:
    mail = Mail()
    mail.deliver(FIRST)
    mail.deliver(SECOND)
    assert mail.inbox.take_changes("u") == {FIRST, SECOND}
    assert mail.inbox.take_changes("u") == set()


async def test_a_second_answer_to_a_task_changes_nothing_and_both_go_with_the_newest_delivery() -> None:
    mail = Mail()
    mail.deliver(FIRST, "failure", note="first")
    mail.deliver(FIRST, "success", note="second")
    assert mail.inbox.results("u") == {FIRST: AgentResult("failure")}
    await mail.inbox.acknowledge("u", FIRST)
    assert mail.acknowledged == ["second"]


async def test_a_workflow_whose_last_result_is_acknowledged_has_none() -> None:
    mail = Mail()
    mail.deliver(FIRST)
    mail.deliver(SECOND)
    await mail.inbox.acknowledge("u", FIRST)
    assert mail.inbox.has("u")
    await mail.inbox.acknowledge("u", SECOND)
    assert not mail.inbox.has("u")


async def test_acknowledging_what_is_not_there_does_nothing() -> None:
    mail = Mail()
    await mail.inbox.acknowledge("u", FIRST)
    assert mail.acknowledged == []


def test_a_message_that_is_no_result_is_a_failure_that_says_so() -> None:
    inbox = Inbox()

    async def acknowledge() -> None: ...

    inbox.put(Delivery(None, FIRST, "not JSON", acknowledge))
    assert inbox.results("u")[FIRST] == AgentResult("failure", code="Unreadable", message="not JSON")
