"""What a zip of a bundle holds that its folder does not."""
