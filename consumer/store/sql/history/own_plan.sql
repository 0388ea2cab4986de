-- Plan the statements of this transaction by the very values that they are given.
SET LOCAL plan_cache_mode = force_custom_plan
