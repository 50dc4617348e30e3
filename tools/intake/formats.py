"""The layouts that tools/datalist.py converts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from intake.conversion import Format
from intake.ctpa_latents import CTPALatents
from intake.flat_volumes import FlatVolumes
from intake.matlab import MatFiles
from intake.numpy_stacks import NumpyStacks
from intake.picture_stacks import PicturesByPatient
from intake.pictures import PicturesAB, PicturesByClass
from intake.plane_stacks import PlaneStacks
from intake.raw_volumes import RawVolumes
from intake.volumes import ISLES, BraTS
from transmodal.errors import InputError

FORMATS: dict[str, Callable[..., Format]] = {
    "pictures-ab": PicturesAB,
    "pictures-classes": PicturesByClass,
    "pictures-patients": PicturesByPatient,
    "mat": MatFiles,
    "brats": BraTS,
    "isles": ISLES,
    "npy": NumpyStacks,
    "raw": RawVolumes,
    "planes": PlaneStacks,
    "x-ray2ctpa": CTPALatents,
    "volumes": FlatVolumes,
}

LAYOUTS = """\
pictures-ab        trainA trainB testA testB, as for CycleGAN; name the modalities with --a and --b.
pictures-classes   train/CLASS test/CLASS, as for StarGAN; name the modalities as CLASS=MODALITY.
pictures-patients  CT/PATIENT MRT1/PATIENT, as for SynDiff on CT and MR. The slices of a patient become a volume, in the
                   order of the numbers in their names, and a pair where the contrasts have equally many;
                   CLASS=MODALITY for folders of other names; --slice_thickness in mm.
mat                data_train_T1.mat data_val_T2.mat ..., as for SynDiff, or only T1.mat T2.mat, which all train: HDF5
                   with data_fs of (N, W, H). Each slice becomes a case of one contrast, because index i of both is
                   often not one place; --paired True makes pairs of them. Constant slices are left out.
                   CONTRAST=MODALITY, such as PD=mr, where a contrast is not called by its modality.
brats              ID/ID_flair.nii.gz ID_t1 ID_t1ce ID_t2 ID_seg (2017 to 2021, also within HGG and LGG), or
                   ID/ID-t2f.nii.gz ID-t1n ID-t1c ID-t2w ID-seg (since 2023). The case is the ID; seg becomes lesion,
                   with its classes. Files are linked, not copied.
isles              NUMBER/VSD.Brain.XX.O.MR_Flair.N/VSD.….nii, also MR_T1 MR_T2 MR_DWI and OT, as ISLES 2015 (SISS) has
                   them. The case is isles_07 for the folder 7; OT becomes lesion. Files are linked, not copied.
npy                train/ val/ test/ with flair.npy t1ce.npy t2.npy t1.npy dwi.npy (or some, in any case of letters), as
                   for MU-Diff: (N, 256, 256) in [0, 1], the slices of all subjects one after the other. Each
                   --slices_per_case of them (80, as published) become a case; with 1, every slice does.
raw                norm_ct_enContrast.001.raw norm_mr_enContrast.001.raw ..., or ct/1.raw mr/1.raw ..., as for MD-DGA:
                   arrays (D, H, W) of little-endian float32 without a header, so --shape=160,224,168 (brain) or
                   --shape=96,240,384 (pelvis) is needed, and --spacing=D,H,W in mm says what no file does. D runs to
                   the head, H to the back, W to the left. WORD=MODALITY for folders or names of other words.
planes             one HDF5 file with imgs_160224 imgs_160168 imgs_224168 and img_160224_labels ..., as for MD-DGA's
                   slices. Each pair of slices becomes a case, because volumes cannot be told; these train slices only.
x-ray2ctpa         latents CTPA_vae_256/SCAN.npy of (4, h, w, D), radiographs XRay_preprocessed/NUMBER.npy or
                   XRay_…/SCAN/0.npy of (3, 224, 224), and tables train.csv valid.csv test.csv (also y_train.csv) in
                   one folder, as for X-ray2CTPA on its own data, RSPECT and LIDC; of several folders of tables, one
                   with --tables labels_csv/cross_validation_ct_xray/fold0. Latents keep their values, radiographs
                   lose their normalisation, labels become labels.csv.
volumes            any folder of images of one --modality, such as ct: NAME.nii.gz, or NAME/ of DICOM files, at any
                   depth, each of which becomes the case NAME. With --modality xray also pictures, and
                   DICOM files one by one. Files are linked, not copied.
In raw and planes, values in [-1, 1] or [0, 1] are taken as normalised: MR becomes 0 to 1000, CT goes through --window;
--first 0.7 trains with the first 70 % by number, tests with the rest, as published, and can be used with --validation.
CT pictures need --window=LOW,HIGH: the Hounsfield units of black and white (of 0 and 1 in CT.mat; of the ends of the
range in raw and planes, where -1000,2000 is what ct_mr_mddga_translation takes back to [-1, 1]).

For example: tools/datalist.py pictures --from pictures-ab --a ct --b mr --window=-1000,1040 --output data/slices
             tools/datalist.py BraTS --from brats --lists train.list,val.list,test.list --output data/brats
             tools/datalist.py RAW --from raw --shape=160,224,168 --window=-1000,2000 --first 0.7 --output data/mddga
             tools/datalist.py SCANS --from volumes --modality ct --output data/chest

Published lists tell the sections of any layout, ours too: --lists TRAIN,VALIDATION,TEST, text files with an id per
line, or --lists FILE.json:NAME, such as bundles/brain_mri_mudiff_synthesis/docs/splits.json:isles2015. An id is the
name of a case, or what it ends with or contains as a whole word; 7 means isles_07. Cases in no list are left out."""


def make_format(name: str, modalities: Mapping[str, str], options: Mapping[str, Any]) -> Format:
    """A layout by its name.

    Args:
        name: one of ``FORMATS``.
        modalities: modality of each folder or contrast.
        options: what the user asked for besides, by the names of the layout's arguments.
    Raises:
        InputError: if there is no such layout, or it has no such option or does not accept its value.
    """
    if name not in FORMATS:
        raise InputError("--from", found=name, wanted=f"one of {', '.join(FORMATS)}", remedy="correct the name")
    taken = {form: inspect.signature(made).parameters for form, made in FORMATS.items()}
    for option in options:
        if option not in taken[name]:
            others = ", ".join(form for form, names in taken.items() if option in names)
            raise InputError(
                f"--{option}", found=f"it with --from {name}", wanted=f"it with {others} only", remedy="leave it out"
            )
    return FORMATS[name](modalities, **options)
