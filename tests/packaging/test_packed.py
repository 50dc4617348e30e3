"""Packed bundles, fetched as users fetch them and run where nothing of this checkout is importable."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import monai.bundle
import nibabel as nib
import numpy as np
import pytest

from contract import STATIC, Bundle, run_checks
from pack import pack
from tests.packaging.alone import run_alone
from tests.packaging.tiny import GAINS, NAME, shrink, write_cases

ROOT = Path(__file__).resolve().parents[2]
REAL = sorted(path.parent for path in ROOT.glob("bundles/*/configs"))


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address under which a server on this machine serves it."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(_Quiet, directory=str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the test's output is the test's."""


def test_a_packed_bundle_runs_alone_from_the_root_folder(bundle: Path, tmp_path: Path) -> None:
    archive = pack(Bundle(bundle), tmp_path / "packed")
    monai.bundle.download(name=NAME, bundle_dir=str(tmp_path / "got"), url=archive.as_uri(), progress=False)
    cases, output = write_cases(tmp_path / "cases", "case_1"), tmp_path / "output"
    got = tmp_path / "got" / NAME
    said = run_alone(got, "--dataset_dir", str(cases), "--output_dir", str(output), "--device", "cpu")
    assert f"CORE {got / 'transmodal' / '__init__.py'}" in said
    (result,) = output.rglob("*.nii.gz")
    mr = nib.load(cases / "case_1" / "mr.nii.gz").get_fdata()
    np.testing.assert_allclose(nib.load(result).get_fdata(), GAINS["ct"] * mr, rtol=0, atol=1e-2)


def test_a_packed_bundle_is_fetched_over_http(bundle: Path, tmp_path: Path, served: tuple[Path, str]) -> None:
    folder, address = served
    archive = pack(Bundle(bundle), folder, source_url=f"{address}/{NAME}_v0.1.0.zip")
    source = json.loads((folder / "models" / "model_info.json").read_text())[f"{NAME}_v0.1.0"]["source"]
    monai.bundle.download(name=NAME, bundle_dir=str(tmp_path / "got"), url=source, progress=False)
    fetched = tmp_path / "got" / f"{NAME}.zip"
    assert fetched.read_bytes() == archive.read_bytes()
    assert (tmp_path / "got" / NAME / "models" / "model.pt").is_file()


def test_hosted_weights_are_fetched_and_compared_by_sha256(
    bundle: Path, tmp_path: Path, served: tuple[Path, str]
) -> None:
    folder, address = served
    weights = folder / "weights.pt"
    weights.write_bytes((bundle / "models" / "model.pt").read_bytes())
    archive = pack(Bundle(bundle), folder, hosted_url=f"{address}/weights.pt")
    got = tmp_path / "got"
    monai.bundle.download(name=NAME, bundle_dir=str(got), url=archive.as_uri(), progress=False)
    assert not (got / NAME / "models").exists()
    monai.bundle.download_large_files(bundle_path=str(got / NAME))
    assert (got / NAME / "models" / "model.pt").read_bytes() == weights.read_bytes()

    weights.write_bytes(b"something else")
    (got / NAME / "models" / "model.pt").unlink()
    with pytest.raises(Exception, match="sha256 hash check"):
        monai.bundle.download_large_files(bundle_path=str(got / NAME))


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.name)
def test_each_bundle_of_the_checkout_packs_and_keeps_its_promises_when_unpacked(path: Path, tmp_path: Path) -> None:
    archive = pack(Bundle(shrink(path, tmp_path)), tmp_path / "packed")
    monai.bundle.download(name=path.name, bundle_dir=str(tmp_path / "got"), url=archive.as_uri(), progress=False)
    findings = run_checks(Bundle(tmp_path / "got" / path.name), STATIC)
    assert [finding for finding in findings if finding.status == "FAIL"] == []
