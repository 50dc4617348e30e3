"""What ``tools/benchmark.py`` measures: the contestants of each bundle, their times and memory, and what bf16 costs."""
