#!/bin/sh
# sh test_install.sh SOURCE_DIR BUILD_DIR
#
# Installs into the build directory's prefix and uses what is there as a stranger would: programs compiled with exactly
# the flags that pkg-config gives, the command, its man page, and the names the libraries show to a linker.
source=$1 build=$2
cc=${CC:-cc}
passed=0 failed=0 skipped=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

check() { # NAME COMMAND...: one case
    name=$1
    shift
    if "$@" >log 2>&1; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name"
        sed 's/^/  /' log
    fi
}
skip() {
    skipped=$((skipped + 1))
    echo "skipped: $1: $2"
}

check 'meson install' meson install -C "$build" --no-rebuild --quiet
prefix=$(sed -n 's/^prefix=//p' "$build/meson-private/lapse.pc")
libdir=$prefix/$(sed -n 's/^libdir=\${prefix}\///p' "$build/meson-private/lapse.pc")
export PKG_CONFIG_PATH="$libdir/pkgconfig" LD_LIBRARY_PATH="$libdir" DYLD_LIBRARY_PATH="$libdir"
version=$(sed -n 's/^Version: //p' "$build/meson-private/lapse.pc")

strict='-std=c99 -Wall -Wextra -Wpedantic -Werror'
first_steps() {
    # shellcheck disable=SC2046,SC2086
    $cc $strict -o first_steps "$source/examples/first_steps.c" $(pkg-config --cflags --libs lapse) &&
        ./first_steps >out && cat out && grep -q '^segment,customers' out && grep -q '^champions,' out
}
check 'examples/first_steps.c with the flags of pkg-config' first_steps

static() {
    # shellcheck disable=SC2046,SC2086
    $cc $strict -o static "$source/examples/first_steps.c" $(pkg-config --cflags lapse) "$libdir/liblapse.a" \
        $(pkg-config --static --libs-only-l lapse | sed 's/-llapse//') && ./static >static.out && cmp out static.out
}
if [ -f "$libdir/liblapse.a" ]; then
    check 'the same with the static library' static
else
    skip 'the same with the static library' 'none is built'
fi

# The first block of C in the README that is a whole program.
readme() {
    # shellcheck disable=SC2046,SC2086
    $cc $strict -o readme readme.c $(pkg-config --cflags --libs lapse) && ./readme
}
if [ -f "$source/README.md" ]; then
    awk '/^```c$/ { inside = 1; text = ""; next }
         inside && /^```/ { inside = 0; if (text ~ /int main/ && !done) { printf "%s", text; done = 1 } }
         inside { text = text $0 "\n" }' "$source/README.md" >readme.c
fi
if [ -s readme.c ]; then
    check 'the program in README.md' readme
else
    skip 'the program in README.md' 'no block of C with a main'
fi

command_runs() {
    "$prefix/bin/lapse" --version | grep -q "$version" && "$prefix/bin/lapse" help >help && [ -s help ] &&
        [ -s "$prefix/share/man/man1/lapse.1" ]
}
check 'the command and its man page' command_runs

# What the headers declare, what the version script lists, and what the library shows are the same names.
sed -n 's/^LAPSE_API .*[ *]\(lapse_[a-z0-9_]*\)(.*/\1/p' "$prefix"/include/lapse/*.h | sort >declared
same_names() {
    [ -s declared ] && diff declared exported
}
if command -v nm >/dev/null && [ -f "$libdir/liblapse.so" ]; then
    nm -D --defined-only "$libdir/liblapse.so" | sed -n 's/.* [TDBRVW] \([^@]*\).*/\1/p' | sort >exported
    check 'the shared library shows what the headers declare' same_names
    nm -g --defined-only "$libdir/liblapse.a" | sed -n 's/.* [TDBRVWC] //p' | sort -u >globals
    prefixed() {
        [ -s globals ] && ! grep -v '^lapse_' globals
    }
    check 'every global name of the static library begins with lapse_' prefixed
else
    skip 'names of the libraries' 'no nm, or no shared library'
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
