"""`tollbell demo`: a usage record becomes a signed webhook, before your eyes.

```
story ──► play ──► Kafka ──► tollbell run ──► receiver        story.py       what is played, and how it must end
            │                     │              │            play.py        plays it, a record at a time
            └──────► screen ◄─────┴──────────────┘            ending.py      compares what happened with the story
```
`steps.py` is the story's vocabulary, `webhooks.py` that of what comes of it.

`stage` puts it all up and takes it down again: servers (`servers/`, which the tests use too), topics, the receiver, and
the service (`service.py`), which runs as its users run it, by its own commands. Needs what the extra `demo` installs;
of the service, only the command imports this.
"""
