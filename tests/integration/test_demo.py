"""The demo tells the truth: it fails where something of it fails."""

import subprocess
import sys
from pathlib import Path


def test_a_service_whose_image_is_broken_fails_the_demo_and_says_which():
    command = [sys.executable, "-m", "examples.demo", "--break-service", "vapora-llm-router", "--ready-within", "15"]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "the fleet is not Ready" in done.stdout
    assert "vapora-llm-router" in done.stdout
