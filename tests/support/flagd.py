"""What flagd makes of its flags: the schema's required members, and the part of JsonLogic that is used."""

from typing import Any


def has_access(document: dict[str, Any], flag: str, targeting_key: str) -> bool:
    """Return the value of a boolean flag for a targeting key."""
    found = document["flags"][flag]
    assert found["state"] == "ENABLED"
    assert set(found) <= {"state", "variants", "defaultVariant", "targeting", "metadata"}
    variant = _evaluated(found.get("targeting", {}), {"targetingKey": targeting_key})
    value = found["variants"][found["defaultVariant"] if variant is None else variant]
    assert isinstance(value, bool)
    return value


def _evaluated(rule: Any, context: dict[str, str]) -> Any:
    match rule:
        case {"if": [condition, then, otherwise]}:
            return _evaluated(then if _evaluated(condition, context) else otherwise, context)
        case {"in": [needle, list(among)]}:
            return _evaluated(needle, context) in among
        case {"var": str(name)}:
            return context.get(name)
        case dict() if not rule:
            return None
        case str():
            return rule
    raise AssertionError(f"not a rule that flagd knows: {rule}")
