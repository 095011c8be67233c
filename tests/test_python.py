"""The Python package: its declarations against headers, library and compiler; its answers against the command.
Events and errors: test_python_events.py; zones, files, threads: test_python_life.py; frames: test_python_frames.py."""
import csv
import ctypes
import datetime
import importlib.util
import io
import os
import re
import subprocess
from decimal import Decimal

from python_suite import ROOT, UTC, Skip, example, lapse, raises, suite  # first: it finds the others
import harness
import headers
from lapse import _errors, _lib


# ---- declarations ------------------------------------------------------------------------------------------------------


def case_declarations_are_those_of_the_headers():
    spec = importlib.util.spec_from_file_location('declare', os.path.join(ROOT, 'python', 'declare.py'))
    declare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(declare)
    with open(os.path.join(ROOT, 'python', 'lapse', '_declarations.py'), encoding='utf-8') as file:
        assert file.read() == declare.text(ROOT), 'a header has changed: run python3 python/declare.py'


def case_names_are_those_that_the_library_exports():
    try:
        out = subprocess.run(['nm', '-D', '--defined-only', lapse._library.path], check=True, capture_output=True, text=True)
    except OSError:
        raise Skip('there is no nm')
    exported = {line.split()[2].split('@')[0] for line in out.stdout.splitlines() if len(line.split()) == 3}
    exported = {name for name in exported if name.startswith('lapse_')}
    declared = set(_lib.declared.FUNCTIONS)
    assert exported == declared, 'only exported: %s; only declared: %s' % (exported - declared, declared - exported)
    assert all(hasattr(_lib.lib, name[len('lapse_'):]) for name in declared)


def kind_of(text):
    """What a C type must be to ctypes, written down once more: a code and a size, or 'pointer' and what to."""
    plain = {'int32_t': ('i', 4), 'uint32_t': ('I', 4), 'lapse_status': ('i', 4), 'int64_t': ('l', 8), 'uint64_t': ('L', 8),
             'double': ('d', 8), 'size_t': ('L', 8), 'uint8_t': ('B', 1), 'void': None, 'char': ('c', 1)}
    text = text.replace('const ', '').replace('struct ', '')
    if text in plain:
        return plain[text]
    if text.endswith('*'):
        return 'pointer', text[:-1].strip()
    return 'callback', text


def check_kind(kind, text, what):
    wanted = kind_of(text)
    if wanted is None:
        assert kind is None, what
    elif wanted[0] == 'pointer':
        assert ctypes.sizeof(kind) == ctypes.sizeof(ctypes.c_void_p), what
        if kind in (ctypes.c_void_p, ctypes.c_char_p):
            assert wanted[1] in ('void', 'char') or wanted[1] in _lib.declared.HANDLES, '%s: %s' % (what, wanted[1])
        elif wanted[1] not in ('char *', 'void *') and wanted[1].split(' ')[0] not in _lib.declared.HANDLES:
            pointed = kind._type_
            assert pointed.__name__ == wanted[1] or check_kind(pointed, wanted[1], what) is None, what
    elif wanted[0] == 'callback':
        assert kind is _lib.CALLBACKS[wanted[1]] if wanted[1] in _lib.CALLBACKS else issubclass(kind, ctypes._CFuncPtr), what
    else:
        signed = {'i': 'il', 'l': 'lq', 'I': 'IL', 'L': 'LQ'}.get(wanted[0], wanted[0])
        assert kind._type_ in signed and ctypes.sizeof(kind) == wanted[1], '%s: %s is %s' % (what, text, kind)


def case_types_are_those_of_the_headers():
    public = headers.read(os.path.join(ROOT, 'include'))
    functions = headers.items(public, 'function')
    assert len(functions) > 90
    for item in functions:
        function = getattr(_lib.lib, item.name[len('lapse_'):])
        assert len(function.argtypes) == len(item.members), item.name
        check_kind(function.restype, item.result, item.name)
        for argument, (name, text, count) in zip(function.argtypes, item.members):
            check_kind(argument, text + (' *' if count else ''), '%s: %s' % (item.name, name))
    for item in headers.items(public, 'callback'):
        kind = _lib.CALLBACKS[item.name]
        check_kind(kind._restype_, item.result, item.name)
        for argument, (name, text, _) in zip(kind._argtypes_, item.members):
            check_kind(argument, text, '%s: %s' % (item.name, name))


