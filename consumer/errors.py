"""What can stop us, named for the reader's next action.

```
TollbellError
├── ConfigInvalid        a setting or a command line is wrong: change it              (status 2)
├── Refused              reached, but it will not work like this: say what to change   (status 1)
├── Unavailable          not reached now: wait, then try again
│   ├── SourceUnavailable    Kafka
│   └── StoreUnavailable     Postgres
│       ├── StoreBusy            it answers, but a statement got no lock, or no end, within its own limit
│       └── StoreFailed          it answers, and fails a statement for a reason of its own: say so, go on beside it
└── DataRefused          Postgres refuses the data of a statement: halve it
```
Expected outcomes are values (`Reject`, `Outcome`, `Verdict`), never exceptions. No message holds a secret or a
whole URL.
"""


class TollbellError(Exception):
    """The root: everything we raise ourselves."""


class ConfigInvalid(TollbellError):
    """A setting or the command line is wrong; the message names it and says what is allowed."""


class Refused(TollbellError):
    """A server answered, and what we need is missing or forbidden; trying again does not help."""


class Unavailable(TollbellError):
    """A server cannot be reached; trying again does help."""


class SourceUnavailable(Unavailable):
    """Kafka cannot be reached."""


class StoreUnavailable(Unavailable):
    """Postgres cannot be reached, or ended the connection; whether a statement took effect may be unknown."""


class StoreBusy(StoreUnavailable):
    """A statement that limits itself got no lock, or did not end, in time; nothing took effect."""


class StoreFailed(StoreUnavailable):
    """Postgres fails a statement: damaged rows, somebody's trigger, a limit of its own; nothing took effect."""


class DataRefused(TollbellError):
    """Postgres refuses a statement for the data in it (SQLSTATE classes 21 to 23); nothing took effect."""
