"""The kind of work, from a task's words."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapora.core.learning.task_types import TASK_TYPES, infer_task_type

CASES = json.loads((Path(__file__).parents[2] / "vectors" / "task_types.json").read_text("utf-8"))["cases"]

TITLES = {
    "Review the architecture proposal": "code-review",
    "Check the code quality of PR 42": "code-review",
    "Fix failing tests": "bug-fix",
    "Debug the memory leak in the cache": "bug-fix",
    "Write integration tests for the payment": "testing",
    "Test the deployment script": "testing",
    "Add dark mode to the settings page": "implementation",
    "Develop a REST API for orders": "implementation",
    "Write a function that sorts a list": "implementation",
    "Write the user guide of the command line": "documentation",
    "Document the deployment process": "documentation",
    "Write release notes for 1.2": "documentation",
    "Update the README": "documentation",
    "Design a database schema for orders": "architecture",
    "Roll out the new version to staging": "deployment",
    "Deploy the documentation site": "deployment",
    "Audit the login for security holes": "security",
    "Patch CVE-2024-1234": "security",
    "Find SQL injection in the search form": "security",
    "Refactor the tests": "refactoring",
    "Clean up the old modules": "refactoring",
    "Estimate the backlog": "planning",
    "Plan the migration to Postgres 16": "planning",
    "Restart the stuck worker and check the logs": "operations",
    "Monitor disk usage": "operations",
    "Create a slide deck about the third quarter": "presentation",
    "Prepare a presentation for the customer": "presentation",
    "contest the invoice": "general",
    "Latest greatest hits": "general",
    "previewed prefixes of an addendum": "general",
    "Make coffee": "general",
    "": "general",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["title"])
def test_a_task_has_the_type_of_its_words(case):
    assert infer_task_type(case["title"], case["description"]) == case["want"]


@pytest.mark.parametrize(("title", "want"), TITLES.items())
def test_a_title_tells_the_type(title, want):
    assert infer_task_type(title) == want


def test_the_title_counts_more_than_the_description():
    assert infer_task_type("Fix the login", "Review it afterwards") == "bug-fix"


def test_a_word_said_often_counts_once():
    assert infer_task_type("Deploy it", "docs docs docs docs") == "deployment"


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_has_a_type(title, description):
    assert infer_task_type(title, description) in {*TASK_TYPES.order, "general"}
