"""What ``tools/import_weights.py`` does: bundles in layers of config, files, and trainings that go on."""
