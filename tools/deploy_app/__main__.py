"""``python deploy_app -i DICOM -o OUTPUT -m BUNDLES``: what a MONAI Application Package starts, and what you can."""

import sys

from dicom_translation.application import main

if __name__ == "__main__":
    sys.exit(main(sys.argv))
