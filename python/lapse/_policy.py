"""What every call may be given: settings, and a callback that is told how far it is."""
from __future__ import annotations

import ctypes
from typing import Any, Callable, Iterator, Mapping, Optional

from ._lib import CALLBACKS, Handle, Raised, call, check, lib
from ._tables import Result
from ._values import encode

#: progress(done, total or -1): something true cancels the call
Progress = Callable[[int, int], Any]


def progress_into(struct: Any, progress: Optional[Progress], raised: Raised) -> Any:
    if progress is None:
        return None
    def told(_: Any, done: int, total: int) -> int:
        return 1 if progress(done, total) else 0
    struct.on_progress = CALLBACKS['lapse_progress_fn'](raised.wrap(told, 1))
    return struct.on_progress


class Policy:
    """Every threshold and rule as named settings: policy['purchase.lost'] = '12m'. Iterates over names; list() has
    defaults, units and origins. Wherever a policy is asked for, a dict of settings does too, and None are the defaults."""

    def __init__(self, settings: Optional[Mapping[str, Any]] = None) -> None:
        out = ctypes.c_void_p()
        check(lib.policy_new(None, ctypes.byref(out)))
        self._handle = Handle(out, lib.policy_free, 'policy')
        for name, value in (settings or {}).items():
            self[name] = value

    @classmethod
    def parse(cls, text: str) -> 'Policy':
        """Of `name = value` lines; # begins a comment."""
        policy, data = cls(), text.encode('utf-8')
        with policy._handle as pointer:
            call(lib.policy_parse, pointer, data, len(data))
        return policy

    def __setitem__(self, name: str, value: Any) -> None:
        with self._handle as pointer:
            call(lib.policy_set, pointer, encode(name, 'a setting'), encode(str(value), name))

    def __getitem__(self, name: str) -> str:
        out = ctypes.c_char_p()
        with self._handle as pointer:
            status = lib.policy_get(pointer, encode(name, 'a setting'), ctypes.byref(out))
            check(status, 'there is no setting %s' % name)
            return (out.value or b'').decode()

    def list(self) -> Result:
        """name, value, default, unit, origin."""
        out = ctypes.c_void_p()
        with self._handle as pointer:
            call(lib.policy_list, pointer, ctypes.byref(out))
        return Result(out)

    def __iter__(self) -> Iterator[str]:
        return (row[0] for row in self.list())

    def __repr__(self) -> str:
        set_ = ('%r: %r' % (row['name'], row['value']) for row in self.list() if row['value'] != row['default'])
        return 'lapse.Policy({%s})' % ', '.join(set_)


def policy_of(policy: Any) -> Any:
    """A handle to be entered; of NULL for the defaults."""
    if policy is None:
        return Handle(None, lambda _: None, 'policy')
    return (policy if isinstance(policy, Policy) else Policy(policy))._handle
