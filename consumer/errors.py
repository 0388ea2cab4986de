"""What can stop us, named for the reader's next action.

```
TollbellError
├── ConfigInvalid        a setting or a command line is wrong: change it              (status 2)
├── Refused              reached, but it will not work like this: say what to change   (status 1)
│   └── MadeByNewer          stored by a newer release, and this one does not know it: ask that one
├── Unavailable          not reached now: wait, then try again
│   ├── SourceUnavailable    Kafka
│   └── StoreUnavailable     Postgres
│       ├── StoreBusy            it answers, but a statement got no lock, or no end, within a limit that was set
│       └── StoreFailed          it answers, and fails a statement: say so, try again, then find the row at fault
└── DataRefused          Postgres refuses the data of a statement: find the row at fault
```
Expected outcomes are values (`Reject`, `Outcome`, `Verdict`), never exceptions. No message holds a secret or a
whole URL.
"""


class TollbellError(Exception):
    """The root: everything we raise ourselves."""


class ConfigInvalid(TollbellError):
    """A setting or the command line is wrong; a line for each names it and says what is allowed."""


class Refused(TollbellError):
    """A server answered, and what we need is missing or forbidden; trying again does not help."""


class MadeByNewer(Refused):
    """A newer release stored it, and this one does not know its type: a process of that release does."""


class Unavailable(TollbellError):
    """A server cannot be reached; trying again does help."""


class SourceUnavailable(Unavailable):
    """Kafka cannot be reached."""


class StoreUnavailable(Unavailable):
    """Postgres cannot be reached, or ended the connection; whether a statement took effect may be unknown."""


class StoreBusy(StoreUnavailable):
    """A statement got no lock, or did not end, within a limit that it or an operator set; nothing took effect."""


class StoreFailed(StoreUnavailable):
    """Postgres fails a statement, and it is not known for what: a damaged row, a trigger; nothing took effect.

    It may be one row's fault, or no row's, and pass: so it counts as unavailable at first. Where it stays, the row is
    found by halving, as for data that is refused, provided that others can still be written.
    """


class DataRefused(TollbellError):
    """Postgres refuses a statement for the data in it (`store/sqlstates.py` has the list); nothing took effect."""
