"""Tries the tests of the states: python3 mutants.py SOURCE_DIR [NAME ...]

Each rule below is a wrong one: what an article can be read to say, what a peer does, what a slip of the pen would make of
semantics.md. It is put into a copy of the tree, and one of the tests must fail. With names, only these are tried.
"""
import os
import shutil
import subprocess
import sys
import tempfile

TESTS = ['test_state', 'test_state_consent', 'test_state_endpoints', 'test_state_calls', 'test_state_laws', 'test_state_all']
CONSENT, ENDPOINT, CLOCK = 'lib/state/consent.c', 'lib/state/endpoint.c', 'lib/state/clock.c'
TIMER, ORDER = 'lib/view/clock.c', 'lib/view/order.c'
GATE, WHOLE, KIND = 'lib/state/gate.c', 'lib/state/whole.c', 'lib/event/kind.c'

# Name, and the changes: file, what stands there once, what shall.
MUTANTS = [
    # consent: what mail programs and their users complain about
    ('an import brings back who left (listmonk 2008)',
     (CONSENT, 'ROW(GRANTED,   DECLINED,  GRANTED,   WITHDRAWN)', 'ROW(GRANTED,   DECLINED,  GRANTED,   GRANTED)')),
    ('an import brings back who declined',
     (CONSENT, 'ROW(GRANTED,   DECLINED,  GRANTED,   WITHDRAWN)', 'ROW(GRANTED,   GRANTED,   GRANTED,   WITHDRAWN)')),
    ('an import needs no evidence', (CONSENT, 'rules->needs_evidence && ', 'false && ')),
    ('asking again takes consent back (listmonk 2987)',
     (CONSENT, 'if (effect == LAPSE_EFFECT_REQUESTED) {',
      'if (effect == LAPSE_EFFECT_REQUESTED && cell->base == LAPSE_CONSENT_GRANTED) change_base(cell, LAPSE_CONSENT_NONE, e);\n'
      '    if (effect == LAPSE_EFFECT_REQUESTED) {')),
    ('asking grants', (CONSENT, 'ROW(NONE,      DECLINED,  GRANTED,   WITHDRAWN)',
                       'ROW(GRANTED,      DECLINED,  GRANTED,   WITHDRAWN)'),
     (CONSENT, '        return ok;\n    }\n    if (effect == LAPSE_EFFECT_CONFIRMED)', '        if (!ok) return ok;\n    }\n'
      '    if (effect == LAPSE_EFFECT_CONFIRMED)')),
    ('a confirmation needs no request', (CONSENT, 'if (!t || !is_open(t, cell, rules, e->time))', 'if (t && t->used)'),
     (CONSENT, '        t->used = true;', '        if (t) t->used = true;')),
    ('a token confirms for ever', (CONSENT, '        t->used = true;\n', '')),
    ('a refusal leaves tokens open',
     (CONSENT, 'if (effect == LAPSE_EFFECT_DECLINED || effect == LAPSE_EFFECT_WITHDRAWN)', 'if (effect == LAPSE_EFFECT_WITHDRAWN)')),
    ('a withdrawal leaves tokens open',
     (CONSENT, 'if (effect == LAPSE_EFFECT_DECLINED || effect == LAPSE_EFFECT_WITHDRAWN)', 'if (effect == LAPSE_EFFECT_DECLINED)')),
    ('a token ends before its limit', (CONSENT, 'time <= lapse_rules_add', 'time < lapse_rules_add')),
    ('a refusal after consent is a mere refusal',
     (CONSENT, 'ROW(DECLINED,  DECLINED,  WITHDRAWN, WITHDRAWN)', 'ROW(DECLINED,  DECLINED,  DECLINED, WITHDRAWN)')),
    ('a refusal forgets the withdrawal',
     (CONSENT, 'ROW(DECLINED,  DECLINED,  WITHDRAWN, WITHDRAWN)', 'ROW(DECLINED,  DECLINED,  WITHDRAWN, DECLINED)')),
    ('who left cannot return (Mailchimp)',
     (CONSENT, '[LAPSE_EFFECT_GRANTED]   = ROW(GRANTED,   GRANTED,   GRANTED,   GRANTED)',
      '[LAPSE_EFFECT_GRANTED]   = ROW(GRANTED,   GRANTED,   GRANTED,   WITHDRAWN)')),
    ('software that follows links unsubscribes people',
     (CONSENT, 'lapse_event_says(e, LAPSE_F_REASON, "unverified") ? LAPSE_EFFECTS', 'false ? LAPSE_EFFECTS')),
    ('consent wins ties', (KIND, '#define RANK_WITHDRAWN 40', '#define RANK_WITHDRAWN 32')),
    ('a topic turned off leaves the channel (Mautic 2358)',
     (CONSENT, 'LAPSE_KIND_PREFERENCE_SET,        LAPSE_EFFECT_GRANTED,   ALL_COLUMNS',
      'LAPSE_KIND_PREFERENCE_SET,        LAPSE_EFFECT_GRANTED,   CHANNEL | PURPOSE')),
    ('closing the account keeps advertising',
     (CONSENT, '1u << LAPSE_PURPOSE_PROFILING | 1u << LAPSE_PURPOSE_AD_AUDIENCE |', '1u << LAPSE_PURPOSE_PROFILING |')),
    ('a bounce withdraws (Keila, MailPoet)',
     (CONSENT, '    { LAPSE_KIND_CONSENT_OBJECTED,      LAPSE_EFFECT',
      '    { LAPSE_KIND_MESSAGE_BOUNCED, LAPSE_EFFECT_WITHDRAWN, CHANNEL, 0, MARKETING },\n'
      '    { LAPSE_KIND_CONSENT_OBJECTED,      LAPSE_EFFECT'),
     (CONSENT, 'static const uint8_t kinds[] = {', 'static const uint8_t kinds[] = { LAPSE_KIND_MESSAGE_BOUNCED,')),
    ('a purchase is consent after a refusal',
     (WHOLE, 'if (cell && cell->base != LAPSE_CONSENT_NONE) {', 'if (cell && cell->base > LAPSE_CONSENT_DECLINED) {')),
    ('a second grant moves since',
     (CONSENT, 'if (base != cell->base)\n', 'if (base != cell->base || effect == LAPSE_EFFECT_GRANTED)\n')),
    # engagement, purchases, stage: words that articles mix up
    ('six months are not yet over on the day', (TIMER, 'time >= lapse_clock_deadline(clock, state, last)', 'time > lapse_clock_deadline(clock, state, last)')),
    ('an opened message is activity (Apple opens them all)', (TIMER, 'if (lapse_policy_value(policy, LAPSE_SET_ACTIVITY_OPENS).n)', 'if (true)')),
    ('a click by software is activity', (TIMER, '"bot", 3)', '"box", 3)')),
    ('an activity at the deadline comes too late', (CLOCK, 't->last, time - 1)', 't->last, time)')),
    ('unsubscribing ends activity',
     (CLOCK, 'static const uint8_t kinds[] = { LAPSE_KIND_MESSAGE_OPENED, 0 };',
      'static const uint8_t kinds[] = { LAPSE_KIND_MESSAGE_OPENED, LAPSE_KIND_CONSENT_WITHDRAWN, 0 };'),
     (CLOCK, '    if (active) {\n',
      '    if (e->kind == LAPSE_KIND_CONSENT_WITHDRAWN) s->touches.started = false;\n    if (active) {\n')),
    ('a lost customer falls back to reach',
     (WHOLE, 'int32_t now = lapse_stage_of(s->visited, s->registered, p->purchases.valid,',
      'int64_t unused;\n    int32_t now = lapse_stage_of(s->visited, s->registered, p->purchases.valid &&\n'
      '        lapse_touches_state(&p->purchases.touches, &p->rules->purchase, p->rules->as_of, &unused) != LAPSE_CLOCK_LOST,')),
    ('the highest stage forgets', (WHOLE, '*highest = then > now ? then : now;', '*highest = now;')),
    ('a refund at its own instant leaves a mark',
     (ORDER, 'end < h->count && time[end] == time[i]; end++)', 'end < h->count && end == i; end++)')),
    ('a refunded order drives the purchase clock', ('lib/state/purchase.c', 's->orders.items[i].time);',
      's->orders.items[i].time);\n    lapse_touch(&s->touches, &rules->purchase, '
      'history->number[LAPSE_F_TIME][history->count - 1]);')),
    ('an account once closed stays closed', ('lib/state/account.c', 's->closed = e->kind', 's->closed |= e->kind')),
    # endpoints
    ('a delivery lifts a hard bounce',
     (ENDPOINT, '        item->soft_count = 0;\n        break;\n    case LAPSE_KIND_ENDPOINT_VERIFIED',
      '        item->soft_count = 0;\n        item->hard = -1;\n        break;\n    case LAPSE_KIND_ENDPOINT_VERIFIED')),
    ('soft bounces are never forgotten (listmonk 991)',
     (ENDPOINT, 'case LAPSE_KIND_MESSAGE_DELIVERED:\n        item->soft_count = 0;', 'case LAPSE_KIND_MESSAGE_DELIVERED:')),
    ('fourteen days are more than fourteen days', (ENDPOINT, 'e->time > lapse_rules_add', 'e->time >= lapse_rules_add')),
    ('a block of the sender kills the address', (KIND, '{ "5.7.x", LAPSE_BOUNCE_NONE }', '{ "5.7.x", LAPSE_BOUNCE_HARD }')),
    ('a spam report hides a hard bounce',
     ('lib/state/tables.c', '    if (facts & LAPSE_FACT_HARD)\n',
      '    if (lapse_person_spam(p, item->channel)) return LAPSE_DELIVERABILITY_SPAM_REPORTED;\n'
      '    if (facts & LAPSE_FACT_HARD)\n')),
    ('consent heals an address',
     (GATE, '(facts & LAPSE_FACT_HARD ? BIT(HARD_BOUNCED) : 0)',
      '((facts & LAPSE_FACT_HARD) && !p->consents.cell_names.count ? BIT(HARD_BOUNCED) : 0)')),
    ('the endpoint added last decides, dead or not', (ENDPOINT, 'facts ? item->added : INT64_MAX', 'item->added')),
    ('a spam report is for ever', (WHOLE, 'spam > (cell ? cell->granted : -1)', 'true')),
    # the gate
    ('one list for all: the password reset is not sent either (emailflare 190)',
     (GATE, 'uint64_t reasons = ask_cell(p, q->channel, purpose, cell);',
      'uint64_t reasons = ask_cell(p, q->channel, purpose, cell);\n    purpose = q->purpose;'),
     (GATE, 'if (!is_service(q->purpose)) {', 'if (true) {'),
     (GATE, '    if (!is_service(purpose))\n        regions |=', '    if (true)\n        regions |=')),
    ('no consent is consent', (GATE, 'BIT(CONSENT_PENDING) : BIT(CONSENT_NONE)', 'BIT(CONSENT_PENDING) : 0')),
    ('an unknown endpoint never denies', (GATE, '!p->rules->assume_endpoint)', 'false)')),
    ('an objection is a withdrawal of marketing alone',
     (GATE, '        reasons |= BIT(OBJECTED);', '        reasons |= purpose == LAPSE_PURPOSE_MARKETING ? BIT(OBJECTED) : 0;')),
    ('an objection is lifted by anything granted',
     (GATE, 'p->consents.objection > (cell ? cell->granted : -1)', 'p->consents.objection > -1 && !(cell && cell->base == LAPSE_CONSENT_GRANTED)'),
     (CONSENT, 'effect == LAPSE_EFFECT_GRANTED || effect == LAPSE_EFFECT_CONFIRMED)', 'effect == LAPSE_EFFECT_GRANTED)')),
    ('a survey asks nobody who left surveys', (GATE, '    if (survey)\n', '    if (false)\n')),
    ('a topic turned off is no reason', (GATE, '    if (q->topic.size)\n', '    if (false)\n')),
    ('a closed account may be written to', (GATE, '== LAPSE_ACCOUNT_CLOSED', '== 99')),
    ('in-app messages are tracked without consent',
     (GATE, 'if (shown && purpose == LAPSE_PURPOSE_MARKETING && ', 'if (shown && ')),
]


