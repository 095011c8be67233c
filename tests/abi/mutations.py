"""Tries the gates: python3 mutations.py SOURCE_DIR few|all [NAME ...]

Each change below is made in a copy of the tree, which is then built and tested as anyone would. A bad change must fail
every gate named with it, a good one none. `few` leaves out the good ones that need another build of everything. With
names, only these changes are made.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import headers

GATES = ['surface', 'constants', 'layout', 'symbols', 'abidiff']
CPP = 'lapse.h c++17' # called c++ below

READ = ('no build',)
SHAPE = 'include/lapse/rfm.h'
STRUCT = r'(typedef struct lapse_rfm_options \{\n)'
MAP = 'lib/lapse.map'
NEW = r'\n#ifdef __cplusplus\n}', r'\n/** @since %s */\nLAPSE_API int32_t lapse_mutant(void);\g<0>'
BODY = 'lib/rfm/options.c', r'\Z', r'\nint32_t lapse_mutant(void)\n{\n    return 1;\n}\n'
OWN_NODE = MAP, r'\Z', 'LAPSE_0.10 {\nglobal:\n    %s;\n} LAPSE_0.9;\n'


def declared(since):
    return SHAPE, NEW[0], NEW[1] % since


def declare(text):
    """One more declaration in a header."""
    return SHAPE, NEW[0], '\n/** @since 0.9 */\n' + text + r'\g<0>'


def write(path, text):
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text)


def without_locations(tree):
    """A baseline as abidw writes it when told not to waste space."""
    subprocess.run(['abidw', '--headers-dir', 'include', '--drop-private-types', '--no-show-locs', '--out-file',
                    'abi/%s.abi' % headers.SONAME, 'build/lib/' + headers.SONAME], cwd=tree, check=True)


# Name, gates that must fail, how to configure (READ: the gate only reads), and the changes: (file, pattern,
# replacement) or a function of the tree.
BAD = [
    ('a name removed', 'symbols abidiff', (),
     (SHAPE, r'LAPSE_API (lapse_status lapse_view_segments\([^;]*;)', r''), (MAP, r' *lapse_view_segments;\n', '')),
    ('a name hidden', 'surface symbols abidiff', (), (SHAPE, r'LAPSE_API (lapse_status lapse_view_segments)', r'\1')),
    ('a name moved to another node', 'surface symbols abidiff', (),
     (MAP, r' *lapse_view_segments;\n', ''), (*OWN_NODE[:2], OWN_NODE[2] % 'lapse_view_segments')),
    ('the map not given to the linker', 'symbols abidiff', (),
     ('lib/meson.build', r"have_version_script \? \['-Wl,--version-script,' \+ map\] : \[\]", '[]')),
    ('a function added to the frozen node', 'symbols', (),
     declared('0.9'), BODY, (MAP, r'(lapse_rfm_options_init;\n)', r'    lapse_mutant;\n    \1')),
    ('a function declared but not in the map', 'symbols', (), declared('0.9'), BODY),
    ('a parameter narrowed', 'abidiff', (),
     ('include/lapse/view.h', r'(lapse_view_open\(lapse_store \*store, )int64_t', r'\1int32_t'),
     ('lib/view/*.c', r'(\nlapse_status lapse_view_open\(lapse_store \*store, )int64_t', r'\1int32_t')),
    ('a result narrowed', 'abidiff', (), ('include/lapse/view.h', r'int64_t (lapse_view_as_of)', r'int32_t \1'),
     ('lib/view/*.c', r'int64_t (lapse_view_as_of\([^)]*\)\n\{)(\n    return )', r'int32_t \1\2(int32_t)')),
    ('a constant renumbered', 'constants', (), (SHAPE, r'(LAPSE_RFM_NESTED = )4', r'\g<1>16')),
    ('a constant removed', 'constants', READ, ('include/lapse/event.h', r',\n    LAPSE_PLATFORM_STORE = 3', '')),
    ('a constant without the baseline', 'constants', (),
     (SHAPE, r'( *)(LAPSE_RFM_NESTED)', r'\1LAPSE_RFM_NEW = 16,\n\1\2')),
    ('a field inserted', 'layout abidiff', (), (SHAPE, STRUCT + r'([^;]*;[^\n]*\n)', r'\1\2    int64_t inserted;\n')),
    ('a field appended', 'layout abidiff', (), (SHAPE, r'\} lapse_rfm_options;', r'    int64_t appended;\n\g<0>')),
    ('a field retyped', 'layout abidiff', (), (SHAPE, r'int32_t (bins_f;)', r'uint32_t \1')),
    ('a field of a given struct retyped', 'layout', (), ('include/lapse/arrow.h', r'int64_t (null_count;)', r'uint64_t \1')),
    ('a callback retyped', 'abidiff', (),
     ('include/lapse/base.h', r'(\(\*lapse_progress_fn\)\(void \*user, int64_t done, )int64_t', r'\1int32_t')),
    ('a suppression of one struct', 'abidiff', (),
     ('tests/abi/abidiff.py', r"'--no-default-suppression'", "'--suppressions', 'one'"),
     lambda tree: write(os.path.join(tree, 'build', 'one'), '[suppress_type]\n  name = lapse_rfm_options\n')),
    ("the user's suppressions", 'abidiff', (), ('tests/abi/abidiff.py', r"'--no-default-suppression',", '')),
    ('a dump without source locations', 'abidiff', (), without_locations),
    ('a library without debug information', 'abidiff', (),
     ('meson.build', r'inc = include_directories', r"add_project_arguments('-g0', language: 'c')\n\g<0>")),
    ('no extern "C"', 'surface c++', (), (SHAPE, r'#ifdef __cplusplus\nextern "C" \{\n#endif\n', ''),
     (SHAPE, r'#ifdef __cplusplus\n\}\n#endif\n', '')),
    ('a keyword of C++ as a parameter', 'c++', (), (SHAPE, r'lapse_view \*view', 'lapse_view *template')),
    ('a global of the static library without prefix', 'symbols', (),
     ('lib/rfm/options.c', r'\Z', '\nint rfm_helper(void);\nint rfm_helper(void)\n{\n    return 1;\n}\n')),
    ('another SONAME', 'symbols', (), ('meson.build', r"abi_major = '0'", "abi_major = '1'")),
    ('the SONAME from the release', 'symbols', (),
     ('lib/meson.build', r'soversion: abi_major', 'soversion: meson.project_version()')),
    # What no header may hold; the gate reads them, so nothing is built.
    ('a variadic function', 'surface', READ, declare('LAPSE_API void lapse_new(const char *format, ...);')),
    ('a va_list', 'surface', READ, declare('LAPSE_API void lapse_new(const char *format, va_list list);')),
    ('a struct by value', 'surface', READ, declare('LAPSE_API void lapse_new(lapse_counts counts);')),
    ('a struct returned', 'surface', READ, declare('LAPSE_API lapse_counts lapse_new(void);')),
    ('a handle returned', 'surface', READ, declare('LAPSE_API lapse_view *lapse_new(void);')),
    ('a long', 'surface', READ, declare('LAPSE_API int32_t lapse_new(long number);')),
    ('a bool', 'surface', READ, declare('LAPSE_API int32_t lapse_new(bool yes);')),
    ('a FILE', 'surface', READ, declare('LAPSE_API int32_t lapse_new(FILE *file);')),
    ('an enum in a signature', 'surface', READ, declare('LAPSE_API int32_t lapse_new(enum lapse_kind kind);')),
    ('no (void)', 'surface', READ, declare('LAPSE_API int32_t lapse_new();')),
    ('an inline function', 'surface', READ, declare('static inline int32_t lapse_new(void) { return 1; }')),
    ('a macro that works', 'surface', READ,
     (SHAPE, NEW[0], r'\n#define LAPSE_TWICE(x) ((x) + (x))\g<0>')),
    ('a constant as a macro', 'surface', READ, (SHAPE, NEW[0], r'\n#define LAPSE_MOST 64\g<0>')),
    ('a bit-field', 'surface', READ, (SHAPE, r'int32_t bins_f;', 'int32_t bins_f : 4;')),
    ('a union', 'surface', READ, (SHAPE, r'int32_t bins_f;', 'union { int32_t bins_f; };')),
    ('a struct that is not size-first', 'surface', READ,
     declare('typedef struct lapse_pair {\n    int64_t a;\n    int64_t b;\n} lapse_pair;')),
    ('a constant without a number', 'surface', READ, (SHAPE, r'LAPSE_CUTS_QUANTILE = 0', 'LAPSE_CUTS_QUANTILE')),
    ('no @since', 'surface', READ, (SHAPE, r'(lapse_rfm_options_init\(\)\. Pointers stay[^@]*) @since 0\.9', r'\1')),
    ('a @since that is not its node', 'surface', READ,
     (SHAPE, r'(As lapse_store_options_init\(\)\.) @since 0\.9', r'\1 @since 0.8')),
    ('bytes of no field', 'layout', READ, ('include/lapse/base.h', r'int64_t row;', 'int32_t row;'),
     ('abi/layout.h', r'(FIELD\(lapse_error, row, 16), 8, int64_t', r'\1, 4, int32_t')),
    ('a struct left out of the layout', 'layout', READ, ('abi/layout.h', r'(SIZE|FIELD)\(lapse_counts,.*\n', '')),
]

GOOD = [
    ('nothing', '', ()),
    ('a private struct grew', '', (), ('lib/view/private.h', r'(struct lapse_view \{\n)', r'\1    int64_t grown;\n')),
    ('a function in a new node', '', (), declared('0.10'), BODY, (*OWN_NODE[:2], OWN_NODE[2] % 'lapse_mutant')),
]
# Other releases and other ways to build: everything is compiled again.
REBUILT = [
    ('another release', '', (), ('meson.build', r"version: '0\.9\.0'", "version: '0.10.3'")),
    ('-O3', '', ['-Doptimization=3']), ('link-time optimisation', '', ['-Db_lto=true', '-Doptimization=2']),
    ('shared only', '', ['-Ddefault_library=shared']), ('clang', '', ['CC=clang', 'CXX=clang++']),
    ('AddressSanitizer', '', ['-Db_sanitize=address', '-Db_lundef=false']),
]


class Trial:
    def __init__(self, root, where):
        self.tree, self.clean = os.path.join(where, 'tree'), os.path.join(where, 'clean')
        self.build = os.path.join(self.tree, 'build')
        shutil.copytree(root, self.tree, symlinks=True, ignore=lambda folder, names: {
            name for name in names if name.startswith('.') or name == '__pycache__' or
            folder == root and name.startswith('build') or os.path.exists(os.path.join(folder, name, 'meson-private'))})
        # Somebody's abidiff is told to overlook everything; ours must not listen.
        for whose in ('USER', 'SYSTEM'):
            os.environ['LIBABIGAIL_DEFAULT_%s_SUPPRESSION_FILE' % whose] = os.path.join(where, 'all')
        write(os.path.join(where, 'all'),
              '[suppress_type]\n  name_regexp = .*\n[suppress_function]\n  name_regexp = .*\n')
        self.setup([])
        self.failing(GATES + [CPP])
        shutil.copytree(self.tree, self.clean, symlinks=True)

    def setup(self, how):
        """Configures; unoptimised, as that compiles fastest."""
        settings = dict(word.split('=') for word in how if not word.startswith('-'))
        command = ['meson', 'setup', 'build', '--buildtype=debug', '-Dexamples=disabled', '-Dabi_mutations=none']
        done = subprocess.run(command + [word for word in how if word.startswith('-')], cwd=self.tree, text=True,
                              env={**os.environ, **settings}, capture_output=True)
        if done.returncode:
            sys.exit(done.stdout + done.stderr)

    def restore(self, built):
        shutil.rmtree(self.tree)
        shutil.copytree(self.clean, self.tree, symlinks=True, ignore=None if built else shutil.ignore_patterns('build'))

    def change(self, edit):
        if callable(edit):
            edit(self.tree)
            return
        pattern, changed = re.compile(edit[1]), 0
        for path in glob.glob(os.path.join(self.tree, edit[0])):
            with open(path, encoding='utf-8') as f:
                text = f.read()
            after = pattern.sub(edit[2], text)
            if after != text:
                changed += 1
                write(path, after)
        if not changed:
            sys.exit('%s has no `%s`: a change of these tests no longer applies' % edit[:2])

    def failing(self, tests):
        """The tests that do not pass; 'build' when what they need cannot be built."""
        log = os.path.join(self.build, 'meson-logs', 'testlog.json')
        if os.path.exists(log):
            os.remove(log)
        done = subprocess.run(['meson', 'test', '-C', self.build, *tests], capture_output=True, text=True)
        self.text = done.stdout + done.stderr
        if not os.path.exists(log):
            return {'build'}
        with open(log, encoding='utf-8') as f:
            results = [json.loads(line) for line in f]
        self.text = '\n'.join(r['name'] + ': ' + (r.get('stdout') or '') + (r.get('stderr') or '') for r in results)
        ends = {r['name'].split(' / ')[-1]: r['result'] for r in results}
        if set(ends) != set(tests):
            sys.exit('these were to run: %s\nThese ran: %s' % (tests, list(ends)))
        return {name for name, end in ends.items() if end != 'OK'}

    def caught(self):
        """What notices the tree as it is."""
        by = self.failing(GATES + [CPP])
        if by == {'build'}: # of the program in C++ alone, perhaps
            by = self.failing(GATES) | {CPP}
        return {'c++' if name == CPP else name for name in by}

    def caught_reading(self, gate):
        """The same of a gate that needs no build."""
        done = subprocess.run([sys.executable, '-B', os.path.join(self.tree, 'tests', 'abi', gate + '.py'), self.tree],
                              capture_output=True, text=True)
        self.text = done.stdout + done.stderr
        return {gate} if done.returncode else set()


def main(root, extent, *names):
    counts = {'passed': 0, 'failed': 0, 'skipped': 0}
    with tempfile.TemporaryDirectory() as where:
        trial = Trial(root, where)
        for name, must, how, *edits in BAD + GOOD + (REBUILT if extent == 'all' else []):
            if names and name not in names:
                continue
            if 'CC=clang' in how and not shutil.which('clang'):
                print('skipped: the ABI gates with clang, which is not there')
                counts['skipped'] += 1
                continue
            trial.restore(how != READ)
            for edit in edits:
                trial.change(edit)
            if how and how != READ:
                shutil.rmtree(trial.build)
                trial.setup(how)
            by, gates = trial.caught_reading(must) if how == READ else trial.caught(), set(must.split())
            right = gates <= by if gates else not by
            counts['passed' if right else 'failed'] += 1
            print('ok:    ' if right else 'FAILED:', name + ':', ', '.join(sorted(by)) or 'passes', flush=True)
            if not right:
                print('        must %s\n%s' % ('fail ' + must if must else 'pass', trial.text[-4000:]))
    print(', '.join('%d %s' % (n, word) for word, n in counts.items()))
    sys.exit(bool(counts['failed']))


if __name__ == '__main__':
    main(*sys.argv[1:])
