"""Workflows of the provisioning dialect become Workflows of our API: set right where there is one meaning."""

from pathlib import Path

import pytest
from tests.unit.importing.folder import Json, find, find_spec, list_names, list_said, load, write

HEAD = "apiVersion: provisioning/v1\nkind: Workflow\nmetadata: {name: deploy}\nspec:\n"
ADDONS = "  - {name: addons, task: provisioning.addon, params: {addons: [istio]}}\n"


def build(*steps: str, spec: str = "") -> str:
    return "".join([f"{HEAD}{spec}  steps:\n", *(f"  - {step}\n" for step in steps)])


STEPS: dict[str, tuple[str, Json]] = {
    "params are spelt as the tasks spell them": (
        "{name: a, task: provisioning.health-check, params: {services: all, max_age: 5}}",
        {"task": {"type": "provisioning.health-check", "params": {"services": "all", "maxAge": 5}}},
    ),
    "abort is fail": (
        "{name: a, task: provisioning.addon, on_failure: abort}",
        {"task": {"type": "provisioning.addon"}, "onFailure": "fail"},
    ),
    "durations stay as they are written": (
        "{name: a, task: provisioning.addon, timeout: 1h, retry: {max_attempts: 2, initial_delay: 3}}",
        {"task": {"type": "provisioning.addon"}, "timeout": "1h", "retry": {"maxAttempts": 2, "initialDelay": 3}},
    ),
    "... says that the others keep their preset": (
        "{name: a, task: provisioning.deploy-agents, params: {agents: [pm], initial_replicas: {pm: 2, ...}}}",
        {
            "task": {
                "type": "provisioning.deploy-agents",
                "params": {"agents": ["pm"], "initialReplicas": {"pm": 2}},
            }
        },
    ),
    "an address that is a secret becomes a reference": (
        "{name: a, task: notifications.slack, params: {webhook: 'secret:chat:url', message: hello}}",
        {
            "task": {
                "type": "notifications.slack",
                "params": {"webhook": {"name": "chat", "key": "url"}, "message": "hello"},
            }
        },
    ),
    "a variable for such an address becomes a key of the secret": (
        "{name: a, task: notifications.slack, params: {webhook: '${CHAT_HOOK}', message: hello}}",
        {
            "task": {
                "type": "notifications.slack",
                "params": {"webhook": {"name": "vapora-secrets", "key": "chat-hook"}, "message": "hello"},
            }
        },
    ),
    "a type of a plug-in is taken as it is": (
        "{name: a, task: acme.ticket, params: {queue: q}}",
        {"task": {"type": "acme.ticket", "params": {"queue": "q"}}},
    ),
}


@pytest.mark.parametrize(("step", "built"), STEPS.values(), ids=STEPS.keys())
def test_a_step_is_compiled(step: str, built: Json, tmp_path: Path) -> None:
    bundle = load(tmp_path, {"a.yaml": build(step)})
    assert find_spec(bundle, "Workflow", "deploy")["steps"] == [{"name": "a", **built}]


