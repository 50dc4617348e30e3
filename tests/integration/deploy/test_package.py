"""What the packager of MONAI Deploy makes of the application and its manifest."""

from __future__ import annotations

import json
from pathlib import Path

from tests.integration.deploy.conftest import APP, BUNDLE


def test_a_package_starts_the_application_with_its_manifest(package: Path) -> None:
    manifest = json.loads((package / "map" / "app.json").read_text(encoding="utf-8"))
    assert json.loads(manifest["command"]) == ["python3", "/opt/holoscan/app"]
    assert (package / "app" / "__main__.py").is_file()
    assert (package / "app.config").read_bytes() == (APP / "app.yaml").read_bytes()
    assert manifest["sdk"] == "monai-deploy"
    assert manifest["input"]["formats"] == manifest["output"]["formats"] == ["DICOM"]


def test_a_package_lists_the_bundle_and_what_it_needs(package: Path) -> None:
    manifest = json.loads((package / "map" / "pkg.json").read_text(encoding="utf-8"))
    assert manifest["models"] == {BUNDLE: f"/opt/holoscan/models/{BUNDLE}"}
    assert {"cpu", "gpu", "memory", "gpuMemory"} == {*manifest["resources"]}
    assert (package / "models" / BUNDLE / "models" / "model.pt").is_file()


def test_a_package_installs_the_pins(package: Path) -> None:
    installed = (package / "pip" / "requirements.txt").read_text(encoding="utf-8")
    assert installed.startswith((APP / "requirements.txt").read_text(encoding="utf-8"))
    assert installed.splitlines()[-1] == "holoscan-cu13==4.2.0"
    assert "monai-deploy-app-sdk==4.0.0" in (package / "Dockerfile").read_text(encoding="utf-8")
