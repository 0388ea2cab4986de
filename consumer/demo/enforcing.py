"""The handler of deploy/enforcement/: in an installed package a copy of it is here; in a checkout it is there."""

import importlib.util
from typing import TYPE_CHECKING

if TYPE_CHECKING or importlib.util.find_spec("consumer.demo.enforcement") is None:
    from deploy.enforcement.access import Place
    from deploy.enforcement.handler import Enforcer
    from deploy.enforcement.middleware import Refusals
else:
    from consumer.demo.enforcement.access import Place
    from consumer.demo.enforcement.handler import Enforcer
    from consumer.demo.enforcement.middleware import Refusals

__all__ = ["Enforcer", "Place", "Refusals"]
