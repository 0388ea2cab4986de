"""The story's records as bytes: native snapshots, as any metering system may send them."""

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any, Final

from consumer import clock, ids
from consumer.demo.story import Step
from schemas.native import SNAPSHOT_TYPE

# What deploy/demo/rules.yaml is about. A namespace of our own: nobody else's rules see these records.
NAMESPACE: Final = "demo"
FEATURE: Final = "api_requests"
MONTH: Final = dt.timedelta(days=30)
DAY: Final = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Records:
    """Makes records.

    Attributes:
        run: a name for this telling: its entitlements are its own, whatever the database remembers of others.
        opened: when it began; the first period holds it, the second one begins there.
    """

    run: str
    opened: dt.datetime

    def key(self, step: Step) -> bytes:
        """Return the Kafka key of *step*'s record: records of an entitlement stay in order."""
        return self._entitlement(step.customer).encode()

    def value(self, step: Step) -> bytes:
        """Return the value of *step*'s record, calculated now."""
        now = _text(clock.now())
        record = {
            "specversion": "1.0",
            "id": ids.new(),
            "source": "tollbell-demo",
            "type": SNAPSHOT_TYPE,
            "subject": step.customer,
            "time": now,
            "data": self._snapshot(step, now),
        }
        return json.dumps(record).encode()

    def period_number(self, start: str) -> int:
        """Return which of the story's periods starts at *start*; 0 for none."""
        return next((number for number in (1, 2) if self._period(number)["from"] == start), 0)

    def _snapshot(self, step: Step, now: str) -> dict[str, Any]:
        return {
            "namespace": NAMESPACE,
            "calculatedAt": now,
            "customer": {"id": f"c-{step.customer}", "key": step.customer, "name": step.customer.title()},
            "subject": {"key": step.customer},
            "feature": {"key": FEATURE},
            "entitlement": {"id": self._entitlement(step.customer), "period": self._period(step.period)},
            "value": {"usage": step.usage, "allowance": step.allowance},
        }

    def _entitlement(self, customer: str) -> str:
        return f"{customer}-{self.run}"

    def _period(self, number: int) -> dict[str, str]:
        # The second one begins before the first was to end: the customer renewed early.
        start = self.opened if number > 1 else self.opened + DAY - MONTH
        return {"from": _text(start), "to": _text(start + MONTH)}


def _text(time: dt.datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
