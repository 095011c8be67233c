"""A library of the public headers alone: each function with an empty body, under the names of lib/lapse.map.

It has the types and names of the real one and compiles in a moment. The baseline is taken from it: nothing private gets
in, and abidw 2.2 loses functions of a library of many files (those that another file calls are written as mere
declarations, and abidiff does not compare them). The canaries of abidiff are made of it too.
"""
import os
import shutil
import subprocess

import headers


def compile(*args):
    """Runs the compiler of this build."""
    subprocess.run([*os.environ.get('CC', 'cc').split(), *args], check=True)


def copy_headers(root, where):
    """Copies the public headers to `where`/include, version.h with them, and returns that path."""
    include = os.path.join(where, 'include')
    shutil.copytree(os.path.join(root, 'include'), include)
    with open(os.path.join(include, 'lapse', 'version.h'), 'w', encoding='utf-8') as out:
        out.write('#define LAPSE_VERSION_NUMBER 0\n')
    return include


def build(root, where, change=lambda text: text):
    """Builds it in the new directory `where`, with changed headers if so wanted; returns (library, headers)."""
    os.mkdir(where)
    include = copy_headers(root, where)
    for folder, _, names in os.walk(include):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, encoding='utf-8') as f:
                text = f.read()
            with open(path, 'w', encoding='utf-8') as f:
                f.write(change(text))
    source, library = os.path.join(where, 'stub.c'), os.path.join(where, headers.SONAME)
    with open(source, 'w', encoding='utf-8') as f:
        f.write('#include <lapse.h>\n')
        for item in headers.items(headers.read(include), 'function'):
            f.write('%s\n{\n%s}\n' % (item.text.rstrip(';'), '' if item.result == 'void' else '    return 0;\n'))
    compile('-std=c11', '-g', '-shared', '-fPIC', '-fvisibility=hidden', '-DLAPSE_BUILDING', '-I' + include, source,
            '-ffile-prefix-map=%s=.' % where, '-Wl,-soname,' + headers.SONAME,
            '-Wl,--version-script,' + os.path.join(root, 'lib', 'lapse.map'), '-o', library)
    return library, include


def dump(library, include, out):
    """The library's types and names as abidw writes them. Its source locations are needed: without them abidiff takes
    every type for a private one, and sees nothing."""
    subprocess.run(['abidw', '--headers-dir', include, '--drop-private-types', '--no-corpus-path', '--no-comp-dir-path',
                    '--out-file', out, library], check=True)