WRONG = {
    "a task nobody has": (
        "{name: a, task: provisioning.deploy-taskserv}",
        "a.yaml:6:15: no task is called 'provisioning.deploy-taskserv'; near are provisioning.deploy-taskservs",
    ),
    "a field nobody knows": (
        "{name: a, task: provisioning.addon, retries: 3}",
        "a.yaml:6:41: Workflow deploy: spec.steps[a].retries: there is no such field; did you mean retry?",
    ),
    "a step that is not there": (
        "{name: a, task: provisioning.addon, depends_on: [b]}",
        "a.yaml:6:41: spec.steps[a].dependsOn: there is no step 'b'",
    ),
    "a word for what failure means": (
        "{name: a, task: provisioning.addon, on_failure: explode}",
        "a.yaml:6:41: workflow.spec.steps[0].on_failure must be one of fail, abort, continue, rollback,",
    ),
    "a duration that is none": (
        "{name: a, task: provisioning.addon, timeout: soon}",
        "a.yaml:6:41: Workflow deploy: spec.steps[a].timeout: 'soon' is no duration",
    ),
    "a name nobody gives": (
        "{name: a, task: provisioning.addon, when: ready == true}",
        "a.yaml:6:41: no step gives ready; there are none",
    ),
    "a condition that is none": (
        "{name: a, task: provisioning.addon, when: '1 +'}",
        "a.yaml:6:41: spec.steps[a].when: '1 +': line 1, column 4",
    ),
    "an address of a secret in the open": (
        "{name: a, task: notifications.slack, params: {webhook: 'https://chat.example/T0/secret', message: x}}",
        "a.yaml:6:51: webhook is a secret: allowed is secret:<name>:<key>, not the address itself",
    ),
    "a size that is none": (
        "{name: a, task: provisioning.deploy-agents, params: {initial_replicas: {pm: many}}}",
        "a.yaml:6:58: initial_replicas.pm must be a number from 0, found 'many'",
    ),
    "a file that leaves the folder": (
        "{name: a, task: provisioning.run-migrations, params: {sql_files: [../../etc/*]}}",
        "a.yaml:6:59: ../../etc/* leaves the folder",
    ),
    "files that are not there": (
        "{name: a, task: provisioning.run-migrations, params: {sql_files: [sql/*.surql]}}",
        "a.yaml:6:59: no file is called sql/*.surql, beside this one or in a folder above it; --allow-missing goes on",
    ),
}


@pytest.mark.parametrize(("step", "told"), WRONG.values(), ids=WRONG.keys())
def test_a_step_of_no_one_meaning_is_refused_with_the_place(step: str, told: str, tmp_path: Path) -> None:
    bundle = load(tmp_path, {"a.yaml": build(step)})
    (said,) = list_said(bundle, "error")
    assert told in said
    assert "T0/secret" not in said


def test_steps_without_any_order_run_in_that_of_the_list(tmp_path: Path) -> None:
    bundle = load(tmp_path, {"a.yaml": HEAD + "  steps:\n" + ADDONS})
    assert find_spec(bundle, "Workflow", "deploy")["type"] == "sequential"


def test_a_workflow_without_a_name_has_that_of_its_file(tmp_path: Path) -> None:
    source = build("{name: a, task: provisioning.addon}").replace("metadata: {name: deploy}\n", "")
    bundle = load(tmp_path, {"workflows/scale_up.yaml": source})
    assert list_names(bundle, "Workflow") == ["scale-up"]
    assert "workflows/scale_up.yaml:2:1: it has no name; the file's is taken: scale-up" in list_said(bundle, "note")


def test_an_imported_deployment_has_an_hour_and_rolls_back_where_it_says_so(tmp_path: Path) -> None:
    step = "{name: a, task: provisioning.deploy-taskservs, params: {taskservs: [x]}}"
    spec = find_spec(
        load(tmp_path, {"a.yaml": build(step, spec="  rollback_on_failure: true\n")}), "Workflow", "deploy"
    )
    assert (spec["deadline"], spec["onFailure"]) == ("1h", "rollback")


def test_what_follows_the_end_runs_after_success(tmp_path: Path) -> None:
    last = "  on_completion:\n  - {name: tell, task: provisioning.health-check}\n"
    spec = find_spec(
        load(tmp_path, {"a.yaml": build("{name: a, task: provisioning.addon}") + last}), "Workflow", "deploy"
    )
    (step,) = spec["onCompletion"]
    assert step == {"name": "tell", "task": {"type": "provisioning.health-check"}, "runOn": "success"}


SCALING = build(
    "{name: read-depth, task: provisioning.query, params: {query: \"SELECT d FROM h WHERE role = '${ROLE}'\"},"
    " outputs: [depth]}",
    "{name: decide, task: provisioning.evaluate, outputs: [action],"
    ' params: {condition: "if depth > 10:\\n  action = \\"up\\"\\nelse:\\n  action = \\"rest\\""}}',
    "{name: act, task: provisioning.scale-taskserv, when: 'action != \"rest\" && decide_is_on', params: {replicas: 3}}",
    spec="  params: {decide_is_on: true}\n",
)


