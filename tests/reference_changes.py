"""What `lapse advance` must tell, computed a second time in the most obvious way.

States are those of reference_state.py at the instant; nothing is kept but what was told. Since when a state is so is found by
looking at the customer's events, as they are seen now, from every instant at which anything could have changed.
"""
import reference_state as R
from reference import format_time

COLUMNS = 'seq customer region key from to effective_time cause corrected'.split()
REGIONS = 'stage engagement purchase account rights consent endpoint'.split()       # V2, those that are there
INITIAL = {'stage': 'reach', 'engagement': 'new', 'purchase': 'new', 'account': 'open', 'rights': 'none', 'consent': 'none',
           'endpoint': 'ok'}


def endpoint_state(h, policy, key):
    channel, address = key
    return dict(R.endpoints(h, policy)[channel].rows()).get(address, 'ok')


def states_of(h, policy):
    """(region, key) -> state, but those that are as at the beginning."""
    out = {('stage', ()): R.stage_now(h.own, policy), ('engagement', ()): R.engagement(h, policy)['engagement'],
           ('purchase', ()): R.purchase(h, policy)['purchase_clock'], ('account', ()): R.account(h, policy)['account'],
           ('rights', ()): R.rights(h, policy)['rights']}
    for key, cell in R.consent_cells(h, policy).items():
        out[('consent', key)] = cell[0]
    for channel in R.CHANNELS:
        for address, state in R.endpoints(h, policy)[channel].rows():
            out[('endpoint', (channel, address))] = state
    return {key: state for key, state in out.items() if state != INITIAL[key[0]]}


def state_of(h, policy, region, key):
    if not h.own:
        return INITIAL[region]
    if region == 'endpoint':
        return endpoint_state(h, policy, key)
    one = {'stage': lambda: R.stage_now(h.own, policy), 'engagement': lambda: R.engagement(h, policy)['engagement'],
           'purchase': lambda: R.purchase(h, policy)['purchase_clock'], 'account': lambda: R.account(h, policy)['account'],
           'rights': lambda: R.rights(h, policy)['rights']}
    return one[region]()


def began(h, policy, region, key, state):
    """Effective time and cause (V8)."""
    first = (h.own[0].time, h.own[0].kind)
    if region == 'consent':                                                         # C2, C3: as `consent` prints it
        cells, _ = R.consents(h, policy)
        if state == 'none':
            return first
        if state == 'expired':
            return R.implied(h, key[0], policy)[1], 'timer'
        event = R.implied(h, key[0], policy)[2] if state == 'implied' else cells[key].began()[0]
        return event.time, event.kind
    events = h.seen if region == 'endpoint' else h.own      # C24: with what others who hold an address said
    times = {e.time for e in events}
    if region in ('engagement', 'purchase'):
        for e in h.own:
            times |= {end for _, end in R.deadlines(region, e.time, policy, h.zone) if end <= h.as_of}

    def seen(some, instant):
        return state_of(R.History(h.customer, some, instant, h.zone), policy, region, key)

    entered = None
    for time in sorted(times, reverse=True):
        if seen([e for e in events if e.time <= time], time) != state:
            break
        entered = time
    else:
        if state == INITIAL[region]:
            return first
    before = [e for e in events if e.time < entered]
    here = [e for e in events if e.time == entered]
    if seen(before, entered) == state or not here:
        return entered, 'timer'
    if region == 'endpoint':                         # several facts may meet in one instant: any of these
        return entered, '|'.join(sorted({e.kind for e in here}))
    if region == 'purchase':
        return entered, here[turning(before, here, policy)].kind
    cause = None
    for n in range(len(here)):
        now = (stage_by(before, here, n, policy) if region == 'stage' else seen(before + here[:n + 1], entered)) == state
        cause = (cause or here[n]) if now else None
    return entered, cause.kind


ORDERS = ('order.placed', 'order.cancelled', 'order.refunded')


def turning(before, here, policy):
    """Orders are seen as an instant leaves them (M8). Which of its events changed the last valid order: the last line, where
    that is a later one; else the last event about orders. None: it is the same."""
    last = [max((time for time, _ in R.valid_orders(events, policy)), default=-10 ** 18) for events in (before, before + here)]
    acting = [n for n, e in enumerate(here) if e.kind in ORDERS]
    lines = [n for n in acting if here[n].kind == 'order.placed']
    return None if last[0] == last[1] else (lines if last[1] > last[0] and lines else acting)[-1]


def stage_by(before, here, n, policy):
    """The stage after event n of an instant."""
    at = turning(before, here, policy)
    buys = bool(R.valid_orders(before + here if at is not None and n >= at else before, policy))
    events = before + here[:n + 1]
    if buys:
        advocates = R.stage_now([e for e in events if e.kind not in ORDERS] + [always()], policy) == 'loyalty'
        return 'loyalty' if advocates else 'retention'
    if any(e.kind == 'customer.registered' for e in events):
        return 'conversion'
    return 'acquisition' if any(e.kind in R.VISITS for e in events) else 'reach'


def always():
    """A line of an order that is valid."""
    return R.read_events(b'customer,time,amount\nx,2024-01-01,1\n', 'x')[0]


def printed(region, key):
    return '/'.join(key) if region in ('consent', 'endpoint') else ''


class Teller:
    """What a store keeps beside its events."""

    def __init__(self):
        self.told, self.pending, self.seq, self.last, self.policy = {}, [], 0, None, None

    def advance(self, histories, as_of, settings, baseline=False):
        policy, found = R.Policy(settings), []
        adopts = self.last is not None and policy.text != self.policy               # V3; a default said is no other policy
        for h in histories:
            now = states_of(h, policy)
            was = self.told.get(h.customer, {})
            for region, key in now.keys() | was.keys():
                old = was.get((region, key), INITIAL[region])
                new = now.get((region, key), INITIAL[region])
                if old != new and not baseline:
                    time, cause = began(h, policy, region, key, new)
                    found.append((time, h.customer.encode(), REGIONS.index(region), printed(region, key).encode(),
                                  [h.customer, region, printed(region, key), old, new, format_time(time),
                                   'policy' if adopts else cause, str(int(self.last is not None and time <= self.last))]))
            self.told[h.customer] = now
        for record in sorted(found, key=lambda f: f[:4]):                           # V5
            self.seq += 1
            self.pending.append([str(self.seq)] + record[4])
        self.last, self.policy = as_of, policy.text
        return [COLUMNS] + ([] if baseline else self.pending)                       # V6

    def acknowledge(self, seq):
        self.pending = [record for record in self.pending if int(record[0]) > seq]
