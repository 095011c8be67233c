"""Customer retention in a library: scores, segments, states, consent and churn from what customers did.

    import lapse

    with lapse.open() as store:
        store.import_csv('orders.csv')
        for row in store.view().rfm():
            print(row.customer, row.segment, row.monetary)

Times are aware datetimes in UTC, money is Decimal, what is unknown is None. The tutorial is docs/python.md.
"""
from ._errors import (BadInput, Busy, Cancelled, Damaged, ErasePending, Error, Forked, Invalid, IOFailure, NoMemory,
                      NotFound, Overflow, ReadOnly, Stale, Unsupported)
from ._formulas import (Rate, rate, rate_convert, rate_hazard, rate_interval, rate_life, survival_fit, survival_mean,
                        survival_quantile)
from ._lib import lib as _library
from ._policy import Policy
from ._rfm import Cuts, Scores, rfm_score
from ._store import Counts, Forgotten, Reject, Store, Verification, open
from ._tables import Column, Result, Row, Table
from ._values import CHANNELS, KINDS, PLATFORMS, PURPOSES, Zone, format_time, parse_time, zone_of
from ._view import Decision, View

__version__: str = _library.version_string().decode()

__all__ = [
    'BadInput', 'Busy', 'CHANNELS', 'Cancelled', 'Column', 'Counts', 'Cuts', 'Damaged', 'Decision', 'ErasePending',
    'Error', 'Forgotten', 'Forked', 'IOFailure', 'Invalid', 'KINDS', 'NoMemory', 'NotFound', 'Overflow',
    'PLATFORMS', 'PURPOSES', 'Policy', 'Rate', 'ReadOnly', 'Reject', 'Result', 'Row', 'Scores', 'Stale', 'Store',
    'Table', 'Unsupported', 'Verification', 'View', 'Zone', 'format_time', 'open', 'parse_time', 'rate',
    'rate_convert', 'rate_hazard', 'rate_interval', 'rate_life', 'rfm_score', 'survival_fit', 'survival_mean',
    'survival_quantile', 'zone_of',
]
