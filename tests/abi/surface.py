"""What may stand in a public header: python3 surface.py SOURCE_DIR

The rules of the surface (docs/abi.md): fixed-width integers, doubles, pointers; no function that is variadic, takes a
struct by value or returns more than a status, a number or static text; size-first structs, and those
of the Arrow specification as they are; macros that are only names;
extern "C" around all; @since at every declaration, and that of a function is the version of its node in lib/lapse.map.
Forms that the reader of the headers does not know are problems too, so nothing passes unseen.
"""
import os
import re
import sys

import headers

SCALARS = {'int32_t', 'uint32_t', 'int64_t', 'uint64_t', 'double', 'size_t'}
POINTED = SCALARS | {'uint8_t', 'char', 'void'}
RESULTS = {'function': {'void', 'lapse_status', 'int32_t', 'uint32_t', 'int64_t', 'const char *'},
           'callback': {'void', 'int32_t', 'int64_t', 'void *'},
           'given': {'void', 'int32_t', 'const char *'}}
MACRO = re.compile(r'#\s*define\s+(LAPSE_(?:[A-Z]+_)?H|LAPSE_H|LAPSE_API|ARROW_C_(?:DATA|STREAM)_INTERFACE|'
                   r'ARROW_FLAG_[A-Z_]+ \d)(?:\s|$)')
PLAIN = re.compile(r'#\s*(?:include <(?:stddef\.h|stdint\.h|lapse/[a-z]+\.h)>|(?:ifndef|ifdef|if|elif|else|endif)\b)')

root = sys.argv[1]
public = headers.read(os.path.join(root, 'include'))
nodes = headers.read_map(os.path.join(root, 'lib', 'lapse.map'))
problems = [problem for header in public for problem in header.problems]

structs = {item.name for item in headers.items(public, 'struct', 'given', 'handle')}
aliases = {item.name for item in headers.items(public, 'alias', 'callback')}


def type_problem(text, count, kind):
    """Why a parameter or field cannot have this type, or None."""
    m = re.fullmatch(r'(const )?(?:struct (?=Arrow))?(\w+)(?: (\*+))?', text)
    if not m:
        return 'no type that every foreign caller can pass'
    if m[3]:
        return None if m[2] in POINTED | structs | aliases else 'points to something that is not public'
    if m[2] in structs:
        return 'a struct goes by pointer'
    if m[2] == 'char' and count and kind == 'struct':
        return None
    return None if m[2] in SCALARS | aliases else 'no fixed-width type'


def look(item):
    if not item.since:
        yield 'its comment has no @since'
    for name, text, count in item.members if item.kind != 'enum' else ():
        m = re.fullmatch(r'(.*?) \(\*\)\((.*)\)', text)
        parts = [(name, text, count)]
        if m:
            if m[1] not in RESULTS[item.kind if item.kind == 'given' else 'callback']:
                yield '%s: returns `%s`' % (name, m[1])
            parts = [(p.groupdict()['name'], headers.spaced(p['type']), '') for p in
                     map(headers.FIELD.fullmatch, map(headers.spaced, m[2].split(','))) if p]
        for part, type_, count in parts:
            why = type_problem(type_, count, item.kind)
            if why:
                yield '%s: `%s`: %s' % (part, type_, why)
    if item.kind in RESULTS and item.kind != 'given' and item.result not in RESULTS[item.kind]:
        yield 'returns `%s`, which is none of: %s' % (item.result, ', '.join(sorted(RESULTS[item.kind])))
    if item.kind == 'struct' and item.members[:1] != [('size', 'uint32_t', '')]:
        yield 'a public struct begins with `uint32_t size`'
    if item.kind == 'alias' and item.result not in SCALARS:
        yield 'a typedef of a number is a fixed-width one'
    if item.since and item.name in nodes and nodes[item.name] != 'LAPSE_' + item.since:
        yield 'is @since %s, and in lib/lapse.map under %s' % (item.since, nodes[item.name])


for header in public:
    for item in header.items:
        problems += ['%s: %s: %s' % (item.where, item.name or 'enum', why) for why in look(item)]
    if header.guards != 2 * any(item.kind != 'handle' for item in header.items):
        problems.append('%s: extern "C" for C++ does not begin and end once' % header.path)
    for text, line in header.directives:
        if header.path != os.path.join('lapse', 'version.h') and not (MACRO.match(text) or PLAIN.match(text)):
            problems.append('%s:%d: no macro but guards and LAPSE_API: `%s`' % (header.path, line, text))

count = {kind: len(headers.items(public, kind)) for kind in ('function', 'struct', 'handle', 'callback', 'enum')}
if not all(count.values()):
    problems.append('the headers were not found, or not understood: %s' % count)
headers.report(problems, ', '.join('%d %ss' % (n, kind) for kind, n in count.items()))
