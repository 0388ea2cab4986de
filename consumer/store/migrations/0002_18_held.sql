-- Deliveries that wait for another one, by when they began to: what was written as its first one ended is among the newest.
-- Said unlike `due_at = 'infinity'`, as those who free what has waited say it: they have its keys, and an index that looked
-- empty when it was last counted costs the planner nothing. Forward only; never edited after a release.
CREATE INDEX delivery_held ON delivery (round_from, id) WHERE NOT isfinite(due_at);