def test_bare_names_become_the_step_that_gives_them(tmp_path: Path) -> None:
    _, decide, act = find_spec(load(tmp_path, {"a.yaml": SCALING}), "Workflow", "deploy")["steps"]
    assert act["when"] == 'steps.decide.outputs.action != "rest" && params.decide_is_on'
    params = decide["task"]["params"]
    assert params["values"] == {"depth": "${steps.read-depth.outputs.depth}"}
    assert params["role"] == "${ROLE}"
    assert decide["outputs"] == ["action"]


def test_a_name_that_two_steps_give_is_refused(tmp_path: Path) -> None:
    step = "{{name: {}, task: provisioning.query, outputs: [depth]}}"
    last = "{name: c-d, task: provisioning.addon, when: depth > 1}"
    bundle = load(tmp_path, {"a.yaml": build(step.format("a"), step.format("b-c"), last)})
    assert list_said(bundle, "error") == [
        'a.yaml:8:43: depth could be steps.a.outputs.depth or steps["b-c"].outputs.depth; write the one that is meant'
    ]


def test_values_stand_over_params_and_those_nobody_asks_for_are_told(tmp_path: Path) -> None:
    values = {"ROLE": "developer", "decide_is_on": False, "RLOE": 1}
    bundle = load(tmp_path, {"a.yaml": SCALING}, values=values)
    assert find_spec(bundle, "Workflow", "deploy")["params"] == {"decide_is_on": False, "ROLE": "developer"}
    assert list_said(bundle, "warning") == ["--values: no workflow has a param RLOE"]
    assert "ROLE} has no value" in list_said(load(tmp_path, {}), "warning")[0]


def test_files_of_a_param_become_a_config_map_named_by_what_they_hold(tmp_path: Path) -> None:
    step = "{name: a, task: provisioning.run-migrations, params: {sql_files: [sql/*.surql]}}"
    files = {"workflows/a.yaml": build(step), "sql/02.surql": "two", "sql/01.surql": "one"}
    bundle = load(tmp_path, files)
    reference = find_spec(bundle, "Workflow", "deploy")["steps"][0]["task"]["params"]["sqlFiles"]
    assert reference["keys"] == ["01.surql", "02.surql"]
    held = find(bundle, "ConfigMap", reference["configMap"])
    assert (held["immutable"], held["data"]) == (True, {"01.surql": "one", "02.surql": "two"})
    changed = load(tmp_path, {"sql/02.surql": "three"})
    assert list_names(changed, "ConfigMap") != list_names(bundle, "ConfigMap")


def test_missing_files_are_only_told_of_where_that_is_allowed(tmp_path: Path) -> None:
    step = "{name: a, task: provisioning.run-migrations, params: {sql_files: [sql/*.surql]}}"
    bundle = load(tmp_path, {"a.yaml": build(step)}, is_missing_allowed=True)
    assert find_spec(bundle, "Workflow", "deploy")["steps"][0]["task"]["params"] == {"sqlFiles": []}
    assert len(list_said(bundle, "warning")) == 1


def test_a_file_that_was_named_must_be_a_definition_and_one_in_a_folder_is_passed_over(tmp_path: Path) -> None:
    files = {"a.yaml": build("{name: a, task: provisioning.addon}"), "b.yaml": "apiVersion: v1\nkind: Secret\n"}
    bundle = load(tmp_path, files)
    assert (bundle.errors, list_names(bundle, "Workflow")) == ([], ["deploy"])
    assert any("b.yaml:2:1: not imported: found kind Secret of v1" in said for said in list_said(bundle, "note"))


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    step = "{name: a, task: provisioning.run-migrations, params: {sql_files: [sql/*.surql]}}"
    (tmp_path / "key").write_text("secret")
    write(tmp_path / "in", {"a.yaml": build(step), "sql/README": ""})
    (tmp_path / "in" / "sql" / "key.surql").symlink_to(tmp_path / "key")
    (said,) = list_said(load(tmp_path / "in", {}), "error")
    assert "no file is called sql/*.surql" in said
