"""The fast path: a record that changes nothing is passed over at a glance. Nearly all do; all others are judged.

```
record ─► look ─► stands there what is known of its entitlement? ─yes─► counted, and passed over
          glance.py  standings.py, standing.py         │no
                                                       └─► parse ─► judge ─► write ─► settle: where it stands now
                                                           sift.py                    sift.py
```

It is an optimisation: without it the same events are made, for the same reasons (`test_standing.py` of the property
tests takes the same records with and without it, rules edited in between, and compares all events, counts and
remembered states). These six make that right:

1. **A glance says no more than `parse`.** Where a record is unusual in any way it is parsed (`glance.py`).
2. **A standing is made of a judgement that changed nothing**, and holds between the nearest lines around its level:
   there every record that says the same beside time and level is judged alike (`standing.py`). A record that did
   change something is judged once more, an instant later, on what it left: that one changed nothing.
3. **It is believed under the very same rules alone.** The catalog gives one object for the rules about a feature as
   long as none of them has changed; each standing keeps it and asks (`Standings.holds`). So no edit has to find what it
   is about, and what was judged before an edit and kept after it is not believed.
4. **It is forgotten with the document that it was judged on.** The memory owns both, and has one way to forget
   (`Memory.forget`); what is forgotten between reading and keeping is refused (`Filling`). A record that is parsed
   drops its entitlement's standing until it is settled: so in a batch nothing is passed over on what an earlier record
   of it is about to change.
5. **The coarse level is no line of a rule.** A record beyond its multiple of ten, but between the nearest lines, is
   passed over as well: its document gets the new level, which is written beside the batches (`Standings.level`,
   `../levels.py`). The property test holds the documents, levels in them, with and without the fast path.
6. **Where a rule looks back, the row decides.** Another process may have written what nothing here would notice. So a
   standing has the version of its document there, and a batch believes it only if the row has it still
   (`Memory.changed`, one query a batch).
"""