def mutate(tree, changes):
    kept = {}
    for path, old, new in changes:
        path = os.path.join(tree, path)
        with open(path, encoding='utf-8') as f:
            text = f.read()
        kept.setdefault(path, text)
        if text.count(old) != 1:
            sys.exit('%s: %d times: %s' % (path, text.count(old), old))
        with open(path, 'w', encoding='utf-8') as f:
            f.write(text.replace(old, new))
    return kept


def caught(build):
    made = subprocess.run(['ninja', '-C', build] + ['tests/' + test for test in TESTS], capture_output=True, text=True)
    if made.returncode != 0:
        return 'not built:\n' + made.stdout[-2000:]
    for test in TESTS:
        run = subprocess.run([os.path.join(build, 'tests', test)], capture_output=True, timeout=600)
        if run.returncode != 0:
            return test
    return ''


def main():
    source, names = sys.argv[1], sys.argv[2:]
    survivors = []
    with tempfile.TemporaryDirectory() as work:
        tree, build = os.path.join(work, 'tree'), os.path.join(work, 'build')
        shutil.copytree(source, tree, ignore=shutil.ignore_patterns('.git'))
        subprocess.run(['meson', 'setup', build, tree, '-Doptimization=1', '-Ddebug=false', '-Dwarning_level=0'],
                       check=True, stdout=subprocess.DEVNULL)
        if caught(build):
            sys.exit('the tests fail without any change')
        for name, *changes in MUTANTS:
            if names and name not in names:
                continue
            kept = mutate(tree, changes)
            by = caught(build)
            for path, text in kept.items():
                with open(path, 'w', encoding='utf-8') as f:
                    f.write(text)
            print('%-20s %s' % (by or 'SURVIVES', name), flush=True)
            if not by or by.startswith('not built'):
                survivors.append(name)
    if survivors:
        sys.exit('%d of %d wrong rules were not caught' % (len(survivors), len(MUTANTS)))


if __name__ == '__main__':
    main()