def case_structs_lie_as_the_compiler_lays_them():
    seen = 0
    with open(os.path.join(ROOT, 'abi', 'layout.h'), encoding='utf-8') as file:
        for line in file:
            m = re.match(r'SIZE\((\w+), (\d+)\)|FIELD\((\w+), (\w+), (\d+), (\d+),', line)
            if m[1]:
                assert ctypes.sizeof(_lib.STRUCTS[m[1]]) == int(m[2]), line
            else:
                field = getattr(_lib.STRUCTS[m[3]], m[4])
                assert (field.offset, field.size) == (int(m[5]), int(m[6])), line
            seen += 1
    assert seen > 200


def case_constants_are_those_of_the_headers():
    with open(os.path.join(ROOT, 'abi', 'constants.txt'), encoding='utf-8') as file:
        assert dict(line.split() for line in file) == {name: str(n) for name, n in _lib.declared.CONSTANTS.items()}
    assert lapse.KINDS['order.placed'] == 22 and lapse.CHANNELS['ads'] == 10 and lapse.PURPOSES['survey'] == 7
    assert set(_lib.STATUS.values()) - {'ok', 'done'} == set(_errors._BY_STATUS)


def case_rules_name_arguments_not_options():
    strings = 0
    for folder, _, names in os.walk(os.path.join(ROOT, 'lib')):
        for name in names:
            with open(os.path.join(folder, name), encoding='utf-8') as file:
                for said in re.findall(r'"(?:[^"\\\n]|\\.)*--[a-z](?:[^"\\\n]|\\.)*"', file.read()):
                    assert not re.search('--[a-z]', _errors.in_python(said)), said
                    strings += 1
    assert strings > 10
    store = lapse.open()
    for file, wanted in ((b'customer,time,amount\na,2024-01-01,x\n', 'skip_bad_rows=True leaves bad rows out'),
                         (b'customer,time,fun\na,2024-01-01,1\n', 'ignore_unknown=True leaves it out, map gives'),
                         (b'time\n2024-01-01\n', "map={'customer': COLUMN} reads another"),
                         (b'customer,time,amount\n--map,2024-01-01,-1\n', "negative='refund' reads")):
        error = raises(lapse.BadInput, lambda: store.import_csv(io.BytesIO(file)))
        assert wanted in str(error) and wanted.split(' ')[0] in str(error), str(error)
    rejects = []
    store.import_csv(io.BytesIO(b'customer,time,amount\na,2024-01-01,-1\n'), on_reject=rejects.append)
    assert "negative='refund'" in rejects[0].rule and '--' not in rejects[0].rule


# ---- answers -------------------------------------------------------------------------------------------------------------


