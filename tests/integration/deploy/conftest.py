"""The application as the real packager of MONAI Deploy lays it out, run as a package runs it, with the real SDK."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import environment
from contract import Bundle
from pack import pack
from releasing.weights import released

ROOT = Path(__file__).resolve().parents[3]
APP = ROOT / "tools" / "deploy_app"
BUNDLE = "ct_mr_cyclegan_translation"
MANIFESTS = {"ct": "app.yaml", "mr": "app_ct_to_mr.yaml"}
"""Of the application that makes each modality."""

DOCKER = """#!/bin/sh
case "$*" in
"buildx ls"*) echo '{"Name": "holoscan_app_builder"}' ;;
"buildx inspect"*) echo 'Name: holoscan_app_builder' ;;
"image inspect"*) echo '[{}]' ;;
"buildx build"*)
    for context; do :; done
    cp -r "$context" "$KEPT" ;;
esac
"""
"""In the place of Docker: what an image would be built from is kept, and no image is built."""

HOLOSCAN = {
    "wheel-version": "4.2.0",
    "debian-version": "4.2.0",
    "base-images": {"dgpu": "base", "igpu": "base", "cpu": "base"},
    "build-images": {"dgpu": {}, "igpu": {}, "cpu": {}},
}
"""In the place of the list that the packager fetches: from which image its own start."""


@dataclass(frozen=True)
class Run:
    """What a run of the application left."""

    status: int
    said: str
    output: Path


Application = Callable[..., Run]


@pytest.fixture(scope="session")
def deploy_python() -> Path:
    """The interpreter of an environment with the SDK, made once."""
    return environment.extra(".venv-deploy", APP / "requirements.txt", APP / "sdk.txt")


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the bundle and its released weights, as users unpack them."""
    weights, folder = released()[BUNDLE], tmp_path_factory.mktemp("release")
    values = folder / "values.json"
    values.write_text(json.dumps(weights.values), encoding="utf-8")
    overlays = [*map(Path, weights.overlays), *([values] if weights.values else [])]
    archive = pack(Bundle(ROOT / "bundles" / BUNDLE), folder, weights.checked(), overlays=overlays)
    shutil.unpack_archive(archive, folder / "unpacked")
    return folder / "unpacked"


@pytest.fixture(scope="session")
def package(deploy_python: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``monai-deploy package`` hands over to Docker."""
    folder = tmp_path_factory.mktemp("package")
    app = shutil.copytree(APP, folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "common" / "transmodal", app / "transmodal", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "bin").mkdir()
    (folder / "bin" / "docker").write_text(DOCKER, encoding="utf-8")
    (folder / "bin" / "docker").chmod(0o755)
    (folder / "sources.json").write_text(json.dumps({"4.2.0": {"holoscan": HOLOSCAN}}), encoding="utf-8")
    (folder / "cache").mkdir()
    command = [deploy_python.with_name("monai-deploy"), "package", app, "--config", app / "app.yaml"]
    command += ["--models", models, "--platform", "x86_64", "--tag", "synthetic-ct:0.1.0"]
    command += ["--source", folder / "sources.json", "--build-cache", folder / "cache"]
    found = {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "KEPT": str(folder / "kept")}
    done = subprocess.run(command, env={**os.environ, **found}, capture_output=True, text=True, check=False)
    assert "Succeeded" in done.stdout + done.stderr, done.stdout + done.stderr
    return folder / "kept"


@pytest.fixture(scope="session")
def application(deploy_python: Path, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Application:
    """Run the application on a folder of DICOM files: ``application(folder, makes="ct", models=None, **ids)``."""
    (runtime,) = deploy_python.parents[1].glob("lib/python*/site-packages/nvidia/*/lib")  # for who has no CUDA

    def run(source: Path, makes: str = "ct", models: Path | None = None, **ids: object) -> Run:
        folder = tmp_path_factory.mktemp("run")
        manifest = yaml.safe_load((APP / MANIFESTS[makes]).read_text(encoding="utf-8"))
        manifest["translation"]["ids"] = ids
        (folder / "manifest.yaml").write_text(yaml.safe_dump(manifest), encoding="utf-8")
        (folder / "output").mkdir()
        places = {
            "HOLOSCAN_INPUT_PATH": source,
            "HOLOSCAN_OUTPUT_PATH": folder / "output",
            "HOLOSCAN_MODEL_PATH": models or package / "models",
            "HOLOSCAN_CONFIG_PATH": folder / "manifest.yaml",
            "LD_LIBRARY_PATH": runtime,
        }
        surroundings = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(
            [deploy_python, package / "app"],
            cwd=folder,
            env=surroundings | {key: str(value) for key, value in places.items()},
            capture_output=True,
            text=True,
            check=False,
        )
        return Run(done.returncode, done.stdout + done.stderr, folder / "output")

    return run
