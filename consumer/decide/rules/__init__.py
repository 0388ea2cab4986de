"""One module a rule type."""
