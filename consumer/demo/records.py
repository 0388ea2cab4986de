"""The story's records as bytes: native ones, as any metering or billing system may send them."""

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Any, Final

from consumer import clock, ids
from consumer.demo.steps import InvoiceStep, Record, Usage
from schemas import times
from schemas.native import RESET_TYPE, SNAPSHOT_TYPE
from schemas.native_invoices import CREATED_TYPE, UPDATED_TYPE

MONTH: Final = dt.timedelta(days=30)
DAY: Final = dt.timedelta(days=1)


@dataclass(slots=True)
class StoryRecords:
    """Makes records.

    Attributes:
        run: a name for this run: its entitlements and invoices are its own, whatever the database remembers of
            others.
        namespace: what deploy/demo/rules.yaml is about in this run.
        opened: when it began; the first period holds it, the second one begins there.
        ends: by customer, when a short first period ends: there its second one begins.
    """

    run: str
    namespace: str
    opened: dt.datetime
    ends: dict[str, dt.datetime] = field(default_factory=dict, init=False)

    def key(self, step: Record) -> bytes:
        """Return the Kafka key of *step*'s record: records of an entitlement, or an invoice, stay in order."""
        return (self._entitlement(step) if isinstance(step, Usage) else self._invoice_id(step)).encode()

    def value(self, step: Record) -> bytes:
        """Return the value of *step*'s record, calculated now."""
        now = clock.now()
        record = {
            "specversion": "1.0",
            "id": ids.new(),
            "source": "tollbell-demo",
            "type": _type(step),
            "subject": step.customer,
            "time": times.text(now),
            "data": self._level(step, now) if isinstance(step, Usage) else self._invoice(step),
        }
        return json.dumps(record).encode()

    def period_number(self, start: str) -> int:
        """Return which of the story's periods starts at *start*; 0 for none."""
        at = times.parse(start)
        if at in self.ends.values():
            return 2
        return {self._start(1): 1, self._start(2): 2}.get(at, 0)

    def _level(self, step: Usage, now: dt.datetime) -> dict[str, Any]:
        start = self._start(step.period)
        end = start + MONTH
        if step.lasts is not None:
            end = self.ends[step.customer] = now + step.lasts
        return {
            "namespace": self.namespace,
            "calculatedAt": times.text(now),
            "customer": _customer(step.customer),
            "subject": {"key": step.customer},
            "feature": {"key": step.feature.key},
            "entitlement": {
                "id": self._entitlement(step),
                "period": {"from": times.text(start), "to": times.text(end)},
            },
            "value": {"usage": step.usage, "allowance": step.allowance},
        } | ({"resetAt": times.text(start)} if step.is_reset else {})

    def _invoice(self, step: InvoiceStep) -> dict[str, Any]:
        invoice = {
            "id": self._invoice_id(step),
            "number": step.number,
            "status": step.state,
            "currency": "EUR",
            "customer": _customer(step.customer),
            "total": "49.90",
        }
        return {"namespace": self.namespace, "invoice": invoice}

    def _entitlement(self, step: Usage) -> str:
        return f"{step.customer}-{self.run}"

    def _invoice_id(self, step: InvoiceStep) -> str:
        return f"{step.customer}-{step.number}-{self.run}"

    def _start(self, number: int) -> dt.datetime:
        # The second one begins before the first was to end: the customer renewed early.
        return self.opened if number > 1 else self.opened + DAY - MONTH


def _type(step: Record) -> str:
    if isinstance(step, Usage):
        return RESET_TYPE if step.is_reset else SNAPSHOT_TYPE
    return CREATED_TYPE if step.is_created else UPDATED_TYPE


def _customer(name: str) -> dict[str, str]:
    return {"id": f"c-{name}", "key": name, "name": name.title()}
