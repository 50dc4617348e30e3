"""Body masks of CT and MR slices by DeepLabV3+: the code of this bundle alone."""

import transmodal

transmodal.require("0.1", by=__name__)
