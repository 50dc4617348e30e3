"""A bundle small enough for tests: each direction multiplies by one number."""

import transmodal

transmodal.require("0.1", by=__name__)
