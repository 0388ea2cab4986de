"""The contracts: what comes in, what people configure, what goes out. Imports nothing of the service."""
