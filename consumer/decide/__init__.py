"""All judgement. Pure: nothing awaited, no clock, no randomness, nothing logged."""
