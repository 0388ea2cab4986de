"""Claim → send → verdict → record the attempt."""
