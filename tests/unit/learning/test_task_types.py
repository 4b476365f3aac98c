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
    "Check this PR before we merge it": "code-review",
    "Give feedback on Anna's patch": "code-review",
    "Look over the changes in the auth module": "code-review",
    "Peer-review the migration": "code-review",
    "Second pair of eyes on the diff": "code-review",
    "Approve or reject merge request 12": "code-review",
    "Verify that the checkout works in all browsers": "testing",
    "Raise coverage of the billing module to 80 %": "testing",
    "Add regression tests for the importer": "testing",
    "Create a test plan for release 3": "testing",
    "Run the end-to-end suite": "testing",
    "Validate the API against its contract": "testing",
    "Resolve the NullPointerException in OrderService": "bug-fix",
    "The login button does nothing": "bug-fix",
    "Users cannot log in after the update": "bug-fix",
    "Repair the broken pagination": "bug-fix",
    "Correct the wrong total on invoices": "bug-fix",
    "App crashes on startup": "bug-fix",
    "Add a dark mode toggle": "implementation",
    "Build the export to CSV": "implementation",
    "Create an endpoint for password reset": "implementation",
    "Develop the notification service": "implementation",
    "Code the parser for the new format": "implementation",
    "Introduce pagination to the list": "implementation",
    "Update the README with install steps": "documentation",
    "Explain the config options in the handbook": "documentation",
    "Write a tutorial for new users": "documentation",
    "Describe the API in the wiki": "documentation",
    "Write release notes for v2": "documentation",
    "Propose how services should communicate": "architecture",
    "Choose between Kafka and RabbitMQ": "architecture",
    "Draw the component diagram": "architecture",
    "Decide on a database for time series": "architecture",
    "Model the domain of orders": "architecture",
    "Evaluate microservices against a monolith": "architecture",
    "Roll out v3 to staging": "deployment",
    "Ship the hotfix to prod": "deployment",
    "Publish the Docker image": "deployment",
    "Promote the build to production": "deployment",
    "Release version 1.2": "deployment",
    "Set up the CI/CD pipeline": "deployment",
    "Check the dependencies for CVEs": "security",
    "Pentest the admin panel": "security",
    "Rotate the leaked credentials": "security",
    "Harden the TLS configuration": "security",
    "Find injection flaws in the API": "security",
    "Threat model for the payment flow": "security",
    "Split the god class into services": "refactoring",
    "Remove duplicate code in the handlers": "refactoring",
    "Rename the confusing variables": "refactoring",
    "Simplify the nested conditionals": "refactoring",
    "Extract an interface for storage": "refactoring",
    "Clean up legacy modules": "refactoring",
    "Break the epic into user stories": "planning",
    "Estimate the effort for Q3": "planning",
    "Prioritise the backlog": "planning",
    "Create a roadmap for next year": "planning",
    "Schedule the release milestones": "planning",
    "Define the scope of the MVP": "planning",
    "Look into the high CPU usage on node 3": "operations",
    "Respond to the outage of the database": "operations",
    "Restart the stuck consumers": "operations",
    "Set up alerts for disk space": "operations",
    "Find the root cause of last night's incident": "operations",
    "Scale the cluster for Black Friday": "operations",
    "Make a deck for investors": "presentation",
    "Create slides about our results": "presentation",
    "Prepare a talk for the conference": "presentation",
    "Draft the pitch for the customer": "presentation",
    "Build a keynote on AI": "presentation",
    "Demo script for the sales team": "presentation",
    "Sing a song": "general",
    "Buy milk": "general",
    "Book a flight to Rome": "general",
    "Answer the customer's email": "general",
    "Translate this sentence": "general",
    "Say hello": "general",
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
