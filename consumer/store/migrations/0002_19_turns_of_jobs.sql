-- Jobs that are not done: of a kind, by namespace, which take turns. Forward only; never edited after a release.
CREATE INDEX job_turn ON job (kind, namespace, id) WHERE ended_at IS NULL;