def cases_answers_are_those_of_the_command():
    """Byte for byte, for every answer that both have, on events of all kinds."""
    events = suite.write('events.csv', 'customer,time,kind,amount,channel,purpose,topic,ref,value,endpoint,event_id\n'
                         'ann,2023-01-05T10:00:00Z,order.placed,10.50,,,,o1,,,1\n'
                         'ann,2023-03-05,order.placed,20,,,,o2,,,2\n'
                         'ann,2023-03-06,order.refunded,5.25,,,,o2,,,3\n'
                         'ann,2023-03-07,consent.granted,,email,marketing,,,,,4\n'
                         'ann,2023-03-08,endpoint.added,,email,,,,,ann@example.org,5\n'
                         'bob,2023-02-01,consent.requested,,email,marketing,,tok,,,6\n'
                         'bob,2023-02-01T00:30:00.000001Z,consent.confirmed,,email,marketing,,tok,,,7\n'
                         'bob,2023-02-02,consent.withdrawn,,email,marketing,,,,,8\n'
                         '"c,""1""",2023-05-01,order.placed,7,,,,,,,9\n'
                         'dora,2023-06-01,survey.answered,,,,,,4.5,,10\n'
                         'eve,2022-06-01,order.placed,1,,,,,,,11\neve,2022-08-01,order.placed,1,,,,,,,12\n')
    at, begin = '2023-07-01', '2022-07-01'
    asked = {
        'rfm': lambda v: v.rfm(), 'segments': lambda v: v.segments(), 'states': lambda v: v.states(),
        'states --channels': lambda v: v.channels(), 'consent': lambda v: v.consent(),
        'permit --purpose marketing': lambda v: v.permit('marketing'),
        'permit --purpose marketing --channel email --customer ann':
            lambda v: v.permit('marketing', channel='email', customer='ann'),
        'cohorts': lambda v: v.cohorts(), 'cohorts --every quarter': lambda v: v.cohorts('quarter', threads=2),
        'survival': lambda v: v.survival(), 'survival --basis activity': lambda v: v.survival(basis='activity'),
        'rfm --bins 3 --segments ' + suite.write('segments.csv', 'segment,r_min,r_max,f_min,f_max,m_min,m_max\nall,1,3,1,3,1,3\n'):
            lambda v: v.rfm(bins=3, segments='segment,r_min,r_max,f_min,f_max,m_min,m_max\nall,1,3,1,3,1,3\n'),
        'rfm --window 6m --frequency days --monetary mean --weights 3,2,1':
            lambda v: v.rfm(window='6m', frequency='days', monetary='mean', weights=(3, 2, 1)),
        'rfm --nested': lambda v: v.rfm(nested=True, threads=2),
        'states --set engagement.lost=3m --set engagement.inactive=2m --set engagement.risk=1m':
            lambda v: v.states(policy={'engagement.risk': '1m', 'engagement.inactive': '2m', 'engagement.lost': '3m'}),
    }
    for zone in ('UTC', 'Europe/Paris'):
        path = suite.path('answers-%s.lapse' % zone.replace('/', '-'))
        harness.lapse('create', path, '--zone', zone)
        harness.lapse('import', path, events)
        store = lapse.open(path)
        view = store.view(at)

        def compare(words, ask):
            words = words.split()
            expected = harness.lapse(words[0], path, '--as-of', at, *words[1:]).out.decode('utf-8')
            got = ask(view).to_csv()
            assert got == expected, '%s\n%s\n%s' % (words, got, expected)
            rows = list(csv.reader(io.StringIO(expected, newline='')))
            assert len(ask(view).table()) == len(rows) - 1 == sum(len(part) for part in ask(view).parts())

        for words, ask in asked.items():
            suite.run('answer %s, %s' % (words.split(' --segments')[0], zone), compare, words, ask)

        def churn():
            for words, more in (([], {}), (['--every', 'month'], {'every': 'month'}), (['--lost', 'inactive'], {'lost': 'inactive'})):
                expected = harness.lapse('churn', path, '--from', begin, '--to', at, *words).out.decode('utf-8')
                assert view.churn(begin, **more).to_csv() == expected
        suite.run('answer churn, ' + zone, churn)

        def others():
            assert view.history('ann').to_csv() == harness.lapse('history', path, 'ann').out.decode('utf-8')
            assert store.everything().events().to_csv() == harness.lapse('export', path).out.decode('utf-8')
            info = {row[0]: row[1] for row in harness.lapse('info', path).rows()[1:]}
            ours = store.info()
            assert str(ours['events']) == info['events'] and ours['zone'] == info['zone']
            assert lapse.format_time(ours['last_time']) == info['last_time']
        suite.run('answer history, events, info, ' + zone, others)


def case_items_are_what_python_has_for_them():
    store = lapse.open(currency='EUR')
    store.append([{'customer': 'ann', 'time': '2024-03-01T10:15:00.5Z', 'amount': Decimal('19.90'), 'quantity': '1.5'},
                  {'customer': 'bob', 'time': '2024-03-02'}])
    table = store.everything().events().table()
    assert table.columns == ['customer', 'time', 'kind', 'amount', 'quantity', 'source'], table.columns
    assert len(table) == 2 and 'time' in table and 'nothing' not in table
    amount = table['amount']
    assert (amount.type, amount.digits, amount.missing, len(amount)) == ('money', 2, 1, 2)
    assert amount[0] == Decimal('19.90') and str(amount[0]) == '19.90' and amount[-1] is None
    assert amount.to_list() == [Decimal('19.90'), None] == list(amount) == amount[0:2]
    assert amount[::-1] == [None, Decimal('19.90')] and amount[5:] == []
    assert table['quantity'][0] == Decimal('1.5')
    assert table['time'][0] == datetime.datetime(2024, 3, 1, 10, 15, 0, 500000, UTC)
    assert table['time'][0].tzinfo is not None
    ann, bob = table
    assert ann['amount'] == ann.amount == ann[3] and bob.amount is None and ann.asdict()['customer'] == 'ann'
    assert repr(bob).startswith("Row(customer='bob', time=datetime.datetime(2024, 3, 2")
    raises(IndexError, lambda: amount[2])
    raises(KeyError, lambda: table['none'])
    raises(KeyError, lambda: ann['none'])
    raises(AttributeError, lambda: ann.none)
    assert table.to_dict()['customer'] == ['ann', 'bob']
    share = list(store.view().segments())[0]
    assert isinstance(share.customers, int) and isinstance(share.customer_share, float)
    assert '2 rows' in repr(table) and 'money' in repr(amount) and 'in memory' in repr(store)


