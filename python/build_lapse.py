"""Builds wheels that hold the library (PEP 517): `pip install ./python`, `pip wheel ./python`.

The C sources are those of the checkout around this directory; an sdist carries them along in `source`. With LAPSE_LIBRARY
set nothing is compiled: that library goes into the wheel.
"""
import base64
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, 'source') if os.path.isdir(os.path.join(HERE, 'source')) else os.path.dirname(HERE)
PARTS = ('LICENSE', 'meson.build', 'meson_options.txt', 'include', 'lib')
SUMMARY = 'Customer retention in a library: RFM, churn, cohorts, consent and states from what customers did'


def version():
    with open(os.path.join(SOURCE, 'meson.build'), encoding='utf-8') as file:
        return re.search(r"version: '([^']+)'", file.read())[1]


def environments():
    """Installers run this with a path of modules of their own, which a meson of the system stumbles over; but it may be
    that path which has meson."""
    plain = {name: value for name, value in os.environ.items() if name not in ('PYTHONPATH', 'PYTHONHOME')}
    return plain, dict(os.environ)


def find_meson():
    """(command, environment) of a meson that runs, or None."""
    for environment in environments():
        command = shutil.which('meson', path=environment.get('PATH'))
        if command and subprocess.run([command, '--version'], env=environment, capture_output=True).returncode == 0:
            return command, environment
    return None


def get_requires_for_build_wheel(config_settings=None):
    if os.environ.get('LAPSE_LIBRARY') or find_meson():
        return []
    return ['meson>=1.0.1', 'ninja']


def get_requires_for_build_sdist(config_settings=None):
    return []


def compile_library(where):
    """The path of the library, built in the directory `where` or named by the environment."""
    named = os.environ.get('LAPSE_LIBRARY')
    if named:
        return named
    found = find_meson()
    if not found:
        sys.exit('lapse is built by meson and ninja, which are not there: install them, or set LAPSE_LIBRARY to a library')
    meson, environment = found
    subprocess.run([meson, 'setup', '--buildtype=release', '-Ddefault_library=shared', '-Dtests=disabled',
                    '-Dexamples=disabled', where, SOURCE], env=environment, check=True, stdout=sys.stderr)
    subprocess.run([meson, 'compile', '-C', where], env=environment, check=True, stdout=sys.stderr)
    libraries = [path for end in ('so.?', '?.dylib', 'dll') for path in glob.glob(os.path.join(where, 'lib', '*lapse*.' + end))]
    if not libraries:
        sys.exit('no library came out of %s' % where)
    return os.path.realpath(libraries[0])


def library_name():
    return {'darwin': 'liblapse.0.dylib', 'win32': 'lapse-0.dll'}.get(sys.platform, 'liblapse.so.0')


def metadata():
    return 'Metadata-Version: 2.1\nName: lapse\nVersion: %s\nSummary: %s\nLicense: MIT\nRequires-Python: >=3.9\n' % (
        version(), SUMMARY)


def tag():
    return 'py3-none-' + re.sub(r'[-.]', '_', sysconfig.get_platform())


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = 'lapse-%s' % version()
    files = {}
    for path in sorted(glob.glob(os.path.join(HERE, 'lapse', '*.py')) + [os.path.join(HERE, 'lapse', 'py.typed')]):
        with open(path, 'rb') as file:
            files['lapse/' + os.path.basename(path)] = file.read()
    with tempfile.TemporaryDirectory() as where:
        with open(compile_library(os.path.join(where, 'build')), 'rb') as file:
            files['lapse/' + library_name()] = file.read()
    info = name + '.dist-info/'
    files[info + 'METADATA'] = metadata().encode()
    files[info + 'WHEEL'] = ('Wheel-Version: 1.0\nGenerator: lapse\nRoot-Is-Purelib: false\nTag: %s\n' % tag()).encode()
    with open(os.path.join(SOURCE, 'LICENSE'), 'rb') as file:
        files[info + 'LICENSE'] = file.read()
    record = ''
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()
        record += '%s,sha256=%s,%d\n' % (path, digest, len(data))
    files[info + 'RECORD'] = (record + info + 'RECORD,,\n').encode()
    wheel = '%s-%s.whl' % (name, tag())
    with zipfile.ZipFile(os.path.join(wheel_directory, wheel), 'w', zipfile.ZIP_DEFLATED) as out:
        for path, data in files.items():
            entry = zipfile.ZipInfo(path)  # of 1980: the same sources make the same wheel
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(entry, data)
    return wheel


def build_sdist(sdist_directory, config_settings=None):
    name = 'lapse-%s' % version()

    def kept(entry):
        return None if os.path.basename(entry.name) in ('__pycache__', 'build', 'source') else entry

    with tarfile.open(os.path.join(sdist_directory, name + '.tar.gz'), 'w:gz', format=tarfile.PAX_FORMAT) as out:
        for part in ('pyproject.toml', 'build_lapse.py', 'README.md', 'lapse'):
            out.add(os.path.join(HERE, part), os.path.join(name, part), filter=kept)
        for part in PARTS:
            out.add(os.path.join(SOURCE, part), os.path.join(name, 'source', part), filter=kept)
        with tempfile.NamedTemporaryFile('w') as file:
            file.write(metadata())
            file.flush()
            out.add(file.name, os.path.join(name, 'PKG-INFO'))
    return name + '.tar.gz'
