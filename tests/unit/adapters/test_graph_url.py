"""Which addresses are stores, and that no password of one is ever told."""

import pytest
from typer.testing import CliRunner

from vapora.adapters.graph_url import build_graph, describe_address, find_url_problem
from vapora.cli import main

GOOD = [
    "sqlite:///var/lib/vapora/graph.db",
    "postgresql://vapora@db/vapora",
    "postgres://vapora:pw@db:5432/vapora?sslmode=require",
    "https://vapora@surreal:8000/agents/graph",
    "http://[::1]:8000/agents/graph",
]
BAD = {
    "a path": ("/var/lib/graph.db", "begins with ''"),
    "a store that nobody knows": ("mysql://db/vapora", "begins with 'mysql'"),
    "a file of another host": ("sqlite://host/graph.db", "no full address"),
    "no file": ("sqlite://", "no full address"),
    "no database": ("postgresql://db", "no full address"),
    "no namespace": ("https://surreal/graph", "no full address"),
    "a port that is none": ("postgresql://db:port/vapora", "cannot be parsed"),
}


@pytest.mark.parametrize("url", GOOD)
def test_an_address_of_a_store_is_taken(url):
    assert find_url_problem(url) is None
    assert build_graph(url, "s3cr3t").problem


@pytest.mark.parametrize(("url", "words"), BAD.values(), ids=BAD.keys())
def test_any_other_is_refused_with_what_is_allowed(url, words):
    with pytest.raises(ValueError, match=words) as refusal:
        build_graph(url)
    assert "sqlite:///folder/graph.db" in str(refusal.value)


def test_an_address_is_told_without_its_user_and_password():
    assert describe_address("postgres://vapora:s3cr3t@db:5432/vapora?x=y") == "postgres://db:5432/vapora"


def test_a_wrong_setting_is_told_without_a_password():
    result = CliRunner().invoke(main, ["operator", "--graph-url", "mysql://u:s3cr3t@db/x", "--workers", "0"])
    assert result.exit_code == 2
    assert "graph_url: Value error, it begins with 'mysql'; allowed are " in result.stderr
    assert "workers: Input should be greater than or equal to 1; found is 0" in result.stderr
    assert "s3cr3t" not in result.stderr
