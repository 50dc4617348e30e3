"""X-ray to CT angiogram: the code of this bundle alone."""

import transmodal

transmodal.require("0.1", by=__name__)
