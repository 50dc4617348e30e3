"""Cases, checks, slices and what they pass through on their way to the networks and back to files."""

from transmodal.data.cases import find_cases
from transmodal.data.checks import check_image, check_path, check_same_grid
from transmodal.data.datalist import read_datalist
from transmodal.data.domain_check import check_domains
from transmodal.data.findings import find_table, with_findings
from transmodal.data.latents import read_latent
from transmodal.data.layout import MODALITIES
from transmodal.data.multidomain import DomainSampler, DomainSlices, domain_keys, with_masks
from transmodal.data.paired import PairedSlices, StackedSlices
from transmodal.data.patches import VolumePatches, box_in_body, with_air_around
from transmodal.data.pool import ImagePool
from transmodal.data.records import as_records
from transmodal.data.sampling import SeededSampler
from transmodal.data.saving import AtomicNibabelWriter, CaseLayout, case_of, deviation_of
from transmodal.data.sections import check_sections, read_sections, write_sections
from transmodal.data.selection import select_cases
from transmodal.data.slices import VolumeSlices
from transmodal.data.splits import split_cases
from transmodal.data.unpaired import UnpairedSampler, UnpairedSlices
from transmodal.dicom import check_dicom_folder, is_dicom_folder

__all__ = [
    "AtomicNibabelWriter",
    "CaseLayout",
    "DomainSampler",
    "DomainSlices",
    "find_table",
    "ImagePool",
    "MODALITIES",
    "PairedSlices",
    "SeededSampler",
    "StackedSlices",
    "UnpairedSampler",
    "UnpairedSlices",
    "VolumePatches",
    "VolumeSlices",
    "as_records",
    "box_in_body",
    "case_of",
    "check_dicom_folder",
    "check_domains",
    "check_image",
    "check_path",
    "check_same_grid",
    "deviation_of",
    "domain_keys",
    "check_sections",
    "find_cases",
    "is_dicom_folder",
    "read_datalist",
    "read_latent",
    "read_sections",
    "select_cases",
    "split_cases",
    "with_findings",
    "with_air_around",
    "with_masks",
    "write_sections",
]
