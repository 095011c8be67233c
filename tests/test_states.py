"""`states`, `states --channels`, `consent` and `permit` of the command against tests/reference_state.py.

    python3 test_states.py LAPSE [--histories N] [--seed S] [--doubts] [--keep-going] [--reading NAME=VALUE] [part of a name ...]

Random histories go in batches of 20 side by side in one file; every cell of every answer is compared. What differs is
printed with a minimal history, made by taking away lines and cells. --doubts adds what no text decides. --keep-going
shrinks the first few differences of each answer and counts the others. --reading sets one of CHOICES in
reference_state.py.
"""
import random
import sys

sys.dont_write_bytecode = True


def option(name, default, takes=True):
    if name not in sys.argv:
        return default
    at = sys.argv.index(name)
    value = type(default)(sys.argv[at + 1]) if takes else True
    del sys.argv[at:at + (2 if takes else 1)]
    return value


HISTORIES, SEED = option('--histories', 400), option('--seed', 1)
DOUBTS, KEEP_GOING = option('--doubts', False, takes=False), option('--keep-going', False, takes=False)

READINGS = []
while '--reading' in sys.argv:
    READINGS.append(option('--reading', '').split('='))

import histories  # noqa: E402
import reference  # noqa: E402
import reference_state as R  # noqa: E402
import test_reference_state as by_hand  # noqa: E402
from harness import Skip, lapse, new_store, same, suite  # noqa: E402

for name, value in READINGS:
    assert name in R.CHOICES, name
    R.CHOICES[name] = {'True': True, 'False': False}.get(value, value)

BATCH = 20
ZONES = ['+00:00', '+00:00', '+00:00', '+05:30', '-08:00', 'Europe/Paris']
LATEST = ['--received-at', '2990-01-01']             # deadlines may lie in the future of the machine


def skip():
    raise Skip('the command has no `states` yet')


def ready(name):
    """Whether the command can be asked; if not, one case is skipped in place of all."""
    there = lapse('help', 'states', exit=None).code == 0
    if not there:
        suite.run(name, skip)
    return there


# ---- a question, for the command and for the reference --------------------------------------------------------------------

class Question:
    def __init__(self, answer, as_of, settings, zone, **options):
        self.answer, self.as_of, self.settings, self.zone, self.options = answer, as_of, settings, zone, options

    def words(self):
        out = ['--format', 'csv']
        if self.as_of is not None:
            out += ['--as-of', self.as_of if isinstance(self.as_of, str) else reference.format_time(self.as_of)]
        for name, value in self.settings.items():
            out += ['--set', '%s=%s' % (name, value)]
        if self.answer == 'channels':
            out.append('--channels')
        for name, value in self.options.items():
            out += ['--' + name, value]
        return out

    def command(self, place, more=()):
        name = 'states' if self.answer == 'channels' else self.answer
        return lapse(name, place, *self.words(), *more, exit=None)

    def of_file(self, path):
        return self.command(path, ['--zone', self.zone, '--source', 'file', *LATEST])

    def reference(self, view):
        asks = {'states': R.states, 'channels': R.channels, 'consent': R.consent, 'permit': R.permit}[self.answer]
        return asks(view, policy=R.Policy(self.settings), **self.options)

    def __str__(self):
        return ' '.join([self.answer, '--zone', self.zone] + self.words()[2:])


def view_of(rows, zone, as_of):
    store = reference.Store(zone)
    store.import_events(R.read_events(histories.render(rows).encode(), 'file', zone=store.zone))
    return R.View(store, as_of)


# ---- making a history small --------------------------------------------------------------------------------------------

def differs(rows, question):
    path = suite.write('shrink.csv', histories.render(rows))
    ran = question.of_file(path)
    if ran.code != 0:
        return None                                  # rows that are refused show nothing
    got, expected = ran.rows(), question.reference(view_of(rows, question.zone, question.as_of))
    return (got, expected) if got != expected else None


