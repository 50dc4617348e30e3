"""MU-Diff, three MR contrasts in and the missing fourth out: the code of this bundle alone."""

import transmodal

transmodal.require("0.1", by=__name__)
