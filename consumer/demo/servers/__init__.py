"""Real servers on this machine, for the demo and the tests: Postgres and Kafka, found, started, broken, stopped.

`choose` says in which order they are looked for; each kind is one module (`docker`, `kafka`, `mock`, `postgres`).
The service itself never imports this package.
"""
