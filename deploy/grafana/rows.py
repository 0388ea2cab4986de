"""The dashboards' rows, in the order of a record's way: read, judged, sent, answered; then what all of it stands on."""

from typing import Final

from panels import (
    BYTES,
    COUNT,
    OURS,
    PER_SECOND,
    RATIO,
    SECONDS,
    Panel,
    Query,
    Row,
    greatest,
    grew,
    quantiles,
    rate,
    series,
    stat,
    succeeded,
    within_a_minute,
)

OVERVIEW: Final = (
    Row(
        "Is anything wrong?",
        (
            stat(
                "Failing checks",
                "Checks of /readyz that fail, over all replicas. /readyz says why.",
                COUNT,
                f"sum(1 - tollbell_ready{{{OURS}}})",
                red=1,
            ),
            stat(
                "Oldest record",
                "Age of the oldest record that no replica has taken. No value: Kafka does not say.",
                SECONDS,
                greatest("tollbell_consumer_lag_seconds"),
                red=300,
            ),
            stat(
                "Oldest delivery due",
                "Of channels that are not paused: for how long the oldest one has been due. No value: Postgres does not"
                " say.",
                SECONDS,
                greatest("tollbell_outbox_oldest_sendable_age_seconds"),
                red=120,
            ),
            stat(
                "Within a minute",
                "Share of first attempts that began within a minute of their record. The objective is 99 %.",
                RATIO,
                within_a_minute(),
                red_below=0.99,
            ),
            stat(
                "Failed for good",
                "Deliveries that ended FAILED in the last hour: never sent again by themselves.",
                COUNT,
                grew("tollbell_deliveries_ended_total", "1h", only='state="FAILED"'),
                red=1,
            ),
            stat(
                "Channels failing",
                "Channels that have failed since their last success, at most 100. No value: Postgres does not say.",
                COUNT,
                # Without a series none fails, if Postgres says anything of channels at all.
                f"count(max by (channel_id) (tollbell_channel_failing{{{OURS}}}))"
                f" or 0 * {greatest('tollbell_channels')}",
                red=1,
            ),
            stat(
                "Dead letters",
                "Records of the last hour that could not be understood or stored.",
                COUNT,
                grew("tollbell_dead_letters_total", "1h"),
                red=1,
            ),
            stat(
                "Errors",
                "Lines of level error of the last hour: each needs a person.",
                COUNT,
                grew("tollbell_errors_total", "1h"),
                red=1,
            ),
        ),
    ),
    Row(
        "1. Records are read",
        (
            series(
                "Records",
                "Records taken, by what they were: judged, about nothing a rule covers, not ours, dead letters.",
                PER_SECOND,
                Query(rate("tollbell_records_total", "result"), "{{result}}"),
            ),
            series(
                "Age of the oldest record",
                "By topic; a gap is a time in which Kafka did not say.",
                SECONDS,
                Query(greatest("tollbell_consumer_lag_seconds", "topic"), "{{topic}}"),
            ),
            series(
                "Records waiting",
                "Records in Kafka that are not yet taken, by topic.",
                COUNT,
                Query(f"sum by (topic) (tollbell_consumer_lag{{{OURS}}})", "{{topic}}"),
            ),
            series(
                "Since the last record",
                "How long ago the newest record taken was made, by topic: silence of a producer.",
                SECONDS,
                Query(f"time() - {greatest('tollbell_last_record_timestamp_seconds', 'topic')}", "{{topic}}"),
            ),
            series(
                "Dead letters",
                "Records put into the dead-letter topic in five minutes, by reason.",
                COUNT,
                Query(grew("tollbell_dead_letters_total", "5m", "reason"), "{{reason}}"),
            ),
            series(
                "Partitions in trouble",
                "Partitions that stand still at damaged bytes; and those that were read again from their start.",
                COUNT,
                Query(f"sum(tollbell_partitions_held{{{OURS}}})", "held"),
                Query(grew("tollbell_offsets_lost_total", "5m"), "offset lost"),
            ),
        ),
    ),
    Row(
        "2. Records are judged",
        (
            series(
                "Judgements",
                "By reason: why a threshold or rule did or did not notify.",
                PER_SECOND,
                Query(rate("tollbell_judgements_total", "reason"), "{{reason}}"),
            ),
            series(
                "Events",
                "Notification events made, by type and action.",
                PER_SECOND,
                Query(rate("tollbell_events_total", "type, action"), "{{type}} {{action}}"),
            ),
            series(
                "Age of the rules",
                "Since a replica last made sure that it has the rules of now: a second or less.",
                SECONDS,
                Query(greatest("tollbell_catalog_age_seconds", "instance"), "{{instance}}"),
            ),
        ),
    ),
    Row(
        "3. Webhooks are sent",
        (
            series(
                "Attempts",
                "Webhook requests, by what happened.",
                PER_SECOND,
                Query(rate("tollbell_attempts_total", "outcome"), "{{outcome}}"),
            ),
            series(
                "Due",
                "Deliveries that may be sent now, those of paused channels too.",
                COUNT,
                Query(greatest("tollbell_outbox_due"), "due"),
            ),
            series(
                "Deliveries ended",
                "SUCCESS, or FAILED and why.",
                PER_SECOND,
                Query(rate("tollbell_deliveries_ended_total", "state, reason"), "{{state}} {{reason}}"),
            ),
            series(
                "Record to first attempt",
                "From Kafka's timestamp of a record until its first webhook request begins: what Tollbell takes.",
                SECONDS,
                *quantiles("tollbell_source_to_first_attempt_seconds"),
            ),
            series(
                "Record to 2xx",
                "The same until the receiver has answered 2xx, retries included.",
                SECONDS,
                *quantiles("tollbell_source_to_webhook_seconds"),
            ),
            series(
                "Channels",
                "By state: paused by their receiver or because it is down; disabled by a person or by Tollbell.",
                COUNT,
                Query(greatest("tollbell_channels", "state"), "{{state}}"),
            ),
        ),
    ),
    Row(
        "4. What it stands on",
        (
            series(
                "Postgres: seconds a second",
                "Time spent waiting for statements, by statement: the ten greatest.",
                SECONDS,
                Query(f"topk(10, {rate('tollbell_postgres_statement_seconds_sum', 'statement')})", "{{statement}}"),
            ),
            series(
                "Postgres: mean of a statement",
                "How long one takes on average: the ten slowest.",
                SECONDS,
                Query(
                    f"topk(10, {rate('tollbell_postgres_statement_seconds_sum', 'statement')}"
                    f" / {rate('tollbell_postgres_statement_seconds_count', 'statement')})",
                    "{{statement}}",
                ),
            ),
            series(
                "Rows set aside",
                "Rows that are left alone for a while, because Postgres fails a statement for them, in five minutes.",
                COUNT,
                Query(grew("tollbell_rows_failed_total", "5m", "what"), "{{what}}"),
            ),
            series(
                "CPU",
                "Seconds of CPU a second, by replica: one is all that a process can use.",
                SECONDS,
                Query(rate("process_cpu_seconds_total", "instance"), "{{instance}}"),
            ),
            series(
                "Memory",
                "Resident memory by replica.",
                BYTES,
                Query(greatest("process_resident_memory_bytes", "instance"), "{{instance}}"),
            ),
            series(
                "API",
                "Requests of the API, by class of their status.",
                PER_SECOND,
                Query(rate("tollbell_api_requests_total", "status"), "{{status}}"),
            ),
            series(
                "Console sign-ins",
                "Attempts to sign in to the console in five minutes: many wrong or refused ones are guesses.",
                COUNT,
                Query(grew("tollbell_console_sign_ins_total", "5m", "result"), "{{result}}"),
            ),
            series(
                "Retention",
                "Age of the oldest partition of events, and what is to be kept.",
                SECONDS,
                Query(greatest("tollbell_retention_oldest_partition_age_seconds"), "oldest partition"),
                Query(greatest("tollbell_retention_seconds"), "to be kept"),
            ),
            series(
                "Removed by retention",
                "Partitions and rows removed in five minutes.",
                COUNT,
                Query(grew("tollbell_retention_removed_total", "5m", "what"), "{{what}}"),
            ),
            series(
                "Releases",
                "Replicas by release, schema and Python: more than one line while a release rolls.",
                COUNT,
                Query(
                    f"count by (version, schema, python) (tollbell_build_info{{{OURS}}})",
                    "{{version}}, {{schema}}, Python {{python}}",
                ),
            ),
        ),
    ),
)
DELIVERIES: Final = (
    Row(
        "Is anything wrong?",
        (
            stat("Succeeded", "Share of the deliveries that ended whose receiver answered 2xx.", RATIO, succeeded(),
                 red_below=0.99),
            stat("Failed for good", "Deliveries that ended FAILED in the last hour.", COUNT,
                 grew("tollbell_deliveries_ended_total", "1h", only='state="FAILED"'), red=1),
            stat("Oldest delivery due", "Of channels that are not paused: for how long the oldest one has been due.",
                 SECONDS, greatest("tollbell_outbox_oldest_sendable_age_seconds"), red=120),
            stat("Within a minute", "Share of first attempts that began within a minute of their record.", RATIO,
                 within_a_minute(), red_below=0.99),
            stat("Paused", "Channels that wait: their receiver asked for it, or is down.", COUNT,
                 greatest("tollbell_channels", only='state="paused"'), red=1),
            stat("Disabled by Tollbell", "Channels that wait for a person to enable them.", COUNT,
                 greatest("tollbell_channels", only='state="disabled_by_tollbell"'), red=1),
            stat("In flight", "Deliveries that are being sent or wait for their next attempt.", COUNT,
                 greatest("tollbell_deliveries", only='state="SENDING"')),
            stat("Due", "Deliveries that may be sent now.", COUNT, greatest("tollbell_outbox_due")),
        ),
    ),
    Row(
        "1. Deliveries wait",
        (
            series("Open deliveries", "PENDING: not yet tried; SENDING: in flight or between attempts; RESENDING: a"
                   " person asked for it.", COUNT, Query(greatest("tollbell_deliveries", "state"), "{{state}}")),
            series("Due, and for how long", "Of paused channels too.", COUNT,
                   Query(greatest("tollbell_outbox_due"), "deliveries due"),
                   Query(greatest("tollbell_outbox_oldest_due_age_seconds"), "seconds of the oldest")),
            series("Record to first attempt", "What Tollbell takes, however slow the receiver is.", SECONDS,
                   *quantiles("tollbell_source_to_first_attempt_seconds")),
        ),
    ),
    Row(
        "2. Attempts are made",
        (
            series("Attempts", "By what happened: success, an answer that is no 2xx (status), or no answer and why.",
                   PER_SECOND, Query(rate("tollbell_attempts_total", "outcome"), "{{outcome}}")),
            series("Answers", "By class of their HTTP status.", PER_SECOND,
                   Query(rate("tollbell_answers_total", "status_class"), "{{status_class}}")),
            series("Consents", "Receivers asked whether they may be sent to (requestOrigin), by answer, in five"
                   " minutes.", COUNT, Query(grew("tollbell_consents_asked_total", "5m", "result"), "{{result}}")),
            series("How long an attempt takes", "From resolving the name to the end of the answer.", SECONDS,
                   *quantiles("tollbell_attempt_duration_seconds")),
            Panel(title="Attempts by duration", text="How many attempts a second took how long.", unit=SECONDS,
                  queries=[Query(rate("tollbell_attempt_duration_seconds_bucket", "le"), "{{le}}")], kind="heatmap",
                  width=24),
        ),
    ),
    Row(
        "3. Deliveries end",
        (
            series("Ended", "SUCCESS, or FAILED and why.", PER_SECOND,
                   Query(rate("tollbell_deliveries_ended_total", "state, reason"), "{{state}} {{reason}}")),
            series("Failed for good", "In five minutes, by reason.", COUNT,
                   Query(grew("tollbell_deliveries_ended_total", "5m", "reason", 'state="FAILED"'), "{{reason}}")),
            series("Record to 2xx", "Retries included, resends not.", SECONDS,
                   *quantiles("tollbell_source_to_webhook_seconds")),
        ),
    ),
    Row(
        "4. Channels",
        (
            series("Channels", "By state.", COUNT, Query(greatest("tollbell_channels", "state"), "{{state}}"),
                   width=12),
            series("Failing channels", "1 while a channel has failed since its last success, by its id; at most 100.",
                   COUNT, Query(greatest("tollbell_channel_failing", "channel_id"), "{{channel_id}}"), width=12),
        ),
    ),
)  # fmt: skip
