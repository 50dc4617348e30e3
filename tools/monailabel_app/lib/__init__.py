"""What the app is made of: the bundles of a folder, their options, inference, training, and an orderly end."""
