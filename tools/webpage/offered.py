"""The catalogue as the server keeps it, and whether a job fits it."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path
from typing import Any

from transmodal.errors import InputError
from webpage.processes import Ended, Works
from webpage.settings import Settings
from webpage.uploads import Upload

__all__ = ["NotReady", "Offered"]

SECONDS = 600.0
HIDDEN = "path"


class NotReady(InputError):
    """A bundle that cannot translate at present."""


class Offered:
    """What can be asked for; found out once, by a process of its own, when it is first needed.

    Args:
        settings: folders of the bundles, and the device.
        scratch: folder for temporary files.
    """

    def __init__(self, settings: Settings, scratch: Path) -> None:
        self.settings, self.scratch = settings, scratch
        self._lock = threading.Lock()
        self._works = Works()
        self._offers: list[dict[str, Any]] | None = None

    def look(self) -> None:
        """Find it out now; what goes wrong is told to whoever asks."""
        with contextlib.suppress(InputError):
            self._all()

    def close(self) -> None:
        """Find out nothing more."""
        self._works.close()

    def listed(self) -> list[dict[str, Any]]:
        """All offers, as the page is told of them."""
        return [{key: value for key, value in offer.items() if key != HIDDEN} for offer in self._all()]

    def work(self, request: dict[str, Any], upload: Upload) -> dict[str, Any]:
        """What a process is to do for a job.

        Raises:
            NotReady: if the bundle lacks something.
            InputError: if there is no such bundle, direction or option, or the upload is not what it translates.
        """
        offer = self._offer(request["bundle"])
        _check_upload(offer, upload)
        direction = {"source": request["source"], "target": request["target"]}
        if direction not in offer["directions"]:
            raise InputError(
                offer["name"],
                found=f"{direction['source']} to {direction['target']}",
                wanted=", ".join(f"{each['source']} to {each['target']}" for each in offer["directions"]),
                remedy="choose one of these directions",
            )
        _check_modality(direction["source"], upload)
        _check_contrasts(direction["source"], offer, upload)
        _check_options(offer, request["options"])
        return {
            "bundle": offer[HIDDEN],
            **direction,
            "options": request["options"],
            "device": self.settings.device,
            "classifier": str(self.settings.classifier) if self.settings.classifier else None,
        }

    def _offer(self, name: str) -> dict[str, Any]:
        offer = next((each for each in self._all() if each["name"] == name), None)
        if offer is None:
            raise InputError("bundle", found=repr(name), wanted="one of the list", remedy="choose another")
        if not offer["ready"]:
            raise NotReady(name, found=offer["why_not"], wanted="a bundle that is ready", remedy="choose another one")
        return offer

    def _all(self) -> list[dict[str, Any]]:
        with self._lock:
            if self._offers is None:
                arguments = {"folders": [str(path) for path in self.settings.bundles], "device": self.settings.device}
                try:
                    self._offers = self._works.answer(
                        "webpage.catalogue:offers", arguments, self.scratch, timeout=SECONDS
                    )
                except Ended as error:
                    raise NotReady(
                        "the bundles",
                        found=f"no list of them ({error})",
                        wanted="bundles that can be read",
                        remedy="look at what the server printed, and start it again",
                    ) from error
            return self._offers


def _check_upload(offer: dict[str, Any], upload: Upload) -> None:
    examined = upload.examined
    faults = [check["text"] for check in examined["checks"] if check["level"] == "error"]
    if examined["kind"] != offer["inputs"] or faults:
        raise InputError(
            examined["name"],
            found="; ".join(faults) or f"a {examined['kind']}".replace("a volumes", "several contrasts"),
            wanted={
                "volume": "a CT or MR volume",
                "radiograph": "a radiograph of a chest from the front",
                "volumes": "the contrasts of one case, a file each, named after them",
            }[offer["inputs"]],
            remedy="upload another scan, or choose another bundle",
        )


def _check_modality(source: str, upload: Upload) -> None:
    """Names of files and networks may be wrong, and then the user's word counts; the header of DICOM is not."""
    examined = upload.examined
    modality = examined["modality"]
    if examined["dicom"] and examined["kind"] == "volume" and modality and (source == "ct") != (modality == "ct"):
        raise InputError(
            examined["name"],
            found=f"DICOM of {modality.upper()}",
            wanted=source.upper(),
            remedy=f"choose a direction from {modality.upper()}, or upload another series",
        )


def _check_contrasts(source: str, offer: dict[str, Any], upload: Upload) -> None:
    needed = source.split("+") if offer["inputs"] == "volumes" else []
    if missing := [each for each in needed if each not in upload.examined["contrasts"]]:
        raise InputError(
            upload.examined["name"],
            found=f"no {', no '.join(missing)}",
            wanted=f"{', '.join(needed)}, a file each, named after them",
            remedy="upload all of them together",
        )


def _check_options(offer: dict[str, Any], options: dict[str, int]) -> None:
    known = {option["id"]: option for option in offer["options"]}
    for key, value in options.items():
        if key not in known:
            raise InputError(
                offer["name"],
                found=f"the option {key[:40]!r}",
                wanted=", ".join(known) or "no options",
                remedy="leave it out",
            )
        least, most = known[key]["minimum"], known[key]["maximum"]
        if not least <= value <= most:
            raise InputError(
                f"{offer['name']}, {key}",
                found=str(value),
                wanted=f"a whole number from {least} to {most}",
                remedy="correct it",
            )
