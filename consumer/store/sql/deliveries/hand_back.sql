-- Undo claims that nothing was sent for: due at once, for anybody. Needs the tokens. Lock order: deliveries by id.
WITH locked AS MATERIALIZED (
    SELECT d.id
    FROM delivery d
    JOIN unnest(@ids::bigint[], @tokens::uuid[]) AS u (id, token) ON u.id = d.id AND u.token = d.token
    ORDER BY d.id
    FOR UPDATE OF d
)
UPDATE delivery d
SET due_at = clock_timestamp(),
    token = NULL,
    state = CASE WHEN d.attempts = 0 AND d.state = 'SENDING' THEN 'PENDING' ELSE d.state END
FROM locked l
WHERE d.id = l.id
RETURNING d.id
