"""Mutants of invoices, of what makes an event the same, of the verdict, and of what is read and derived."""

from tests.mutants.mutant import Mutant

INVOICE_CREATED = "consumer/decide/rules/invoice_created.py"
INVOICE_CHANGE = "consumer/decide/rules/invoice_change.py"
CROSSING = "consumer/decide/rules/crossing.py"
ENTITLEMENT_RESET = "consumer/decide/rules/entitlement_reset.py"
INVOICES = "consumer/decide/invoices.py"
UPDATED = "consumer/decide/rules/invoice_updated.py"
VERDICT = "consumer/decide/verdict.py"
OUTCOME = "consumer/decide/outcome.py"
BACKOFF = "consumer/decide/backoff.py"
RETRY_AFTER = "consumer/decide/retry_after.py"
RULES = "schemas/rules.py"
AMOUNTS = "schemas/amounts.py"
NATIVE = "schemas/native.py"
THRESHOLDS = "schemas/thresholds.py"

MUTANTS = [
    Mutant(
        UPDATED,
        "previous = invoice.previous or before.state",
        "previous = before.state",
        "the record's own word does not count",
    ),
    Mutant(
        UPDATED,
        "previous = invoice.previous or before.state",
        "previous = invoice.previous",
        "what was seen does not count",
    ),
    Mutant(
        UPDATED,
        "previous = invoice.previous or before.state",
        "previous = before.state or invoice.previous",
        "what was seen counts before the record's own word",
    ),
    Mutant(
        INVOICES,
        "invoice.at < document.as_of",
        "invoice.at <= document.as_of",
        "of two records of one moment the first is the state",
    ),
    Mutant(
        INVOICES,
        "if document.as_of is not None and invoice.at < document.as_of:",
        "if False:",
        "a late record makes the next change one from an old state",
    ),
    Mutant(
        INVOICE_CREATED,
        "if is_gathering(invoice):",
        "if False:",
        "an invoice that only gathers fires",
    ),
    Mutant(
        UPDATED,
        "return not invoice.is_created",
        "return True",
        "a created invoice fires as updated",
    ),
    Mutant(UPDATED, "invoice.at < seen.as_of", "invoice.at <= seen.as_of", "a record of the same moment is late"),
    Mutant(
        UPDATED,
        "if invoice.previous is None and seen.as_of",
        "if seen.as_of",
        "a late record that knows its previous state is lost",
    ),
    Mutant(UPDATED, "if previous == invoice.state:", "if False:", "a state that stays the same fires"),
    Mutant(
        UPDATED,
        "(previous is None or short_status(previous) != short)",
        "previous is not None and short_status(previous) != short",
        "the first state that is seen does not fire",
    ),
    Mutant(
        UPDATED,
        "return short in spec.statuses and (previous is None or short_status(previous) != short)",
        "return short in spec.statuses",
        "a short status matches at each step inside of it: 13 webhooks an invoice",
    ),
    Mutant(
        UPDATED,
        'if "." in state and state in spec.statuses:',
        "if state in spec.statuses:",
        "a short status matches though the one before was of it",
    ),
    Mutant(
        INVOICE_CHANGE,
        "return short_status(invoice.state) == GATHERING",
        "return invoice.state == GATHERING",
        "an extended gathering state fires",
    ),
    Mutant(CROSSING, "if self.episode > 1:", "if self.episode >= 1:", "a first crossing waits for ever"),
    Mutant(
        CROSSING,
        "return self._identity(self.episode, Action.TRIGGERED)",
        "return None",
        "a recovery overtakes what it recovers from",
    ),
    Mutant(
        CROSSING,
        "return self._identity(self.episode - 1, Action.RECOVERED)",
        "return self._identity(self.episode - 1, Action.TRIGGERED)",
        "an episode overtakes the recovery before it",
    ),
    Mutant(
        ENTITLEMENT_RESET,
        "return self.period_from\n",
        "return self.at\n",
        "a reset's timestamp is not its period's start",
    ),
    Mutant(
        ENTITLEMENT_RESET,
        'ResetPart("manual" if self.reason is Reason.RESET_MANUAL else "automatic"',
        'ResetPart("manual"',
        "every reset is called manual",
    ),
    Mutant(
        INVOICE_CHANGE,
        "            **shown,\n",
        "",
        "an invoice's event has no invoice",
    ),
    Mutant(OUTCOME, "self.status <= 299", "self.status <= 399", "a redirect counts as delivered"),
    Mutant(OUTCOME, "200 <= self.status", "100 <= self.status", "an informational answer counts as delivered"),
    Mutant(VERDICT, "outcome.status == GONE", "outcome.status == TOO_MANY_REQUESTS", "429 disables the channel"),
    Mutant(VERDICT, "outcome.refusal is Refusal.GONE or", "", "a webhook of Slack that is gone is asked for days"),
    Mutant(VERDICT, "if outcome.refusal is Refusal.PERMANENT:", "if False:", "a refused message is tried for 28 hours"),
    Mutant(OUTCOME, "is_2xx and self.refusal is None", "is_2xx", "a 200 that is a failure is a success"),
    Mutant(VERDICT, "interrupted < FREE_INTERRUPTIONS", "interrupted <= FREE_INTERRUPTIONS", "a sixth is free"),
    Mutant(
        VERDICT,
        "RetryIn(dt.timedelta(), spends_step=False)",
        "RetryIn(dt.timedelta())",
        "a deploy costs a receiver its retries",
    ),
    Mutant(VERDICT, "step + 1, jitter", "step, jitter", "a delivery is tried once more than its schedule says"),
    Mutant(
        VERDICT,
        "min(schedule[-1] if delay is None else delay, retry_after.LONGEST)",
        "schedule[-1] if delay is None else delay",
        "a 429 parks a channel for ten hours",
    ),
    Mutant(
        VERDICT, "return GiveUp(pause)", "return GiveUp()", "what a receiver asks for at the last attempt is not done"
    ),
    Mutant(
        VERDICT,
        "return RetryIn(SHORTAGE_PAUSE, spends_step=False)",
        "return RetryIn(SHORTAGE_PAUSE)",
        "our full table of files costs a receiver its retries",
    ),
    Mutant(VERDICT, "max(delay, pause)", "pause", "a short Retry-After shortens the schedule"),
    Mutant(
        VERDICT,
        "if outcome.kind is OutcomeClass.RENDERING:",
        "if False:",
        "what cannot be rendered is tried for days",
    ),
    Mutant(BACKOFF, "if step >= len(schedule):", "if step > len(schedule):", "the last attempt crashes"),
    Mutant(BACKOFF, "max(schedule[step:])", "max(schedule)", "a timeout waits a minute that the rest has not"),
    Mutant(BACKOFF, "is_timeout and max", "max", "every failure waits a minute"),
    Mutant(BACKOFF, "(1 + JITTER * jitter)", "(1 + jitter)", "jitter makes a delay nothing, or twice as long"),
    Mutant(
        RETRY_AFTER,
        "dt.timedelta(seconds=min(float(text), LONGEST.total_seconds()))",
        "dt.timedelta(seconds=float(text))",
        "a header parks a channel for thirty years",
    ),
    Mutant(RETRY_AFTER, "max(aware - answered_at, dt.timedelta())", "aware - answered_at", "a wait below zero"),
    Mutant(
        RETRY_AFTER,
        "outcome.started_at + dt.timedelta(milliseconds=outcome.duration_ms)",
        "outcome.started_at",
        "a date is waited for from the request on, not from the answer",
    ),
    Mutant(RULES, 'or after.on_create != "ignore"', "", "a rule that evaluates ignores"),
    Mutant(
        RULES,
        "stay | dict.fromkeys(after.distinct.keys() - known, since)",
        "dict.fromkeys(after.distinct.keys() - known, since) | stay",
        "a threshold put back, or a rule enabled again, ignores since its first time",
    ),
    Mutant(
        RULES,
        "dict.fromkeys(after.distinct.keys() - known, since)",
        "dict.fromkeys(after.distinct, since)",
        "an edit of a rule silences its other thresholds",
    ),
    Mutant(RULES, "return stay | dict", "return dict", "an edit makes a rule's other thresholds evaluate"),
    Mutant(
        RULES,
        "found.setdefault(threshold.identity, threshold)",
        "found[threshold.identity] = threshold",
        "the same threshold twice comes back as last written",
    ),
    Mutant(
        AMOUNTS,
        "max(-_FLOAT_DECIMALS, amount.adjusted()",
        "min(-_FLOAT_DECIMALS, amount.adjusted()",
        "a float of 20 digits is judged by digits that it has not",
    ),
    Mutant(AMOUNTS, "(_FLOAT_DIGITS - 1)", "_FLOAT_DIGITS", "99.99999999999999 of 100 is not 100 %"),
    Mutant(
        AMOUNTS,
        "prec=60, rounding=decimal.ROUND_HALF_EVEN",
        "prec=60, rounding=decimal.ROUND_DOWN",
        "99.99999999999999 of 100 is not 100 %",
    ),
    Mutant(AMOUNTS, "_FLOAT_DECIMALS: Final = 9", "_FLOAT_DECIMALS: Final = 10", "0.1 + 0.2 of 0.3 is not 100 %"),
    Mutant(
        NATIVE,
        "ZERO if overage is not None and overage > 0 else max(rest, ZERO)",
        "max(rest, ZERO)",
        "who is over has something left",
    ),
    Mutant(
        NATIVE,
        "ZERO if overage is not None and overage > 0 else max(rest, ZERO)",
        "ZERO if overage is not None and overage > 0 else rest",
        "a balance below 0",
    ),
    Mutant(
        NATIVE,
        "ZERO if value.balance is not None and value.balance > 0 else",
        "",
        "a rounded balance is contradicted by an overage",
    ),
    Mutant(
        NATIVE,
        "else max(EXACT.minus(rest), ZERO)",
        "else EXACT.minus(rest)",
        "an overage below 0",
    ),
    Mutant(
        NATIVE,
        "if overage is None and balance != 0:",
        "if overage is None:",
        "an unknown allowance is taken for the usage",
    ),
    Mutant(
        NATIVE,
        "max(EXACT.minus(balance), ZERO)",
        "ZERO",
        "a negative balance is no overage",
    ),
    Mutant(
        NATIVE,
        "elif overage is not None and overage > 0:",
        "elif overage is not None and overage >= 0:",
        "an unknown balance is taken for 0",
    ),
    Mutant(
        NATIVE,
        "check_consistent(given.balance, given.overage)",
        "",
        "a contradictory record is judged",
    ),
    Mutant(
        NATIVE,
        "EXACT.subtract(EXACT.add(usage, balance), overage)",
        "EXACT.add(usage, balance)",
        "the allowance is too high by the overage",
    ),
    Mutant(
        NATIVE,
        "value.balance is None or value.balance > 0",
        "value.balance is None or value.balance >= 0",
        "who has nothing left has access",
    ),
    Mutant(
        THRESHOLDS,
        "amounts.EXACT.normalize(self.value) if self.value else _ZERO",
        "self.value",
        "80.0 instead of 80 fires again",
    ),
    Mutant(
        "schemas/parse.py",
        'if any(name == "content-type"',
        'if any(name == "content-types"',
        "a structured value with headers is not understood",
    ),
    Mutant(
        "schemas/parse.py",
        'text.partition(b";")[0].strip().lower()',
        'text.partition(b";")[0].strip()',
        "a content type in capitals is not understood",
    ),
    Mutant(
        "schemas/parse.py",
        "given = [(name.lower(), text)",
        "given = [(name, text)",
        "header names in capitals are not understood",
    ),
    Mutant(
        "schemas/parse.py",
        "    if value is None:\n        return IGNORED\n",
        "    if not value:\n        return IGNORED\n",
        "an empty record is lost without a word",
    ),
    Mutant(
        "schemas/openmeter.py",
        'record.operation == "update" and not is_given',
        "not is_given",
        "a reset without a value is refused",
    ),
    Mutant(
        "schemas/openmeter.py",
        "not is_given and _is_active(made)",
        "not is_given",
        "who is no longer active fills the dead letters",
    ),
    Mutant(
        "schemas/native_invoices.py",
        '"0" if total.is_zero() and total.is_signed() else f"{total:f}"',
        'f"{total:f}"',
        "an invoice of -0.00",
    ),
    Mutant(
        "schemas/thresholds.py",
        "amounts.EXACT.normalize(self.value) if self.value else _ZERO",
        "amounts.EXACT.normalize(self.value)",
        "-0 is another threshold than 0",
    ),
    Mutant(
        "consumer/deliver/http/connect.py",
        "            connection.abort()\n            asyncio.get_running_loop().call_soon(reached.close)\n",
        "            reached.close()\n",
        "a receiver that ends its handshake as time is up breaks the connection that gets its descriptor",
        by="integration/deliver/test_webhook_turns.py",
    ),
    Mutant(
        "consumer/deliver/http/pool.py",
        "            connection.abort()  # cancelled",
        "            pass  # cancelled",
        "a connection whose request was cancelled as its answer came is open for ever",
        by="integration/deliver/test_webhook_turns.py",
    ),
    Mutant(
        "consumer/deliver/http/pool.py",
        "if connection.is_quiet:",
        "if connection.is_open:",
        "an answer to nothing is the next request's",
        by="integration/deliver/test_webhook_turns.py",
    ),
    Mutant(
        "consumer/deliver/http/connection.py",
        "return _INCOMING if self._answer is None or self._answer.status is None else _INCOMING[:PART_BYTES]",
        "return _INCOMING[:PART_BYTES]",
        "the end of a long head over TLS is lost where the receiver ends at once",
        by="integration/deliver/test_webhook_turns.py",
    ),
    Mutant(
        "consumer/deliver/http/wire.py",
        "            return size\n",
        "            raise\n",
        "a receiver that refuses a body and closes is a reset",
        by="integration/deliver/test_webhook_early.py",
    ),
    Mutant(
        "consumer/deliver/http/connection.py",
        "return not self._transport.get_write_buffer_size() and self._wire.is_flushed",
        "return True",
        "a webhook waits behind a body that its receiver has answered and never reads",
        by="integration/deliver/test_webhook_early.py",
    ),
    Mutant(
        "consumer/deliver/http/race.py",
        "len(self._running) < MOST_AT_ONCE and self._spare.take()",
        "True",
        "a host name with hundreds of silent addresses takes all sockets",
        by="integration/deliver/test_webhook_races.py",
    ),
    Mutant(
        "consumer/serve/connections.py",
        "            if request.transport in self._open:\n                self._wait(connection)\n",
        "            if request.transport in self._open:\n",
        "three thousand connections that wait for a request keep everybody else out",
        by="integration/deliver/test_http_connections.py",
    ),
    Mutant(
        "consumer/serve/connections.py",
        "        self.is_busy = False\n        self._time_head()\n",
        "        self.is_busy = False\n",
        "half a head behind a request stays for as long as it likes",
        by="integration/deliver/test_http_connections.py",
    ),
    Mutant(
        "consumer/deliver/shortage.py",
        "if began >= self._lacked_at:",
        "if True:",
        "a shortage that 500 attempts meet leaves one in flight",
        by="unit/test_taken.py",
    ),
    Mutant(
        "consumer/formats/reading.py",
        "        return _ok.decode(body).ok\n    except (msgspec.MsgspecError, RecursionError)",
        "        return _ok.decode(body).ok\n    except msgspec.MsgspecError",
        "an answer nested a thousand levels deep is never recorded, and the message is sent again and again",
        by="unit/test_reading.py",
    ),
    Mutant(
        "deploy/enforcement/kong.py",
        'return {str(consumer["id"]), str(consumer.get("username") or consumer["id"])}',
        'return {str(consumer.get("username") or consumer["id"])}',
        "who is named by a consumer's id has access again within five minutes",
        by="unit/test_enforcement_kong.py",
    ),
]
