"""From the networks of a bundle to files that run without their code."""