def shrink(rows, question, limit=600):
    """Fewer lines, then fewer cells, as long as the answers differ."""
    runs, size = 0, max(1, len(rows) // 2)
    while runs < limit:
        smaller = False
        for at in range(0, len(rows), size):
            less = rows[:at] + rows[at + size:]
            runs += 1
            if less and differs(less, question):
                rows, smaller = less, True
                break
        if not smaller:
            if size == 1:
                break
            size //= 2
    for n in range(len(rows)):
        for column in reference.COLUMNS[3:]:
            if rows[n][column] and runs < limit:
                less = rows[:n] + [{**rows[n], column: ''}] + rows[n + 1:]
                runs += 1
                if differs(less, question):
                    rows = less
    return sorted(rows, key=lambda row: (row['customer'], row['_time']))


def describe(rows, question):
    rows = shrink(rows, question)
    got, expected = differs(rows, question)
    used = [c for c in reference.COLUMNS if any(row[c] for row in rows)]
    try:
        same(got, expected, 'smallest')
    except AssertionError as e:
        detail = str(e)
    return 'lapse %s\n%s\n%s\n%s' % (question, histories.render(rows, used), ','.join(expected[0]), detail)


# ---- random histories -----------------------------------------------------------------------------------------------------

def questions(rng, rows, asked, settings, zone):
    for as_of in [rng.choice(asked) for _ in range(2)] + [None]:
        at = (as_of, settings, zone)
        for answer in ('states', 'channels', 'consent'):
            yield Question(answer, *at)
        for purpose in reference.PURPOSES:
            yield Question('permit', *at, purpose=purpose)
        for _ in range(3):
            options = {'purpose': rng.choice(reference.PURPOSES)}
            if rng.random() < 0.6:
                options['channel'] = rng.choice(reference.CHANNELS)
            if rng.random() < 0.6:
                options['topic'] = rng.choice(['shoes', 'Ä', 'hats'])
            if rng.random() < 0.4:
                options['customer'] = rng.choice([rng.choice(rows)['customer'], 'nobody'])
            yield Question('permit', *at, **options)


def draw_batch(seed, raw=True, focus=None):
    rng = histories.seeded(seed)
    settings = histories.draw_policy(rng)
    while True:
        rows, asked = histories.draw(rng, BATCH, DOUBTS, focus, raw, R.Policy(settings))
        if rows:
            return rng, settings, rows, asked


told = {}


def batch(seed):
    rng, settings, rows, asked = draw_batch(seed)
    zone = rng.choice(ZONES)
    path = suite.write('batch.csv', histories.render(rows))
    views = {}
    for question in questions(rng, rows, asked, settings, zone):
        if question.as_of not in views:
            views[question.as_of] = view_of(rows, zone, question.as_of)
        ran = question.of_file(path)
        assert ran.code == 0, 'seed %d: %s' % (seed, ran)
        got, expected = ran.rows(), question.reference(views[question.as_of])
        if got == expected:
            continue
        if not KEEP_GOING:
            raise AssertionError('seed %d\n%s' % (seed, describe(rows, question)))
        count = told[question.answer] = told.get(question.answer, 0) + 1
        if count <= 3:
            print('seed %d\n%s\n' % (seed, describe(rows, question)), flush=True)


def cases_of_random_histories():
    if not ready('random histories'):
        return
    for n in range((HISTORIES + BATCH - 1) // BATCH):
        suite.run('batch %d' % (SEED + n), batch, SEED + n)
    if told:
        print('differences: %s' % told, flush=True)


# ---- by hand -----------------------------------------------------------------------------------------------------------------

def case_reference_by_hand():
    assert by_hand.check() == 0


def cases_of_examples():
    if not ready('examples'):
        return
    for name, data, answer, options, columns, wanted in by_hand.EXAMPLES:
        suite.run('example: ' + name, example, data, answer, options, columns, wanted)


def example(data, answer, options, columns, wanted):
    options = dict(options)
    question = Question(answer, options.pop('as_of'), options.pop('settings', {}), options.pop('zone', '+00:00'))
    where = options.pop('where', None)
    question.options = options
    ran = question.of_file(suite.write('example.csv', data))
    assert ran.code == 0, ran
    same(by_hand.chosen(ran.rows(), columns, where), wanted, str(question) + '\n' + data)


# ---- what may change nothing --------------------------------------------------------------------------------------------

def all_questions(as_of, settings):
    out = [Question(answer, as_of, settings, '+00:00') for answer in ('states', 'channels', 'consent')]
    return out + [Question('permit', as_of, settings, '+00:00', purpose=p) for p in reference.PURPOSES]


def answers(store, as_of, settings):
    out = []
    for question in all_questions(as_of, settings):
        ran = question.command(store)
        assert ran.code == 0, ran
        out.append(ran.out)
    return out


def identified(rows):
    return [{**row, 'event_id': row['event_id'] or 'n%d' % n} for n, row in enumerate(rows)]


def stored(name, *files):
    store = new_store(name)
    for n, rows in enumerate(files):
        if rows:
            lapse('import', store, suite.write('%s-%d.csv' % (name, n), histories.render(rows)), '--source', 'file', *LATEST)
    return store


def unchanged(got, expected, what, rows):
    if got != expected:
        raise AssertionError('%s changes an answer; events:\n%s' % (what, histories.render(rows)))


def arrivals(seed):
    """Shuffled, doubled, in pieces, late, with a future: the same events, the same answers."""
    rng, settings, rows, asked = draw_batch(seed, raw=False)
    rows = identified(rows)
    as_of = rng.choice(asked)
    shuffled, again = list(rows), list(rows) + rng.sample(rows, len(rows) // 2)
    rng.shuffle(shuffled)
    rng.shuffle(again)
    expected = answers(stored('base', rows), as_of, settings)
    unchanged(answers(stored('shuffled', shuffled), as_of, settings), expected, 'shuffling', rows)
    unchanged(answers(stored('doubled', again, rows), as_of, settings), expected, 'doubling', rows)
    cuts = sorted(rng.randint(0, len(rows)) for _ in range(4))
    pieces = [shuffled[a:b] for a, b in zip([0] + cuts, cuts + [len(rows)])]
    unchanged(answers(stored('pieces', *pieces), as_of, settings), expected, 'cutting', rows)
    late = sorted(rows, key=lambda row: -row['_time'])
    unchanged(answers(stored('late', late[:len(late) // 2], late[len(late) // 2:]), as_of, settings), expected, 'lateness', rows)
    past = [row for row in rows if row['_time'] <= as_of]
    unchanged(answers(stored('past', past), as_of, settings), expected, 'the future', rows)
    compacted = new_store('compacted')
    out = suite.write('out.csv', lapse('export', stored('again', rows), '--format', 'csv').out)
    lapse('import', compacted, out, *LATEST)
    unchanged(answers(compacted, as_of, settings), expected, 'export and import', rows)


CONSENT = ('consent.', 'preference.', 'sms.keyword')


def of_file(rows, question):
    ran = question.of_file(suite.write('meta.csv', histories.render(rows)))
    assert ran.code == 0, ran
    return [dict(zip(ran.rows()[0], row)) for row in ran.rows()[1:]]


def allowed(rows, as_of, settings, topic=None):
    out = set()
    for purpose in reference.PURPOSES:
        more = {'topic': topic} if topic else {}
        out |= {(row['customer'], row['channel'], purpose) for row in of_file(
            rows, Question('permit', as_of, settings, '+00:00', purpose=purpose, **more)) if row['decision'] == 'allow'}
    return out


def added(rng, rows, asked, kind, n, **more):
    """Events of a kind for customers that are there, at any instants, some of them of the history itself."""
    times, out = [row['_time'] for row in rows] + asked, []
    for m in range(n):
        row = dict.fromkeys(reference.COLUMNS, '')
        row.update(customer=rng.choice(rows)['customer'], kind=kind, channel=rng.choice(['email', 'email', 'sms', 'in_app']),
                   purpose=rng.choice(['', 'marketing', 'survey', 'profiling']), event_id='added-%d' % m, _time=rng.choice(times))
        row.update({name: rng.choice(values) for name, values in more.items()})
        row['time'] = reference.format_time(row['_time'])
        out.append(row)
    return out


def independence(seed):
    """I2, I5, I6, I7, I9, I10 as properties of the command alone."""
    rng, settings, rows, asked = draw_batch(seed, focus=random.Random(seed).choice([None, 'consent', 'consent', 'mixed']))
    rows = identified(rows)
    as_of = rng.choice(asked)
    ask = lambda answer, **options: Question(answer, as_of, settings, '+00:00', **options)  # noqa: E731

    # I2: consents move no clock, and activity moves no consent.
    clocks = 'stage stage_max engagement next_deadline purchase_clock last_purchase last_activity last_contact account'.split()
    without = [row for row in rows if not row['kind'].startswith(CONSENT) and row['kind'] != 'event.retracted']
    kept = [row for row in rows if row['kind'] != 'event.retracted']
    if without:
        before = {row['customer']: [row[c] for c in clocks] for row in of_file(kept, ask('states'))}
        for row in of_file(without, ask('states')):
            assert before[row['customer']] == [row[c] for c in clocks], 'consents move a clock:\n' + histories.render(kept)
    quiet = [row for row in kept if row['kind'] not in R.VISITS | R.ACTIVITIES or row['kind'] == 'app.installed']
    if quiet and not any(name.startswith('implied.') for name in settings):
        assert of_file(quiet, ask('consent')) == of_file(kept, ask('consent')), 'activity moves a consent:\n' + histories.render(kept)
    # I10: neither do bounces move consents, nor what is asked or declined an endpoint.
    calm = [row for row in kept if row['kind'] not in ('message.bounced', 'message.delivered')]
    if calm:
        assert of_file(calm, ask('consent')) == of_file(kept, ask('consent')), 'bounces move a consent:\n' + histories.render(kept)
    # I9: what is transactional does not depend on consents at all.
    mute = [row for row in kept if not row['kind'].startswith(CONSENT)]
    there = {row['customer'] for row in mute}
    if mute:
        transactional = ask('permit', purpose='transactional')
        full = [row for row in of_file(kept, transactional) if row['customer'] in there]
        known = {row['customer'] for row in of_file(mute, transactional)}
        assert [row for row in full if row['customer'] in known] == of_file(mute, transactional), \
            'consents move what is transactional:\n' + histories.render(kept)

    before = {topic: allowed(rows, as_of, settings, topic) for topic in (None, 'shoes')}
    known = {row['customer'] for row in of_file(rows, ask('states'))}
    for what, kind, more in (('a withdrawal', 'consent.withdrawn', {'reason': ['', 'price'], 'topic': ['', '', 'shoes']}),
                             ('a spam report', 'message.spam_reported', {'purpose': ['']}),
                             ('an objection', 'consent.objected', {}), ('a STOP', 'sms.keyword', {'reason': ['stop']})):
        extra = rows + added(rng, rows, asked, kind, 4, **more)
        for topic in before:
            grown = {a for a in allowed(extra, as_of, settings, topic) - before[topic] if a[0] in known}
            assert not grown, '%s allows %s\n%s' % (what, sorted(grown), histories.render(extra))       # I5
    extra = rows + added(rng, rows, asked, 'consent.requested', 6, ref=['new'], topic=['', '', 'shoes'])
    for topic in before:
        other = {a for a in allowed(extra, as_of, settings, topic) ^ before[topic] if a[0] in known}
        assert not other, 'asking again changes %s\n%s' % (sorted(other), histories.render(extra))      # I7
    key = lambda row: (row['customer'], row['channel'], row['purpose'], row['topic'])  # noqa: E731
    off = {key(row) for row in of_file(rows, ask('consent')) if row['state'] in ('declined', 'withdrawn')}
    extra = rows + added(rng, rows, asked, 'consent.imported', 12, evidence=['form'], topic=['', '', 'shoes'])
    still = {key(row) for row in of_file(extra, ask('consent')) if row['state'] in ('declined', 'withdrawn')}
    assert off <= still, 'an import lifts %s\n%s' % (sorted(off - still), histories.render(extra))      # I6


def cases_of_metamorphoses():
    if not ready('metamorphoses'):
        return
    for n in range(max(2, HISTORIES // BATCH // 5)):
        suite.run('arrivals %d' % (SEED + n), arrivals, 10_000_000 + SEED + n)
        suite.run('independence %d' % (SEED + n), independence, 20_000_000 + SEED + n)


suite.run_all(globals())
suite.end()
