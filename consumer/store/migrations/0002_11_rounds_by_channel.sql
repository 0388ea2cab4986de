-- Deliveries: what is over is found by its channel and the age of its round. Forward only; never edited after a release.

-- What has lived too long, by channel: each has its own bound (`expire_after`, when it was disabled).
DROP INDEX delivery_round;
CREATE INDEX delivery_round ON delivery (channel_id, round_from) WHERE ended_at IS NULL;
