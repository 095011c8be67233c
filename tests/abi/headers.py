"""Reads the public headers as the short list of forms that they may be made of.

A header is guards, includes and the declarations in FORMS, and nothing else: what does not match is reported, not
skipped. So an inline function, a union, a bit-field, a macro that does work or a constant without a number cannot enter
the surface, and the other gates can trust that they have seen all of it.
"""
import glob
import os
import re

# The ABI's own number: it changes when the ABI breaks, never with a release.
SONAME = 'liblapse.so.0'

NAME = r'(lapse_\w+)'
FORMS = [(kind, re.compile(pattern, re.S)) for kind, pattern in (
    ('enum', r'enum\s*\{(?P<body>[^{}]*)\}\s*;'),
    ('struct', r'typedef struct (?P<name>lapse_\w+)\s*\{(?P<body>[^{}]*)\}\s*(?P=name)\s*;'),
    ('given', r'struct (?P<name>Arrow\w+)\s*\{(?P<body>[^{}]*)\}\s*;'), # of the specification that <lapse/arrow.h> names
    ('handle', r'typedef struct (?P<name>lapse_\w+)\s+(?P=name)\s*;'),
    ('callback', r'typedef (?P<result>[^;(]*?)\(\*(?P<name>lapse_\w+)\)\((?P<body>[^()]*)\)\s*;'),
    ('alias', r'typedef (?P<result>\w+)\s+(?P<name>lapse_\w+)\s*;'),
    ('function', r'LAPSE_API\s+(?P<result>[^;(]*?)\b(?P<name>lapse_\w+)\((?P<body>[^()]*)\)\s*;'))]
