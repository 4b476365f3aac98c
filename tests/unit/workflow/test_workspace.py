"""The workspace: one claim of a run, made before its first run step, mounted in each of them."""

import pytest
from tests.unit.workflow.world import World, run_step

from vapora.core.plan import Create
from vapora.core.supported import SpecProblem
from vapora.core.workflow.definition import read_definition

WORKSPACE = {"size": "1Gi", "storageClass": "fast"}
MOUNT = {"name": "vapora-workspace", "mountPath": "/workspace"}


def begin(*steps: dict[str, object], **spec: object) -> World:
    world = World({"workspace": WORKSPACE, "steps": list(steps), **spec})
    world.settle()
    return world


def pod_spec(manifest: dict) -> dict:
    return manifest["spec"]["template"]["spec"] if manifest["kind"] == "Job" else manifest["spec"]


STEPS = {
    "a Pod": {"image": "busybox"},
    "a Job": {"image": "busybox", "executor": "Job"},
    "a GPU Job": {"image": "busybox", "ml": "required"},
}


@pytest.mark.parametrize("case", STEPS)
def test_every_run_step_has_it_in_its_main_container(case: str) -> None:
    world = begin({"name": "a", "run": STEPS[case]})
    spec = pod_spec(world.manifests[0])
    [volume] = [volume for volume in spec["volumes"] if volume["name"] == "vapora-workspace"]
    assert MOUNT in spec["containers"][0]["volumeMounts"]
    assert volume["persistentVolumeClaim"]["claimName"].startswith("wf-")
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["fsGroup"] > 0


def test_a_run_without_one_mounts_nothing() -> None:
    world = World({"steps": [run_step("a")]})
    world.settle()
    assert "volumes" not in world.manifests[0]["spec"]


def test_the_claim_comes_with_the_first_steps_and_with_no_later_one() -> None:
    world = World({"workspace": WORKSPACE, "steps": [run_step("a"), run_step("b", dependsOn=["a"])]})
    [first] = [action for action in world.plan().plan.actions if isinstance(action, Create)]
    claim = first.needs
    assert (claim["kind"], claim["spec"]) == (
        "PersistentVolumeClaim",
        {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "fast",
        },
    )
    assert claim["metadata"]["ownerReferences"] == [world.identity.owner_reference]
    world.finish("a")
    assert len(world.manifests) == 2
    assert all(action.needs is None for action in world.decided.plan.actions if isinstance(action, Create))


CLASHES = {
    "a volume of its name": {"volumes": [{"name": "vapora-workspace", "emptyDir": {}}]},
    "a mount at its path": {"volumeMounts": [{"name": "own", "mountPath": "/workspace/"}]},
    "a volume in the podTemplate": {"podTemplate": {"spec": {"volumes": [{"name": "vapora-workspace"}]}}},
    "a mount in the podTemplate": {
        "podTemplate": {"spec": {"containers": [{"name": "main", "volumeMounts": [{"mountPath": "/workspace"}]}]}}
    },
}


@pytest.mark.parametrize("case", CLASHES)
def test_what_stands_in_its_place_is_refused(case: str) -> None:
    steps = [run_step("a", run={"image": "busybox", **CLASHES[case]})]
    problem = read_definition({"workspace": WORKSPACE, "steps": steps})
    assert isinstance(problem, SpecProblem)
    assert problem.message.startswith("spec.steps[a].run."), problem.message
    assert "workspace" in problem.message
    assert not isinstance(read_definition({"steps": steps}), SpecProblem)


def test_what_gets_into_its_place_later_fails_the_step() -> None:
    mounts = [{"name": "own", "mountPath": "${params.where}"}]
    world = begin(
        run_step("a", run={"image": "busybox", "volumeMounts": mounts}),
        params={"where": "/workspace"},
    )
    assert (world.status.reason, world.created) == ("InvalidInput", [])
