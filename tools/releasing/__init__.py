"""What tools/release.py is made of: released weights, their records, and the folder that a host serves."""
