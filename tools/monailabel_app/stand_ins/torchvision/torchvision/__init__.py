"""Stands in for torchvision where none fits the installed torch: what MONAI Label imports and bundles do not use."""
