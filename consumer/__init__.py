"""Tollbell, the service: one way through.

The file for each arrow:

```
record ─► parse ─► judge ─► write ─────────► claim ─► send ─► verdict ─► record the attempt
consume/  schemas/ decide/  store/outbox.py  store/   deliver/ decide/    store/deliveries.py
fetch.py  parse.py judge.py                  deliveries webhook verdict
```

Start reading at `consume/ingest.py`; then `decide/judge.py`, `decide/levels.py`, `store/outbox.py`,
`deliver/attempt.py`. What changes nothing, and nearly all does, is passed over at a glance: `consume/sift.py`.
A process that does both leases what it writes as it writes it, while it has slots free (`deliver/dispatch.py`: keep).
Stages never import each other: the outbox table is their interface, so each role runs alone (`run --only …`).
"""
