-- Which record an event was made of: topic, partition, offset, and the CloudEvent's source, id and traceparent. An object
-- as text: it is shown and logged, and nothing is found by it. NULL of the clock's events, of test events and of older ones.
ALTER TABLE event ADD COLUMN record json;
