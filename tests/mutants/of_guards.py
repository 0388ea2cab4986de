"""Mutants that take away one guard each: what must be noticed when something breaks at the worst moment."""

from tests.mutants.mutant import Mutant

WRITE = "consumer/store/sql/outbox/write.sql"
CLAIM = "consumer/store/sql/deliveries/claim.sql"
RECORD = "consumer/store/sql/deliveries/record.sql"
FETCH = "consumer/consume/fetch.py"
PROGRESS = "consumer/consume/progress.py"
BATCH = "consumer/consume/batch.py"
FAILING = "integration/consume/test_failing_batches.py"
DISPATCH = "consumer/deliver/dispatch.py"
SENDER = "consumer/deliver/sender.py"
DRAIN = "integration/deliver/test_drain.py"
TAKEN = "consumer/deliver/taken.py"
IN_FLIGHT = "consumer/deliver/in_flight.py"
PREFETCHED = "consumer/deliver/prefetched.py"
FAIR_SHARE = "consumer/deliver/fair_share.py"
RENDER_TURNS = "consumer/deliver/render_turns.py"
SPEEDS = "consumer/deliver/speeds.py"
INGEST = "consumer/consume/ingest.py"

MUTANTS = [
    Mutant(
        FETCH,
        "                if self._is_rebalancing:",
        "                if False:",
        "what is committed while the group joins is refused, and brings the next rebalance, for minutes",
        by="integration/consume/test_rebalances.py",
    ),
    Mutant(
        FETCH,
        "(UNJOINED_AFTER if offset is None else STUCK_AFTER)",
        "(float('inf') if offset is None else STUCK_AFTER)",
        "a replica whose rejoin hangs reads nothing, and is ready, until it is restarted",
        by="integration/consume/test_rebalances.py",
    ),
    Mutant(
        FETCH,
        "await self._unless_stopped(poll, stopped) or {}",
        "await poll or {}",
        "SIGTERM waits for a rebalance, for ever where Kafka is down as well as Postgres",
        by="integration/consume/test_rebalances.py",
    ),
    Mutant(
        FETCH,
        "bool(self._waiting_for) and not self._polls_fail",
        "bool(self._waiting_for)",
        "a process whose coordinator has died in aiokafka waits for it, for ever",
        by="integration/consume/test_rebalances.py",
    ),
    Mutant(
        "consumer/consume/kafka.py",
        "enable_idempotence=transactional_id is not None",
        "enable_idempotence=True",
        "after a dead letter that is too large all others are out of order, and their partitions stop",
        by="integration/consume/test_bad_records.py",
    ),
    Mutant(
        FETCH,
        """        self._progress.begin(batches)
        self._committer.schedule(self._progress.look())
""",
        """        self._committer.schedule(self._progress.look())
        self._progress.begin(batches)
""",
        "offsets are committed before the write: a kill between the two loses events",
        by="integration/consume/test_progress.py",
    ),
    Mutant(
        FETCH,
        "        self._rewind(begun)\n",
        "",
        "a batch that failed is not read again, and its offsets are committed",
        by=FAILING,
    ),
    Mutant(
        FETCH,
        "            await asyncio.wait({batch}, timeout=max(self._left(), FINISH_TIMEOUT))\n",
        "            await asyncio.wait({batch})\n",
        "a batch that Postgres holds is waited for beyond the drain's end, and the process is killed",
        by=FAILING,
    ),
    Mutant(
        FETCH,
        "timeout=max(self._left(), FINISH_TIMEOUT)",
        "timeout=self._left()",
        "a batch is cancelled while Postgres commits it, and what it has leased to this process waits for its lease",
        by=DRAIN,
    ),
    Mutant(
        FETCH,
        "            if self._revocations != revocations:",
        "            if False:",
        "what was polled before a rebalance is taken after it, and taken again where it comes again",
        by="integration/consume/test_rebalances.py",
    ),
    Mutant(
        FETCH,
        "is_narrowed=self._failures.is_narrowed",
        "is_narrowed=False",
        "a record that Postgres fails for an unknown reason stops its partition for ever",
        by=FAILING,
    ),
    Mutant(
        PROGRESS,
        "(positions(self._consumer) | self._unsafe)",
        "(self._unsafe | positions(self._consumer))",
        "what is in flight counts as safe, and is committed",
        by="integration/consume/test_progress.py",
    ),
    Mutant(
        "consumer/consume/role.py",
        "lambda: fetch.waiting_for or letters.gone",
        "lambda: fetch.waiting_for",
        "that there is no topic for dead letters shows with the first one, which stops its partition",
        by="integration/consume/test_topics_gone.py",
    ),
    Mutant(
        "consumer/deliver/bodies.py",
        "await asyncio.to_thread(_read, fmt, text)",
        "_read(fmt, text)",
        "no webhook is sent while a large template is read",
        by="integration/deliver/test_bodies_kept.py",
    ),
    Mutant(
        "consumer/deliver/bodies.py",
        "            if fmt in self._templates:  # another delivery's, meanwhile\n                return\n",
        "",
        "each of the deliveries that wait for a template reads it again",
        by="integration/deliver/test_bodies_kept.py",
    ),
    Mutant(
        "consumer/patience.py",
        "        if now < self._say_at:\n",
        "        if False:\n",
        "an outage of an hour is thousands of lines, in which nothing else is found",
        by="unit/test_outage.py",
    ),
    Mutant(
        "consumer/consume/offset_committer.py",
        "        if self._scheduled and self._commit is None:\n",
        "        if self._scheduled and (self._commit is None or self._commit.done()):\n",
        "a failed commit is forgotten over the next one, without waiting for Kafka",
        by="integration/consume/test_progress.py",
    ),
    Mutant(
        INGEST,
        "            await outbox.rehearse(self.database, event_id=ids.new())\n            try:",
        "            try:",
        "while nothing can be written, every record becomes a dead letter",
        by="integration/consume/test_unknown_failures.py",
    ),
    Mutant(
        INGEST,
        "ALONE_TRIES: Final = 5",
        "ALONE_TRIES: Final = 1",
        "of a failure that comes and goes, some records become dead letters",
        by="integration/consume/test_unknown_failures.py",
    ),
    Mutant(
        INGEST,
        "if stale := {one.key for one, _ in folded.too_many} - reread:",
        "if stale := set[MemoryKey]() - reread:",
        "a record is a dead letter for events that another replica has made already",
        by="integration/consume/test_unknown_failures.py",
    ),
    Mutant(
        BATCH,
        "        if size > RECORD_EVENT_BYTES:\n            return None\n",
        "",
        "one record of 800 KB takes gigabytes, and the process with it",
        by=FAILING,
    ),
    Mutant(
        WRITE,
        "THEN q.revision END",
        "THEN NULL::int END",
        "what was leased as it was made is sent to a new URL with the old receiver's template",
        by="integration/deliver/test_moved_templates.py",
    ),
    Mutant(
        WRITE,
        "      AND e.version = d.version\n",
        "",
        "a document is written over whatever version it has",
        by="integration/store/test_store.py",
    ),
    Mutant(
        WRITE,
        "      AND NOT r.disabled\n",
        "",
        "a rule disabled between judgement and write makes an event",
        by="integration/decide/test_reasons.py",
    ),
    Mutant(
        WRITE,
        " AND c.disabled_by IS NULL AND c.rate_limit IS NULL",
        " AND c.disabled_by IS NULL",
        "what is new goes out beyond its channel's rate",
        by="integration/consume/test_kept.py",
    ),
    Mutant(
        WRITE,
        "                           AND p.open_until IS NULL\n",
        "",
        "what is new goes to a channel whose breaker waits for a probe",
        by="integration/consume/test_kept.py",
    ),
    Mutant(
        WRITE,
        "WHEN f.after IS NULL AND c.disabled_by",
        "WHEN c.disabled_by",
        "a recovery is sent beside what it waits for",
        by="integration/consume/test_kept.py",
    ),
    Mutant(
        WRITE,
        ", c.concurrency - (k.kept -> 'in_flight')::int)",
        ", c.concurrency)",
        "what is new takes a channel beyond its own concurrency",
        by="integration/consume/test_kept.py",
    ),
    Mutant(
        WRITE,
        "WHEN q.place <= q.slots THEN clock_timestamp() + @lease::interval",
        "WHEN q.place <= q.slots THEN clock_timestamp()",
        "what was leased as it was made is due at once: it is sent twice",
        by="integration/consume/test_kept.py",
    ),
    Mutant(
        DISPATCH,
        "        await _ended(self._writing, deadline - clock.monotonic())\n",
        "",
        "what is being written at the stop is left to another replica, in spite of the time there is",
        by=DRAIN,
    ),
    Mutant(
        DISPATCH,
        "            for channel in left.elements():\n                self._free(channel)\n",
        "",
        "slots that were kept for what was never made are gone for good",
        by="integration/consume/test_kept.py",
    ),
    Mutant(
        TAKEN,
        "if free <= 0 or channel in self._speeds.slow or channel in self._prefetched:",
        "if free <= 0 or channel in self._prefetched:",
        "what is new of a slow channel takes more than its share of the slots",
        by="unit/test_taken*.py",
    ),
    Mutant(
        TAKEN,
        "in_flight = self._in_flight.taken(channel) + self._fair.claiming[channel]",
        "in_flight = self._in_flight.taken(channel)",
        "slots that are just being claimed for are kept for what is new too",
        by="unit/test_taken*.py",
    ),
    Mutant(
        IN_FLIGHT,
        "        self.recording[channel] += 1\n",
        "",
        "a channel that fails is sent to before that is recorded, and the breaker sees it",
        by="unit/test_taken*.py",
    ),
    Mutant(
        RECORD,
        "l.token IS NOT DISTINCT FROM a.token AS is_holder",
        "true AS is_holder",
        "a process that lost the lease still decides what becomes of the delivery",
        by="integration/store/test_store*.py",
    ),
    Mutant(
        CLAIM,
        "SET due_at = clock_timestamp() + @lease::interval,\n        token",
        "SET due_at = clock_timestamp() + @lease::interval * 0,\n        token",
        "a claimed delivery is due at once: it is sent by everybody",
        by="integration/store/test_store*.py",
    ),
    Mutant(
        SENDER,
        "if prepared is None or not await self.looks.still(leased) or clock.monotonic() >= start_by:",
        "if prepared is None or not await self.looks.still(leased):",
        "who wakes up with a lease that has run out sends what another has sent",
        by="woken with a claim",
    ),
    Mutant(
        PREFETCHED,
        "            if now - leased.asked_at <= AHEAD_SECONDS:\n",
        "            if now >= leased.asked_at:\n",
        "what was claimed ahead is sent however long ago that was: to a channel that was disabled since",
        by="unit/test_taken.py",
    ),
    Mutant(
        FAIR_SHARE,
        "limits.total - in_flight.total > self._promised.total()",
        "limits.total > in_flight.total",
        "a channel that has failed gets no slot while others have more due than there are",
        by="unit/test_taken.py",
    ),
    Mutant(
        FAIR_SHARE,
        "in_flight.by_namespace[namespace] + self._claiming_of_namespace[namespace] < self._most_of_namespace",
        "in_flight.total >= 0",
        "turns give one namespace the slots of another",
        by="unit/test_taken.py",
    ),
    Mutant(
        FAIR_SHARE,
        "now = allot(due[::-1], in_flight",
        "now = allot(due, in_flight",
        "a slot that was left for one channel is anybody's",
        by="unit/test_taken.py",
    ),
    Mutant(
        FAIR_SHARE,
        "due = sorted(due, key=lambda channel: channel.id in now or channel.id not in self._promised)",
        "due = list(due)",
        "a look at which no slot is free takes the turn of who waits, each time",
        by="unit/test_taken_promised.py",
    ),
    Mutant(
        RENDER_TURNS,
        "IN_A_ROW: Final = 2",
        "IN_A_ROW: Final = 1",
        "a collection of garbage while a body is made holds up all of its format",
        by="unit/test_render_turns.py",
    ),
    Mutant(
        FAIR_SHARE,
        "if in_flight.taken(channel) + self.claiming[channel] >= self._most.get(channel, limits.channel):",
        "if in_flight.taken(channel) >= self._most.get(channel, limits.channel):",
        "a turn takes a channel beyond its concurrency while some is being claimed for it",
        by="unit/test_taken*.py",
    ),
    Mutant(
        FAIR_SHARE,
        "channel.id in healthy and channel.most is None}",
        "channel.id in healthy}",
        "a channel gets ahead more than its rate allows",
        by="unit/test_taken.py",
    ),
    Mutant(
        TAKEN,
        "        if not self._fair.is_full:  # else",
        "        if True:  # else",
        "a busy channel keeps slots that others wait for",
        by="unit/test_taken.py",
    ),
    Mutant(
        SPEEDS,
        "outcome.is_success and not is_slow and outcome",
        "outcome.is_success and outcome",
        "where the timeout is short, who answers and hangs has more than its share of the slots",
        by="unit/test_taken.py",
    ),
    Mutant(
        TAKEN,
        "            self._prefetched.withdraw(ended.delivery.channel_id)\n",
        "            pass\n",
        "a channel that has failed gets what was claimed ahead, one after the other",
        by="unit/test_taken.py",
    ),
    Mutant(
        SENDER,
        "            self._taken.unsent.append(delivery)  # also where",
        "            # also where",
        "what the drain's deadline meets before it is sent waits for its lease",
        by=DRAIN,
    ),
    Mutant(
        DISPATCH,
        "        await _ended(self._tasks, ANSWER_TIMEOUT)\n",
        "        await _ended(self._tasks)\n",
        "one attempt whose record waits for a lock keeps the leases of all that were not sent",
        by=DRAIN,
    ),
    Mutant(
        DISPATCH,
        "stop_at() + ANSWER_TIMEOUT - clock.monotonic()",
        "None",
        "a stop waits for a claim that Postgres does not answer, and the process is killed",
        by=DRAIN,
    ),
    Mutant(
        DISPATCH,
        "        if self._is_over:\n",
        "        if False:\n",
        "what is written after the drain's deadline is sent all the same, and cut off",
        by=DRAIN,
    ),
    Mutant(
        DISPATCH,
        "        await _ended(self._writing)  # what",
        "        # what",
        "what is written after the drain's deadline waits for its lease",
        by=DRAIN,
    ),
    Mutant(
        DISPATCH,
        "        elif ended.outcome.is_success:\n",
        "        elif ended.outcome.kind:\n",
        "a channel that has failed is sent to before that is recorded, and the breaker sees it",
        by="integration/deliver/test_slots_of_a_channel.py",
    ),
    Mutant(
        "consumer/store/listen.py",
        "        if sender != own:",
        "        if sender == own:",
        "another process' notification wakes no deliverer: what is due waits for the poll",
        by="integration/store/test_listen.py",
    ),
    Mutant(
        "consumer/decide/entitlements.py",
        "is_late = before.as_of is not None and snapshot.calculated_at <= before.as_of",
        "is_late = False",
        "a record that comes late is taken for news",
    ),
    *(
        Mutant(RECORD, *change, by=by)
        for *change, by in [
            (
                "coalesce(c.revision = a.revision, true) AS is_current",
                "true AS is_current",
                "answers of an old address pause the new one and open its breaker",
                "integration/deliver/test_changed_channels.py",
            ),
            (
                "CASE WHEN n.is_current THEN a.disable END",
                "a.disable",
                "a 410 of an old address disables the new one",
                "integration/deliver/test_changed_channels.py",
            ),
            (
                "a.is_done AND NOT a.has_holder AND a.held_by IS NOT NULL AS counts_holder",
                "false AS counts_holder",
                "an attempt vanishes, and its number is used again",
                "integration/deliver/test_lives_of_deliveries.py",
            ),
            (
                " AND (l.token = a.token OR NOT l.resend_asked) AS is_done",
                " AS is_done",
                "a resend is sent while an attempt is in flight",
                "integration/deliver/test_resends.py",
            ),
            (
                "WHEN a.resend_asked AND a.over IS NULL AND",
                "WHEN a.resend_asked AND",
                "a resend that waits for its attempt outlives a disabling",
                "integration/deliver/test_changed_channels.py",
            ),
            (
                " OR c.rounds_end_before > l.round_from THEN",
                " THEN",
                "what was in flight at a disabling goes on when the channel is enabled again",
                "integration/deliver/test_changed_channels.py",
            ),
            (
                "      AND d.due_at = 'infinity'\n",
                "      AND d.due_at <> 'infinity'\n",
                "what waited for another is not due when that has ended",
                "integration/deliver/test_order_of_deliveries.py",
            ),
        ]
    ),
    *(
        Mutant(CLAIM, *change, by=by)
        for *change, by in [
            (
                "(s.free + (random() < 0.5)::int) / 2",
                "s.free",
                "what is new waits for a whole recovery",
                "integration/deliver/test_order_of_deliveries.py",
            ),
            (
                "d.round_from >= s.rounds_end_before)\n          AND (d.resend_asked",
                "true)\n          AND (d.resend_asked",
                "what was open at a disabling is sent when the channel is enabled before the sweep",
                "integration/deliver/test_changed_channels.py",
            ),
            (
                "d.interrupted < @free_interruptions::int OR d.step + 1 < s.steps",
                "d.interrupted < @free_interruptions::int OR d.step + 1 < s.steps + 1000",
                "a delivery that kills its sender does so for three days",
                "integration/store/test_store_deliveries.py",
            ),
            (
                "CASE WHEN r.is_new THEN f.format ELSE f.round_format END",
                "f.format",
                "a changed format changes the bytes under one webhook-id",
                "integration/deliver/test_order_of_deliveries.py",
            ),
            (
                "k.was = 'template' AND (f.round_revision <> f.revision) IS TRUE",
                "false",
                "a new receiver gets a secret where its template has none",
                "integration/deliver/test_moved_templates.py",
            ),
            (
                "(f.round_revision <> f.revision) IS TRUE",
                "true",
                "an edited template changes the bytes under one webhook-id",
                "integration/deliver/test_moved_templates.py",
            ),
            (
                "r.is_new OR f.round_format = f.format THEN f.revision",
                "r.is_new THEN f.revision",
                "a moved receiver gets the bytes of an edit made after it had the first ones",
                "integration/deliver/test_moved_templates.py",
            ),
        ]
    ),
    *(
        Mutant("consumer/store/sql/deliveries/hand_back.sql", old, new, what, by="integration/deliver/test_rates.py")
        for old, new, what in [
            (
                "slots_from = p.slots_from - h.unspent",
                "slots_from = p.slots_from",
                "what asked for a consent waits for a whole slot more: of one a minute, a minute",
            ),
            (
                "least(l.slot_until - clock_timestamp(), interval '1 second' / c.rate_limit)",
                "interval '1 second' / c.rate_limit",
                "a slot that is handed back late is a burst: more begin at once than the rate allows",
            ),
            (
                "least(l.slot_until - clock_timestamp(), interval '1 second' / c.rate_limit)",
                "(l.slot_until - clock_timestamp())",
                "a slot of a lower rate gives back a burst of the higher one",
            ),
        ]
    ),
    Mutant(
        "consumer/store/sql/deliveries/hand_back.sql",
        "ELSE l.due_at END",
        "ELSE clock_timestamp() END",
        "what is handed back is sent after everything else",
        by="integration/deliver/test_order_of_deliveries.py",
    ),
    Mutant(
        "consumer/store/sql/sweeps/sweep.sql",
        "CASE WHEN d.received AND o.reason IS NOT NULL THEN 'SUCCESS' ELSE 'FAILED' END",
        "'FAILED'",
        "what the receiver has is FAILED, as a resend of it could not be sent",
        by="integration/deliver/test_changed_channels.py",
    ),
    Mutant(
        "consumer/deliver/looks.py",
        "        if leased.asked_at > self._changed_at:\n",
        "        if leased.asked_at:\n",
        "what was claimed ahead is sent to a channel that was disabled meanwhile",
        by="integration/deliver/test_changed_channels.py",
    ),
    Mutant(
        CLAIM,
        "AND b.state IN ('PENDING', 'SENDING', 'RESENDING')",
        "AND b.state NOT IN ('PENDING', 'SENDING', 'RESENDING')",
        "a recovery is sent before what it recovers from",
        by="integration/decide/test_rearm.py",
    ),
    Mutant(
        "consumer/deliver/http/pool.py",
        "if not why.is_unanswered:",
        "if True:",
        "a receiver is blamed for closing a connection that it had answered on",
        by="integration/deliver/test_webhook.py",
    ),
    Mutant(
        "consumer/deliver/http/answer.py",
        "if self._head[: len(_BEGIN)] != _BEGIN[: len(self._head)]:",
        "if False:",
        "a receiver that speaks RTSP has taken a webhook",
        by="property/test_answers_cut.py",
    ),
    Mutant(
        "consumer/deliver/http/answer.py",
        "except (httptools.HttpParserError, httptools.HttpParserUpgrade):  # a bad chunk, or what follows the end",
        "except LookupError:",
        "an answer is not HTTP where something odd follows its head, depending on how it was cut",
        by="property/test_answers_cut.py",
    ),
    Mutant(
        "consumer/deliver/http/answer.py",
        "if status in NO_BODY and self._announces_body:",
        "if False:",
        "what follows a 204 becomes the beginning of the next answer",
        by="property/test_answers_cut.py",
    ),
    Mutant(
        INGEST,
        """            if len(wanted) == 1:
                return [_refused(wanted[0].record, exc)]
        except StoreFailed""",
        """            return [_refused(one.record, exc) for one in wanted]
        except StoreFailed""",
        "good records of a batch become dead letters with the bad one",
        by="integration/consume/test_bad_records.py",
    ),
]