def case_an_answer_is_read_once():
    with example() as store:
        result = store.view().rfm()
        assert result.columns[:2] == ['customer', 'last_order'] and len(result.notes) >= 0
        assert len(list(result)) == 12
        for again in (result.table, result.to_csv, lambda: list(result), result.__arrow_c_stream__, result.__arrow_c_schema__):
            assert 'read' in str(raises(ValueError, again))
        target = suite.path('rfm.csv')
        assert store.view().rfm().to_csv(target) is None
        with open(target, 'rb') as file:
            assert file.read().decode() == store.view().rfm().to_csv()
        out = io.BytesIO()
        store.view().rfm().to_csv(out)
        assert out.getvalue().decode() == store.view().rfm().to_csv()
        with store.view().rfm() as closed:
            pass
        raises(ValueError, closed.table)


def case_notes_are_told():
    store = lapse.open()
    store.append([{'customer': 'a', 'time': '2024-01-01', 'kind': 'session.started'}, {'customer': 'b', 'time': '2024-01-01'}])
    assert any('1' in note for note in store.view().rfm().notes), store.view().rfm().notes


def case_decisions():
    store = lapse.open()
    store.append([{'customer': 'ann', 'time': '2024-01-01', 'kind': 'consent.granted', 'channel': 'email', 'purpose': 'marketing'},
                  {'customer': 'bob', 'time': '2024-01-01', 'kind': 'consent.withdrawn', 'channel': 'email', 'purpose': 'marketing'}])
    view = store.view()
    ann, bob = (view.permit_one(name, 'email', 'marketing') for name in ('ann', 'bob'))
    assert ann.allowed and ann.reasons == () and ann.reason is None and ann.until is None
    assert not bob.allowed and bob.reason == 'consent_withdrawn' and 'consent_withdrawn' in bob.reasons
    for row in view.permit('marketing'):
        one = view.permit_one(row.customer, row.channel, 'marketing')
        assert (row.decision, row.reason, row.reasons) == (one.decision, one.reason, '|'.join(one.reasons) or None), (row, one)
    assert not view.permit_one('nobody', 'sms', 'marketing').allowed
    raises(ValueError, view.permit_one, 'ann', 'pigeon', 'marketing')
    raises(ValueError, view.permit, 'nonsense')


def case_formulas():
    assert lapse.rate(1, 3).value == 1 / 3 and lapse.rate(1, 0).value is None
    raises(lapse.Invalid, lapse.rate, 1, -1)
    assert abs(lapse.rate_convert(0.05, 1, 12) - 0.4596) < 1e-4
    assert lapse.rate_life(0.05, 1) == 20 and abs(lapse.rate_hazard(0.5, 1) - 0.6931471805599453) < 1e-15
    lower, upper = lapse.rate_interval(5, 10)
    assert 0.2365 < lower < 0.2367 and 0.7633 < upper < 0.7635
    curve = lapse.survival_fit([1, 2, 2, 4], [True, False, True, 1]).table()
    assert curve['survival'].to_list() == [0.75, 0.5, 0.0] and curve['censored'][1] == 1
    time_, survival = curve['time'].to_list(), curve['survival'].to_list()
    assert lapse.survival_quantile(time_, survival) == 2 and lapse.survival_quantile([1], [0.9]) is None
    mean, variance = lapse.survival_mean(time_, survival, 4, curve['at_risk'], curve['lost'])
    assert mean == 1 + 0.75 + 0.5 * 2 and variance > 0
    assert lapse.survival_mean(time_, survival, 4)[1] != lapse.survival_mean(time_, survival, 4)[1]  # NaN
    raises(ValueError, lapse.survival_fit, [1, 2], [1])
    assert raises(lapse.Invalid, lapse.survival_fit, [1, float('nan')]).status == 'invalid'
    assert lapse.parse_time('2024-03-31T12:00', 'Europe/Paris') == datetime.datetime(2024, 3, 31, 10, tzinfo=UTC)
    assert lapse.format_time(datetime.datetime(2024, 3, 1, 10, 15, tzinfo=UTC)) == '2024-03-01T10:15:00Z'
    raises(ValueError, lapse.format_time, datetime.datetime(2024, 3, 1))


suite.run_all(globals())
suite.end()
