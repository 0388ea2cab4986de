"""Mutants that take away a bound: what is too long, too large or too much must be noticed before it stops others."""

from tests.mutants.mutant import Mutant

CLAIM = "consumer/store/sql/deliveries/claim.sql"

MUTANTS = [
    Mutant(
        "schemas/sources.py",
        'msgspec.Meta(max_length=MAX_IDENTIFIER, pattern=_NO_CONTROL, description="May be empty.")',
        'msgspec.Meta(pattern=_NO_CONTROL, description="May be empty.")',
        "a subject's key of any length is written to an index, which stops its partition",
    ),
    Mutant(
        "schemas/native.py",
        "len(subject) > MAX_IDENTIFIER",
        "not MAX_IDENTIFIER",
        "a CloudEvent's subject of any length becomes a key",
    ),
    Mutant(
        "schemas/openmeter_invoices.py",
        "    customer: _Customer | None = None\n",
        "",
        "the customer's key of OpenMeter's invoice has any length",
        by="unit/test_parse_invoices.py",
    ),
    Mutant(
        "consumer/consume/fast_path/glance.py",
        "_Name = Annotated[str, msgspec.Meta(max_length=MAX_IDENTIFIER)]",
        "_Name = str",
        "a key that is too long is passed over",
        by="unit/test_glance.py",
    ),
    Mutant(
        "consumer/store/sqlstates.py",
        '    "54000": "a text too long for an index, an array or text beyond Postgres\' limits",\n',
        "",
        "a text too long for an index counts as an outage: its partition waits for ever",
        by="integration/store/test_sqlstates.py",
    ),
    Mutant(
        "consumer/store/sqlstates.py",
        '    "25006": "a standby, or a primary on its way to become one: the next connection finds the new primary",\n',
        "",
        "a failover is narrowed down to each record, as if it were at fault",
        by="integration/store/test_sqlstates.py",
    ),
    Mutant(
        "consumer/store/sqlstates.py",
        "case asyncpg.InterfaceError() | asyncpg.InternalClientError() if _CONNECTION_LOST.search(str(exc)):",
        "case asyncpg.InterfaceError() | asyncpg.InternalClientError() if _CONNECTION_LOST.fullmatch(str(exc)):",
        "a connection that was lost counts as an unknown failure",
        by="integration/store/test_sqlstates.py",
    ),
    Mutant(
        "consumer/store/sqlstates.py",
        "or Meaning.UNKNOWN",
        "or Meaning.OUTAGE",
        "what is unknown is waited out as an outage, without an error",
        by="integration/store/test_sqlstates.py",
    ),
    Mutant(
        "consumer/set_aside.py",
        "if not has_worked and in_a_row >= MOST_IN_A_ROW:",
        "if in_a_row < 0:",
        "where all fail, each row is tried alone, again and again",
        by="unit/test_set_aside.py",
    ),
    Mutant(
        "consumer/consume/period_ends.py",
        "            if not due:\n                raise\n",
        "            if exc:\n                raise\n",
        "one row that cannot be ended stops every tenant's period ends",
        by="integration/consume/test_period_ends.py",
    ),
    Mutant(
        "consumer/store/sql/memory/taken.sql",
        " AND e.version = k.version",
        "",
        "a period is ended as it was found, though a record has changed it meanwhile",
        by="integration/decide/test_documents.py",
    ),
    Mutant(
        "consumer/store/sql/sweeps/over.sql",
        "          AND d.id <> ALL (@but::bigint[])\n        LIMIT @limit::int) d\n    UNION\n",
        "        LIMIT @limit::int) d\n    UNION\n",
        "a delivery that cannot be ended is tried every second, and fails the others with it",
        by="integration/store/test_store_deliveries.py",
    ),
    Mutant(
        "consumer/store/sql/jobs/resend.sql",
        "      AND j.id <> ALL (@but::text[])\n",
        "      AND @but::text[] IS NOT NULL\n",
        "a resend that fails stops every other one, and the recoveries",
        by="integration/consume/test_failing_statements.py",
    ),
    Mutant(
        "consumer/deliver/watch.py",
        "            if len(opening) > 1:\n",
        "            if not opening:\n",
        "a channel that cannot be paused keeps the others from being",
        by="integration/consume/test_failing_statements.py",
    ),
    Mutant(
        "consumer/loop.py",
        "if failed < REPEATED:",
        "if failed >= 0:",
        "a duty that fails for ever is not shown on /readyz",
        by="unit/test_loop.py",
    ),
    *(
        Mutant("consumer/consume/aiokafka_patch/polls.py", *change, by="property/test_polls.py")
        for change in [
            ("if room.left <= 0 or len(taken)", "if len(taken)", "a poll unpacks all that a fetch has"),
            ("not room.left > 0 or ", "", "a poll takes a record of each partition beyond what it may"),
            (">= FETCHED_BYTES", "< 0", "what was fetched piles up, for each partition that there is"),
            (
                "                self._update_position()\n                break\n",
                "                break\n",
                "records are handed out again, as the position stays before them",
            ),
        ]
    ),
    Mutant(
        "consumer/consume/aiokafka_patch/records.py",
        "len(plain) + UNPACKED_LIMIT))",
        "len(plain) + 2 * UNPACKED_LIMIT))",
        "a batch of more than 32 MiB is unpacked",
        by="property/test_batches.py",
    ),
    *(
        Mutant("consumer/serve/large.py", *change, by="unit/test_large.py")
        for change in [
            ("if total > ANSWER_BYTES and len(listed) > 1:", "if total < 0:", "a page holds gigabytes"),
            (
                "        if self._most is not None and self.bytes > ANSWER_BYTES and self.raws:\n",
                "        if self.bytes < 0 and self._most:\n",
                "a page that turns out to be larger is made all the same",
            ),
            ("if part and held > PART_BYTES:", "if part and held < 0:", "a page is read from Postgres all at once"),
            ("if self._is_taken or size <= SMALL_BYTES:", "if size:", "all large calls are worked on at once"),
            ("            self._free.release()\n", "            pass\n", "after two large calls there is no other"),
            (
                "        async with asyncio.timeout(SEND_TIMEOUT):\n",
                "        async with asyncio.timeout(None):\n",
                "a client that does not read its answer keeps its turn for ever",
            ),
        ]
    ),
    Mutant(
        "consumer/serve/bodies.py",
        "    check_lengths(body, free=free)\n",
        "",
        "each of 400,000 mistakes in a body is a fault of its own",
        by="unit/test_requests.py",
    ),
    Mutant(
        "consumer/serve/api/explain.py",
        "        if bodies_made.is_full:\n",
        "        if not bodies_made:\n",
        "a preview makes gigabytes of events",
        by="integration/serve/test_footprints_api.py",
    ),
    Mutant(
        "consumer/store/sql/configuration/rule_page.sql",
        "OVER (ORDER BY p.n) <= @bytes::bigint",
        "OVER (ORDER BY p.n) <= @bytes::bigint * 1000",
        "a page of rules is read whole, however large they are",
        by="integration/store/test_store_pages.py",
    ),
    Mutant(
        "consumer/store/sql/configuration/channel_page.sql",
        "p.n = min(p.n) OVER ()",
        "false",
        "a channel that is large alone is on no page",
        by="integration/store/test_store_pages.py",
    ),
    *(
        Mutant("consumer/deliver/rooms.py", *change, by="unit/test_rooms.py")
        for change in [
            ("if not self._waiting and size <= self._left:", "if size <= self._left:", "a large body waits for ever"),
            ("size = min(size, self._total)", "size += 0", "a body larger than all the room is never sent"),
            ("self._slow if is_slow else self._room", "self._room", "large bodies for black holes keep others waiting"),
            ("            if not works:\n", "            if works is None:\n", "a new black hole holds eight at once"),
            (
                "self._give_back(0 if one.granted.cancelled() else size)",
                "self._give_back(0)",
                "room is lost with an attempt that is stopped as it is granted",
            ),
        ]
    ),
    Mutant(
        CLAIM,
        "CASE WHEN s.size <= @held_bytes::int THEN e.payload END",
        "CASE WHEN s.size > 0 THEN e.payload END",
        "a claim holds hundreds of megabytes",
        by="integration/deliver/test_footprints_deliver.py",
    ),
    Mutant(
        CLAIM,
        "          AND d.id <> ALL (@but::bigint[])\n",
        "          AND @but::bigint[] IS NOT NULL\n",
        "a delivery that cannot be claimed fails those of its channel with it",
        by="integration/consume/test_failing_statements.py",
    ),
]
