"""Which cluster and namespace a command is about."""

import os
from pathlib import Path

import pytest
import yaml

from vapora.cli.target import NoTarget, find_target


def write_config(path: Path, current: str | None = None, **contexts: str | None) -> str:
    rows = [
        {"name": name, "context": {"cluster": "c", "user": "u", **({"namespace": namespace} if namespace else {})}}
        for name, namespace in contexts.items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"contexts": rows, **({"current-context": current} if current else {})}))
    return str(path)


def find(home: Path, env: str | None = None, **options: str | None) -> tuple[str | None, str | None, str]:
    given = {"kubeconfig": None, "context": None, "namespace": None, **options}
    target = find_target(**given, environment={"KUBECONFIG": env} if env else {}, home=home)
    return target.kubeconfig, target.context, target.namespace


def test_an_option_comes_before_the_variable_and_that_before_the_home(tmp_path: Path) -> None:
    home = write_config(tmp_path / ".kube" / "config", "home", home=None)
    variable = write_config(tmp_path / "variable", "variable", variable=None)
    option = write_config(tmp_path / "option", "option", option=None)
    assert find(tmp_path) == (home, "home", "default")
    assert find(tmp_path, variable) == (variable, "variable", "default")
    assert find(tmp_path, variable, kubeconfig=option) == (option, "option", "default")


def test_the_namespace_is_the_options_or_the_contexts(tmp_path: Path) -> None:
    config = write_config(tmp_path / "config", "a", a="team-a", b="team-b")
    assert find(tmp_path, config)[2] == "team-a"
    assert find(tmp_path, config, context="b") == (config, "b", "team-b")
    assert find(tmp_path, config, namespace="mine")[2] == "mine"


def test_of_several_files_the_first_that_says_something_counts(tmp_path: Path) -> None:
    first = write_config(tmp_path / "first", None, a="one")
    second = write_config(tmp_path / "second", "a", a="two", b="three")
    listed = os.pathsep.join([str(tmp_path / "missing"), first, second])
    assert find(tmp_path, listed) == (f"{first}{os.pathsep}{second}", "a", "one")


def test_without_any_kubeconfig_it_is_the_cluster_this_runs_in(tmp_path: Path) -> None:
    assert find(tmp_path, namespace="x") == (None, None, "x")


def test_what_is_named_and_missing_is_said(tmp_path: Path) -> None:
    config = write_config(tmp_path / "config", "a", a=None)
    with pytest.raises(NoTarget, match="there is no kubeconfig /nowhere"):
        find(tmp_path, kubeconfig="/nowhere")
    with pytest.raises(NoTarget, match="has no context b"):
        find(tmp_path, config, context="b")
    with pytest.raises(NoTarget, match="to look for the context b in"):
        find(tmp_path, context="b")
    with pytest.raises(NoTarget, match="names no current-context"):
        find(tmp_path, write_config(tmp_path / "other", None, a=None))
    (tmp_path / "broken").write_text("{")
    with pytest.raises(NoTarget, match="cannot be read"):
        find(tmp_path, str(tmp_path / "broken"))
