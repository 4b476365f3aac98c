"""The Helm chart, rendered for the tests."""

import subprocess
from functools import cache

from tests.cluster.binaries import ensure_helm
from tests.contract.manifests import ROOT, Json, load_objects

CHART = ROOT / "charts" / "vapora"
KUBERNETES = "1.36"
VALUES = sorted(path.name for path in CHART.glob("values*.yaml"))


def helm(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(ensure_helm()), *words], capture_output=True, text=True, check=False, timeout=60)


def try_template(*words: str) -> subprocess.CompletedProcess[str]:
    return helm("template", "vapora", str(CHART), "--kube-version", f"v{KUBERNETES}.0", *words)


@cache
def template(*words: str, namespace: str = "vapora-system") -> list[Json]:
    """The objects that the chart makes, without the test of `helm test`."""
    done = try_template("--namespace", namespace, "--skip-tests", *words)
    assert done.returncode == 0, done.stderr
    return load_objects(done.stdout)
