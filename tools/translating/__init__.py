"""From raw scans to translated ones: what an input holds, which bundle takes it, and what is told of the result."""
