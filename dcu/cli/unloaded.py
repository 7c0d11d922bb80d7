"""Modules of Python's library that others import for what a daemon hardly ever does: there, but loaded when asked.

Who asks finds them as ever; only the memory waits. Our own modules are imported late where they are needed.
"""

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from threading import RLock
from typing import Any

#: For proxies (paho; http, email and tempfile come with it), addresses in URLs (urllib), pipes of text (subprocess),
#: certificates as text (ssl), and what is shown of source in a traceback.
HARDLY_USED = ("urllib.request", "ipaddress", "locale", "uuid", "base64", "textwrap", "tokenize")

#: Held while such a module is loaded: another thread must not see half of it.
_LOADING = RLock()


def load_when_asked(name: str) -> None:
    """Have the module `name`, no package, be there for whoever imports it, and load it when an attribute is asked for.

    Nothing happens when it is loaded already, or when there is none of that name.
    """
    spec = None if name in sys.modules else find_spec(name)
    if spec is None or spec.loader is None:
        return
    module, waiting = module_from_spec(spec), [spec.loader]

    def ask(attribute: str) -> Any:
        with _LOADING:
            if waiting:  # not again for what the module asks itself while it is loaded
                waiting.pop().exec_module(module)
                del vars(module)["__getattr__"]
        if attribute not in vars(module):
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}", name=attribute, obj=module)
        return vars(module)[attribute]

    vars(module)["__getattr__"] = ask  # asked for what the module has not (PEP 562)
    sys.modules[name] = module
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(import_module(parent), last, module)
