#!/bin/sh
# Xcode's build step: copy what `make export` made into the app.
#
#   copy_build.sh BUILD DESTINATION
#
# DESTINATION becomes manifest.json, device_case/ and the Core ML and ExecuTorch artifacts that the manifest
# names. It is whole or untouched. Messages start with "error:", which is how Xcode knows to show them.
set -eu

build=$1
destination=$2

fail() {
    echo "error: $1" >&2
    exit 1
}

[ -f "$build/manifest.json" ] || fail "there is no $build/manifest.json; run 'make export' in the repository first"
[ -f "$build/device_case/case.json" ] || fail "there is no $build/device_case; run 'make export' in the repository again"

# One name a line; the manifest is indented, one field a line.
artifacts=$(sed -n 's/^ *"file": "\([^"/]*\.\(mlpackage\|pte\)\)",*$/\1/p' "$build/manifest.json")
[ -n "$artifacts" ] || fail "$build/manifest.json names no .mlpackage and no .pte; run 'make export' again"

partial=$destination.partial
rm -rf "$partial"
mkdir -p "$partial"
cp "$build/manifest.json" "$partial/"
cp -R "$build/device_case" "$partial/"
echo "$artifacts" | while IFS= read -r name; do
    [ -e "$build/$name" ] || fail "$name is in the manifest but not in $build; run 'make export' again"
    cp -R "$build/$name" "$partial/"
done
rm -rf "$destination"
mv "$partial" "$destination"
echo "copied $(echo "$artifacts" | wc -l | tr -d ' ') artifacts from $build"
