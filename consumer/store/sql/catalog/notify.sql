-- Notify all listeners. Inside the change's transaction: sent when it commits, never when it does not.
-- (Edits are rare; the outbox, which is not, notifies outside of its transaction.)
SELECT pg_notify('tollbell_catalog', '')
