#!/usr/bin/env bash
# Makes FOLDER/usr/bin/python: an ARM64 Python under QEMU with what the tests of integers need.
# Needs Debian with qemu-user, and a CPython 3.11 with pip. Changes nothing outside FOLDER.
set -euo pipefail
checkout=$(realpath "$1")
root=$(realpath -m "$2")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$root/proc" "$work"/{lists/partial,archives/partial,debs}

# Debian's interpreter and libraries, from where this machine has its own, by an apt of its own
: > "$work/status"
cat > "$work/apt.conf" <<EOF
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::State "$work";
Dir::State::status "$work/status";
Dir::Cache "$work";
EOF
export APT_CONFIG="$work/apt.conf"
apt-get -qq update
(cd "$work/debs" && apt-get -qq download python3.11-minimal libpython3.11-minimal \
    libpython3.11-stdlib libc6 libgcc-s1 libstdc++6 zlib1g libssl3 libffi8 libexpat1 libbz2-1.0 \
    liblzma5 libsqlite3-0)
for package in "$work"/debs/*.deb; do dpkg-deb -x "$package" "$root"; done

# wheels; the versions of constraints.txt, but for torch, whose CPU build for ARM64 is an older one
site="$root/usr/lib/python3/dist-packages"
fetch() {
    pip install -q --root-user-action=ignore --no-deps --target "$site" --python-version 3.11 \
        --implementation cp --only-binary=:all: \
        --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
        --platform manylinux_2_26_aarch64 --platform manylinux_2_17_aarch64 \
        --platform manylinux2014_aarch64 "$@"
}
fetch torch==2.9.1
fetch -c <(grep -v '^torch==' "$checkout/constraints.txt") \
    annotated-types click contourpy cycler execnet filelock flatbuffers fonttools fsspec \
    hypothesis iniconfig jinja2 joblib kiwisolver markdown-it-py markupsafe matplotlib mdurl \
    ml_dtypes mpmath narwhals networkx numpy onnx onnx-graphsurgeon onnx-ir onnxruntime onnxscript \
    packaging pillow pluggy protobuf pydantic pydantic-core pygments pyparsing pytest pytest-xdist \
    python-dateutil rich safetensors scikit-learn scipy six skl2onnx sortedcontainers sympy \
    threadpoolctl typing-extensions typing-inspection zstandard
printf '%s\n' "$checkout/toolkit" "$checkout/models" > "$site/checkout.pth"

# ONNX Runtime reads this, and an x86 processor's makes it crash
for core in 0 1; do
    printf '%s\t: %s\n' processor $core BogoMIPS 100.00 \
        Features 'fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp ssbs' \
        'CPU implementer' 0x41 'CPU architecture' 8 'CPU variant' 0x3 'CPU part' 0xd0c 'CPU revision' 1
    echo
done > "$root/proc/cpuinfo"

# what Python takes for itself, so that the processes it starts are emulated too
cat > "$root/usr/bin/python" <<EOF
#!/bin/sh
exec qemu-aarch64 -cpu max -0 $root/usr/bin/python -L $root $root/usr/bin/python3.11 "\$@"
EOF
chmod +x "$root/usr/bin/python"