FIELD = re.compile(r'(?P<type>[^()\[\]]*?)\b(?P<name>\w+)(?:\[(?P<count>\d+)\])?$')
POINTER_FIELD = re.compile(r'(?P<result>[^()]*?)\(\*(?P<name>\w+)\)\((?P<body>[^()]*)\)$')
GUARDS = re.compile(r'#ifdef __cplusplus\n(?:extern "C" \{|\})\n#endif\n')
DIRECTIVE = re.compile(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', re.M)


class Item:
    """One declaration: kind (as in FORMS), name ('' for an enum), result, members, since, and where it stands.

    members: of an enum (name, number); of a struct (name, type, count); otherwise parameters, (name, type, '').
    """

    def __init__(self, kind, match, since, where):
        found = match.groupdict()
        self.kind, self.since, self.where, self.problems = kind, since, where, []
        self.name, self.result = found.get('name') or '', spaced(found.get('result') or '')
        body = found.get('body') or ''
        self.members = (self.values(body) if kind == 'enum' else
                        self.fields(body.split(';')[:-1]) if kind in ('struct', 'given') else self.parameters(body))
        self.text = match.group()

    def values(self, body):
        out = []
        for part in filter(None, map(str.strip, body.split(','))):
            m = re.fullmatch(r'(LAPSE_[A-Z0-9_]+)\s*=\s*(-?\d+)', part)
            out.append((m[1], int(m[2])) if m else self.refuse(part, 'an enumerator is LAPSE_NAME = number'))
        return list(filter(None, out))

    def fields(self, parts):
        out = []
        for part in map(spaced, parts):
            pointer, plain = POINTER_FIELD.fullmatch(part), FIELD.fullmatch(part)
            if pointer:
                self.parameters(pointer['body'])
                out.append((pointer['name'], '%s (*)(%s)' % (spaced(pointer['result']), spaced(pointer['body'])), ''))
            elif plain and plain['type']:
                out.append((plain['name'], spaced(plain['type']), plain['count'] or ''))
            else:
                self.refuse(part, 'a field is TYPE NAME, TYPE NAME[COUNT] or TYPE (*NAME)(PARAMETERS)')
        return out

    def parameters(self, body):
        out = []
        for part in map(spaced, body.split(',')) if spaced(body) not in ('', 'void') else ():
            m = FIELD.fullmatch(part)
            out.append((m['name'], spaced(m['type']), m['count'] or '') if m and m['type'] else
                       self.refuse(part, 'a parameter is TYPE NAME'))
        if self.kind == 'function' and not spaced(body):
            self.refuse('()', 'no parameters are (void)')
        return list(filter(None, out))

    def refuse(self, text, rule):
        self.problems.append('%s: %s: `%s`: %s' % (self.where, self.name or self.kind, text, rule))


def spaced(text):
    """One space between words, the star with what follows: `const char *`, `void **`."""
    return re.sub(r'(?<=[\w*])\s*(\*+)\s*', r' \1', re.sub(r'\s+', ' ', text)).strip()


def blank(match):
    return re.sub(r'[^\n]', ' ', match.group())


class Header:
    """One file: its items, directives (text, line) and the problems met on the way."""

    def __init__(self, path, root):
        with open(path, encoding='utf-8') as f:
            self.text = f.read()
        self.path, self.items, self.problems = os.path.relpath(path, root), [], []
        code = re.sub(r'/\*.*?\*/', blank, self.text, flags=re.S)
        self.guards = len(GUARDS.findall(code))
        code = GUARDS.sub(blank, code)
        self.directives = [(m.group(), self.line(m.start())) for m in DIRECTIVE.finditer(code)]
        code = DIRECTIVE.sub(blank, code)
        docs = [(m.start(), m.end(), re.search(r'@since (\d+\.\d+)', m.group()))
                for m in re.finditer(r'/\*\*[^<].*?\*/', self.text, re.S)]
        self.read(code, docs)

    def line(self, position):
        return self.text.count('\n', 0, position) + 1

    def read(self, code, docs):
        end, since = 0, None
        while True:
            start = end + len(code[end:]) - len(code[end:].lstrip())
            if start == len(code):
                return
            # The comment of a declaration is the last one before it; without one it shares that of its group.
            for begin, stop, found in docs:
                if end <= begin and stop <= start:
                    since = found and found[1]
            where = '%s:%d' % (self.path, self.line(start))
            for kind, form in FORMS:
                match = form.match(code, start)
                if match:
                    item = Item(kind, match, since, where)
                    self.items.append(item)
                    self.problems += item.problems
                    end = match.end()
                    break
            else:
                semicolon = code.find(';', start)
                end = len(code) if semicolon < 0 else semicolon + 1
                text = spaced(code[start:end])[:90]
                self.problems.append('%s: no form of a public declaration: `%s`' % (where, text))


def read(include):
    """All public headers below `include`; lapse/version.h is made from its .in file and declares nothing."""
    paths = glob.glob(os.path.join(include, '*.h')) + glob.glob(os.path.join(include, 'lapse', '*.h'))
    return [Header(path, include) for path in sorted(paths)]


def items(headers, *kinds):
    return [item for header in headers for item in header.items if item.kind in kinds]


def read_map(path):
    """The version script as {function: node}; anything but nodes of plain names is an error."""
    with open(path, encoding='utf-8') as f:
        text = f.read()
    out, rest = {}, re.sub(r'/\*.*?\*/', '', text, flags=re.S)
    for node in re.finditer(r'(LAPSE_\d+\.\d+)\s*\{\s*global:(.*?)(?:local:\s*\*;\s*)?\}\s*(?:LAPSE_\d+\.\d+)?\s*;',
                            rest, re.S):
        for name in node[2].split(';')[:-1]:
            if not re.fullmatch(NAME, name.strip()) or name.strip() in out:
                raise SystemExit('%s: `%s` is no name, or stands twice' % (path, name.strip()))
            out[name.strip()] = node[1]
        rest = rest.replace(node[0], '', 1)
    if rest.strip():
        raise SystemExit('%s: not understood: %s' % (path, rest.strip()[:80]))
    return out


def report(problems, good):
    """The end of a gate: what is wrong, or what was seen."""
    print('\n'.join(problems) or good)
    raise SystemExit(bool(problems))
