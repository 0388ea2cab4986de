"""/notification/rules: made, read, listed, changed, deleted."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from consumer.formats import fitting
from consumer.serve import bodies
from consumer.serve.api import lists, shown
from consumer.serve.api.alive import alive
from consumer.serve.api.call import Call, Operation
from consumer.serve.described import CLASH, TEXT, Described, Parameter, RequestBody
from consumer.serve.problems import Fault, bad_request, invalid, not_found
from consumer.store import configuration, configured, features, wanted
from consumer.store.configuration import Edit
from consumer.store.configured import StoredRule
from schemas import answers
from schemas.rules import RuleConfig, RuleFields

# What an answer has and a person does not set: clients put back what they read.
READ_ONLY: Final = frozenset({"id", "createdAt", "updatedAt", "deletedAt", "annotations"})
_rule: Final = TypeAdapter[RuleFields](RuleConfig)


async def create(call: Call) -> web.Response:
    """Make a rule."""
    config = read_config(await call.body())
    await _tried(call, config)
    async with configuration.edit(call.served.database, call.served.cipher, call.namespace) as edit:
        planned = wanted.rule(config, call.namespace, None, channels=await _channels(edit, config))
        made = replace(planned, id=await call.new_id(edit.rule))
        await edit.put_rule(made)
        stored = await edit.rule(made.id)
    assert stored is not None  # noqa: S101 - it was put a line above
    return bodies.answer(await _shown(call, stored), HTTPStatus.CREATED)


async def get(call: Call) -> web.Response:
    """Return a rule, deleted or not."""
    return bodies.answer(await _shown(call, await found(call)))


async def list_all(call: Call) -> web.Response:
    """Return a page of rules."""
    query = call.query()
    named = query.all("feature")
    about = None if named is None else await features.also_called(call.served.database, call.namespace, named)
    which = lists.selection(query, features=about, channels=await call.ids("channel", query.all("channel")))
    query.check()
    found = await configured.rule_page(call.served.database, call.namespace, which)

    async def show(part: list[StoredRule]) -> list[object]:
        seen = await features.seen(call.served.database, call.namespace, features.named_by(part))
        return [shown.rule(one, seen) for one in part]

    return bodies.answer(await lists.page(call, which, found, show))


async def update(call: Call) -> web.Response:
    """Change all of a rule but its type."""
    config = read_config(await call.body())
    await _tried(call, config)
    async with configuration.edit(call.served.database, call.served.cipher, call.namespace) as edit:
        stored = await _changeable(edit, call)
        if config.spec.type is not stored.spec.type:
            fault = Fault("type", f"is {stored.spec.type}, and stays that: make another rule")
            raise bad_request(f"{fault.field}: {fault.problem}", [fault])
        channels = await _channels(edit, config, before=stored.channels)
        await edit.put_rule(wanted.rule(config, call.namespace, stored, channels=channels))
        changed = await edit.rule(stored.id)
    assert changed is not None  # noqa: S101 - it was there a line above
    return bodies.answer(await _shown(call, changed))


async def delete(call: Call) -> web.Response:
    """Delete a rule; its events stay, and are still sent."""
    async with configuration.edit(call.served.database, call.served.cipher, call.namespace) as edit:
        stored = await edit.rule(call.named["rule"])
        if stored is None:
            raise not_found("rule", call.named["rule"])
        if not configured.is_deleted(stored):
            await edit.delete_rule(stored)
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def enable(call: Call) -> web.Response:
    """Enable a rule: what its thresholds remember of the period still counts."""
    return await _switched(call, is_disabled=False)


async def disable(call: Call) -> web.Response:
    """Disable a rule: no record is judged by it."""
    return await _switched(call, is_disabled=True)


async def _switched(call: Call, *, is_disabled: bool) -> web.Response:
    async with configuration.edit(call.served.database, call.served.cipher, call.namespace) as edit:
        stored = await _changeable(edit, call)
        await edit.put_rule(replace(stored, disabled=is_disabled))
        changed = await edit.rule(stored.id)
    assert changed is not None  # noqa: S101 - it was there a line above
    return bodies.answer(await _shown(call, changed))


async def found(call: Call) -> StoredRule:
    """Return the rule that the path names.

    Raises:
        Problem: 404, it is not there.
    """
    stored = await configured.rule(call.served.database, call.namespace, call.named["rule"])
    if stored is None:
        raise not_found("rule", call.named["rule"])
    return stored


async def _changeable(edit: Edit, call: Call) -> StoredRule:
    rule_id = call.named["rule"]
    stored = alive(await edit.rule(rule_id), "rule", rule_id)
    call.check_seen(stored.life)
    return stored


async def _shown(call: Call, stored: StoredRule) -> object:
    return shown.rule(stored, await features.seen(call.served.database, call.namespace, features.named_by([stored])))


async def _tried(call: Call, config: RuleFields) -> None:
    """Try the templates of the channels that *config* names, before the edit that others wait for."""
    for channel_id in await call.ids("channel", config.channels) or ():
        channel = await configured.channel(call.served.database, call.served.cipher, call.namespace, channel_id)
        if channel is not None:
            await call.served.trials.of(channel.config)


async def _channels(edit: Edit, config: RuleFields, before: Collection[str] = ()) -> list[str]:
    """Return the ids of the channels that *config* names, by id or key; *before* has those that it had.

    Raises:
        Problem: 400, one is not there, or deleted, or new and its template does not work for the rule's events.
    """
    faults = []
    channel_ids = await edit.ids_of("channel", config.channels)
    for n, channel_id in enumerate(channel_ids):
        channel = await edit.channel(channel_id)
        if channel is None or configured.is_deleted(channel):
            faults.append(Fault(f"channels[{n}]", "there is no channel of this id or key"))
        elif channel_id not in before and (problem := fitting.misfit(channel.config, config.spec.type)):
            faults.append(Fault(f"channels[{n}]", f"the channel can't send this rule's events: {problem}"))
    if faults:
        raise bad_request(f"{faults[0].field}: {faults[0].problem}", faults)
    return channel_ids


def read_config(body: Mapping[str, Any]) -> RuleFields:
    """Return the rule that *body* asks for; channels and features may be as an answer has them.

    Raises:
        Problem: 400, with every field at fault.
    """
    bodies.check_lengths(body)
    given = {name: value for name, value in body.items() if name not in READ_ONLY}
    if isinstance(channels := given.get("channels"), list):
        given["channels"] = [one.get("id") if isinstance(one, dict) else one for one in channels]
    if isinstance(names := given.get("features"), list):
        given["features"] = [one.get("id") if isinstance(one, dict) else one for one in names]
    if given.get("metadata", {}) is None:
        given.pop("metadata")
    try:
        return _rule.validate_python(given, by_alias=True, by_name=False)
    except ValidationError as exc:
        raise invalid(exc) from None


BODY: Final = RequestBody(RuleConfig, "RuleConfig", ignored=READ_ONLY, references=frozenset({"channels", "features"}))
_QUERY: Final = (
    *lists.OF_CONFIGURATION,
    Parameter("feature", TEXT, "Rules that name one of these, by id or key.", is_list=True),
    Parameter("channel", TEXT, "Rules that send to one of these, by id or `key:NAME`.", is_list=True),
)

OPERATIONS: Final = (
    Operation(
        "list_rules",
        "GET",
        "/notification/rules",
        list_all,
        writes=False,
        about=Described(
            summary="List rules", answers={HTTPStatus.OK: answers.Page[answers.NotificationRule]}, query=_QUERY
        ),
    ),
    Operation(
        "create_rule",
        "POST",
        "/notification/rules",
        create,
        writes=True,
        about=Described(
            summary="Make a rule", takes=BODY, answers={HTTPStatus.CREATED: answers.NotificationRule}, problems=CLASH
        ),
    ),
    Operation(
        "get_rule",
        "GET",
        "/notification/rules/{rule}",
        get,
        writes=False,
        about=Described(summary="Read a rule, deleted or not", answers={HTTPStatus.OK: answers.NotificationRule}),
    ),
    Operation(
        "update_rule",
        "PUT",
        "/notification/rules/{rule}",
        update,
        writes=True,
        about=Described(
            summary="Change all of a rule but its type",
            takes=BODY,
            answers={HTTPStatus.OK: answers.NotificationRule},
            problems=CLASH,
        ),
    ),
    Operation(
        "enable_rule",
        "POST",
        "/notification/rules/{rule}/enable",
        enable,
        writes=True,
        about=Described(summary="Enable a rule", answers={HTTPStatus.OK: answers.NotificationRule}, problems=CLASH),
    ),
    Operation(
        "disable_rule",
        "POST",
        "/notification/rules/{rule}/disable",
        disable,
        writes=True,
        about=Described(
            summary="Disable a rule: no record is judged by it",
            answers={HTTPStatus.OK: answers.NotificationRule},
            problems=CLASH,
        ),
    ),
    Operation(
        "delete_rule",
        "DELETE",
        "/notification/rules/{rule}",
        delete,
        writes=True,
        about=Described(
            summary="Delete a rule; its events stay, and are still sent", answers={HTTPStatus.NO_CONTENT: None}
        ),
    ),
)
