"""Tollbell, the service: one way through.

The file for each arrow:

```
record ─► parse ─► judge ─► write ─────────► claim ─► send ─► verdict ─► record the attempt
consume/  schemas/ decide/  store/outbox.py  store/   deliver/ decide/    store/deliveries.py
fetch.py  parse.py judge.py       │          deliveries webhook verdict
                                  └─► handoff.py: what is written is leased at once to a deliverer
                                      of the same process, in slots that it has reserved
```

The first hour, one record's whole way:

1. `schemas/parse.py`: bytes become a source event, or a reject.
2. `consumer/consume/ingest.py`: a batch becomes effects, in order, before its offsets are committed.
3. `consumer/decide/judge.py`: the pure judgement; each rule type is a module of `decide/rules`.
4. `consumer/decide/levels.py`: the only definition of "reached".
5. `consumer/handoff.py`: from the consumer to the deliverer.
6. `consumer/deliver/attempt.py`: one request.
7. `consumer/decide/verdict.py`: what its outcome means.
8. `consumer/deliver/recorder.py`: attempts are recorded, many in one statement.

Nearly all records change nothing, and are passed over at a glance: `consume/fast_path/`.
Stages never import each other: the outbox tables and `handoff.py` are their interfaces, so each role runs alone
(`run --only …`).
"""
