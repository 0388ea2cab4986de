-- GET /jobs: a namespace's resends and recoveries, the newest first.
CREATE INDEX job_by_namespace ON job (namespace, id COLLATE "C");
