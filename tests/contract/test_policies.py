"""What is installed, as checkov sees it: no finding that is not a reasoned exception of .checkov.yaml."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.contract.chart import CHART, VALUES, template
from tests.contract.manifests import OVERLAYS, ROOT, Json, load_objects, render_objects

CHECKOV = ROOT / ".policies" / "bin" / "checkov"
ASK = ["-d", ".", "-o", "json", "--soft-fail", "--skip-download", "--framework", "kubernetes", "dockerfile"]
ADDED = "author=true,prometheus.enabled=true,tenants={team-a}"
COMPONENTS = ROOT / "kustomize" / "components"


def list_rendered() -> dict[str, list[Json]]:
    """By name: what each way of installing makes, but the pod of `helm test`, which lives for a moment."""
    folders = [*(OVERLAYS / name for name in ("default", "dev", "production")), COMPONENTS / "author"]
    rendered = {folder.name: render_objects(folder) for folder in folders}
    rendered["argocd"] = load_objects((COMPONENTS / "argocd" / "rights.yaml").read_text())
    for values in VALUES:
        rendered[values.removesuffix(".yaml")] = template("-f", str(CHART / values), "--set", ADDED)
    return rendered


@pytest.mark.skipif(not CHECKOV.exists(), reason="needs checkov: make setup-policies")
def test_every_finding_is_a_reasoned_exception_and_every_exception_is_found(tmp_path: Path) -> None:
    for name, objects in list_rendered().items():
        # Of definitions it knows nothing, and reading them takes it most of its time.
        chosen = [obj for obj in objects if obj["kind"] != "CustomResourceDefinition"]
        (tmp_path / f"{name}.yaml").write_text(yaml.dump_all(chosen, Dumper=yaml.CSafeDumper))
    shutil.copy(ROOT / "Dockerfile", tmp_path)
    done = subprocess.run([CHECKOV, *ASK], capture_output=True, text=True, check=False, timeout=300, cwd=tmp_path)
    reports = json.loads(done.stdout)
    assert {report["check_type"] for report in reports} == {"kubernetes", "dockerfile"}, done.stderr
    assert all(report["summary"]["parsing_errors"] == 0 for report in reports)
    found: dict[str, set[str]] = {}
    for report in reports:
        for row in report["results"]["failed_checks"]:
            found.setdefault(f"{row['check_id']}: {row['check_name']}", set()).add(row["resource"])
    excepted = set(yaml.safe_load((ROOT / ".checkov.yaml").read_text())["skip-check"])
    assert {told: who for told, who in found.items() if told.partition(":")[0] not in excepted} == {}
    assert excepted == {told.partition(":")[0] for told in found}
