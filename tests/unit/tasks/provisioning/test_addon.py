"""Add-ons: what installs them, when they are well, which are refused, and what an undoing leaves."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.procedures.course import UID, Course, drive, failed, finished, situation
from tests.unit.tasks.provisioning.site import Site, config

from vapora.core.procedures.task import build_task, build_undo_task
from vapora.core.tasks.builtin import BUILT_IN
from vapora.core.tasks.provisioning.installing.addons import Installer, build_objects, load_addons
from vapora.core.workflow.procedure import Failed, Finished

Json = dict[str, Any]
run_task, undo_task = build_task(BUILT_IN), build_undo_task(BUILT_IN)
NONE = ("Application", "HelmRelease")
CHART = {"name": "app", "repository": "https://charts.example", "version": "1", "release": "app", "namespace": "apps"}
WELL = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}


def config_map(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}}


def entry(name: str, **spec: object) -> Json:
    """An entry of the catalogue."""
    definition = {"kind": "Addon", "metadata": {"name": name}, "spec": spec}
    return config(f"vapora-catalog-addon-{name}", definition=json.dumps(definition))


def body(*addons: object) -> Json:
    return {"type": "provisioning.addon", "params": {"addons": list(addons)}}


def install(site: Site, *addons: object, **crash: Any) -> Course:
    return drive(run_task, situation(body(*addons)), site, **crash)


def told(course: Course) -> Any:
    result = finished(course)
    assert isinstance(result, dict)
    return result["addons"]


def statuses(*rows: Json, objects: int = 1) -> Iterator[Json]:
    """The statuses that each of some objects has, look by look."""
    return iter([row for row in rows for _ in range(objects)])


def argo(sync: str, health: str) -> Json:
    return {"sync": {"status": sync}, "health": {"status": health}}


def test_argo_cd_installs_charts_where_it_is() -> None:
    site = Site(absent=("HelmRelease",))
    site.statuses["Application"] = statuses({}, argo("OutOfSync", "Missing"), argo("Synced", "Healthy"), objects=2)
    course = install(site, "istio")
    assert told(course) == {"istio": "Application"}
    assert site.log == ["apply istio-base", "apply istiod"]
    assert any("Application istio-base (it is OutOfSync and Missing)" in rest.why for rest in course.rests)


def test_flux_installs_charts_where_it_is_one_after_the_other() -> None:
    site = Site(absent=("Application",))
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    site.statuses["HelmRelease"] = statuses({}, ready, objects=2)
    site.statuses["HelmRepository"] = statuses(ready, objects=2)
    assert told(install(site, "istio")) == {"istio": "HelmRelease"}
    second = site.get("HelmRelease", "istiod")
    assert second is not None
    assert second["spec"]["dependsOn"] == [{"name": "istio-base"}]


def test_a_definition_of_the_catalogue_wins_over_what_ships_and_its_objects_are_applied_without_an_installer() -> None:
    site = Site(entry("istio", manifests=[config_map("mesh")]), absent=NONE)
    assert told(install(site, "istio")) == {"istio": "manifests"}
    assert site.data("mesh") == {"a": "1"}


def test_a_definition_may_stand_where_it_is_asked_for() -> None:
    site = Site(absent=NONE)
    assert told(install(site, {"name": "own", "manifests": [config_map("own")]})) == {"own": "manifests"}


def test_an_addon_that_is_there_already_needs_no_installer_and_is_waited_for() -> None:
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "istiod", "namespace": "istio-system"},
        "spec": {"replicas": 1},
    }
    site = Site(deployment, absent=NONE)
    site.statuses["Deployment"] = statuses({}, WELL)
    course = install(site, "istio")
    assert told(course) == {"istio": "present"}
    assert [rest.why for rest in course.rests] == ["waits for Deployment istiod of istio (0 of 1 replicas are updated)"]
    assert site.log == []


def test_what_can_be_installed_is_only_where_the_rest_is_there() -> None:
    site = Site(entry("own", manifests=[config_map("own")]), absent=NONE)
    assert failed(install(site, "own", "istio").end)[0] == "NoInstaller"
    assert site.log == []


REFUSED: dict[str, tuple[list[object], list[Json], str, str]] = {
    "a name that is nearly right": (
        ["promeheus"],
        [],
        "UnknownAddon",
        "no add-on is called 'promeheus'; near are prometheus, and those of ConfigMaps vapora-catalog-addon-<name>",
    ),
    "a chart that nobody installs": (
        ["istio"],
        [],
        "NoInstaller",
        "istio: the cluster has neither Argo CD nor Flux to install its chart, and Deployment istiod is not there",
    ),
    "a chart of which nothing tells that it is there": (
        [{"name": "own", "charts": [CHART]}],
        [],
        "NoInstaller",
        "own: the cluster has neither Argo CD nor Flux to install its chart; manifests in ConfigMap",
    ),
    "nothing to install": ([{"name": "own"}], [], "InvalidInput", "one of charts, manifests and health is needed"),
    "no add-ons": ([], [], "InvalidInput", "params.addons"),
    "an entry of the catalogue that is no JSON": (
        ["own"],
        [config("vapora-catalog-addon-own", definition="{")],
        "InvalidInput",
        "add-on own: ConfigMap vapora-catalog-addon-own: its key definition holds no object as JSON",
    ),
    "an entry of the catalogue with a field that is wrong": (
        ["own"],
        [entry("own", charts=[{**CHART, "version": 3}])],
        "InvalidInput",
        "ConfigMap vapora-catalog-addon-own: spec.charts[0].version",
    ),
    "a login in the address of a repository": (
        [{"name": "own", "charts": [{**CHART, "repository": "https://me:hidden@charts.example"}]}],
        [],
        "InvalidInput",
        "repository",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_installed_is_refused_and_nothing_is_applied(case: str) -> None:
    addons, objects, reason, words = REFUSED[case]
    site = Site(*objects, absent=NONE)
    said, message = failed(install(site, *addons).end)
    assert (said, words in message, site.log) == (reason, True, []), message


@pytest.mark.parametrize("crash_at", range(6))
@pytest.mark.parametrize("is_made", [True, False], ids=["after the call", "before the call"])
def test_a_crash_changes_nothing(crash_at: int, *, is_made: bool) -> None:
    site = Site(entry("own", manifests=[config_map("own")]), absent=("HelmRelease",))
    site.statuses["Application"] = statuses({}, argo("Synced", "Healthy"))
    course = install(site, "own", "metrics-server", crash_at=crash_at, is_made=is_made)
    assert told(course) == {"own": "manifests", "metrics-server": "Application"}


def test_undone_what_was_made_is_deleted_the_last_first() -> None:
    site = Site(absent=("HelmRelease",))
    site.statuses["Application"] = statuses({}, argo("Synced", "Healthy"), objects=2)
    end = install(site, "istio").end
    assert isinstance(end, Finished)
    undone = drive(undo_task, situation(body("istio"), undoes=end.memory), site)
    assert finished(undone) == {
        "deleted": ["Application istiod", "Application istio-base"],
        "restored": [],
        "kept": [],
    }


def test_a_try_that_failed_half_way_can_be_undone_and_repeated() -> None:
    site = Site(entry("own", manifests=[config_map("one"), config_map("two")]), absent=NONE)
    site.refuse["two"] = "Conflict"
    end = install(site, "own").end
    assert isinstance(end, Failed)
    site.refuse.clear()
    again = drive(run_task, situation(body("own"), memory=end.memory), site).end
    assert isinstance(again, Finished)
    drive(undo_task, situation(body("own"), undoes=again.memory), site)
    assert (site.data("one"), site.data("two")) == (None, None)


@pytest.mark.parametrize("installer", Installer)
@pytest.mark.parametrize("name", ["istio", "prometheus", "rook-ceph", "metrics-server", "grafana"])
def test_what_ships_is_complete(name: str, installer: Installer) -> None:
    addon = load_addons()[name]
    objects = build_objects(installer, name, addon, "default")
    assert addon.health
    assert len({(each["kind"], each["metadata"]["name"]) for each in objects}) == len(objects)  # type: ignore[index]
    assert UID not in json.dumps(objects)
