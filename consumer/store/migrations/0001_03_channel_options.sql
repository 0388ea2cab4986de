-- What a channel may have of its own instead of the service's settings.
ALTER TABLE channel
    ADD COLUMN retry_schedule interval[],
    ADD COLUMN concurrency    integer CONSTRAINT channel_concurrency_positive CHECK (concurrency > 0),
    ADD COLUMN expire_after   interval CONSTRAINT channel_expire_after_positive CHECK (expire_after > interval '0');
