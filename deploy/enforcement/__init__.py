"""Cuts customers off at 100 % and gives access back: Tollbell's webhooks, received and enforced.

```
webhook ──► handler ──► access ──► a backend         handler.py     verify, once each, 503 where it failed
              ▲                      kong.py         access.py      which decision is the newest: pure
state ────────┘                      flagd.py        signatures.py  Standard Webhooks
(at start, and every five minutes)   middleware.py   receiver.py    aiohttp, or any ASGI server
```
Copy the folder: it needs the standard library and aiohttp, nothing of Tollbell. `python -m enforcement` runs it with
settings from the environment; docs/enforcement.md has them.
"""
