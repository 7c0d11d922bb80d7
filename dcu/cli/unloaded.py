"""Modules of Python's library that others import for what a daemon hardly ever does: there, but loaded when asked.

Who asks finds them as ever; only the memory waits. Our own modules are imported late where they are needed.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import Any

#: For proxies (paho; http, email and tempfile come with it), addresses in URLs (urllib), pipes of text (subprocess),
#: certificates as text (ssl), and what is shown of source in a traceback.
HARDLY_USED = ("urllib.request", "ipaddress", "locale", "uuid", "base64", "textwrap", "tokenize")


def load_when_asked(name: str) -> None:
    """Have the module `name`, no package, be there for whoever imports it, and load it when an attribute is asked for.

    Nothing happens when it is loaded already, or when there is none of that name.
    """
    spec = None if name in sys.modules else find_spec(name)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    waiting: list[Callable[[ModuleType], None]] = [spec.loader.exec_module]
    # another thread must not see half of it; one lock for all would be taken in another order than those of importing
    loading = RLock()

    def ask(attribute: str) -> Any:
        with loading:
            if waiting:  # not again for what the module asks itself while it is loaded
                _load(module, waiting)
        if attribute not in vars(module):
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}", name=attribute, obj=module)
        return vars(module)[attribute]

    vars(module)["__getattr__"] = ask  # asked for what the module has not (PEP 562)
    sys.modules[name] = module
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(import_module(parent), last, module)


def _load(module: ModuleType, waiting: list[Callable[[ModuleType], None]]) -> None:
    """Fill `module` with what is `waiting`; that waits again, and nothing of it is there, when it fails."""
    bare, fill = vars(module).copy(), waiting.pop()
    try:
        fill(module)
    except BaseException:
        vars(module).update(bare)
        for name in vars(module).keys() - bare.keys():
            del vars(module)[name]
        waiting.append(fill)
        raise
    del vars(module)["__getattr__"]
