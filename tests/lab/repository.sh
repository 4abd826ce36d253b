#!/bin/sh
# Makes a repository for apt with the .deb of one folder, and with the same once more as newer ones (version 99-1).
#
#     repository.sh FOLDER TARGET     use it with: deb [trusted=yes] file:TARGET ./
set -eu

folder=$1 target=$2
mkdir -p "$target"
for package in "$folder"/*.deb; do
    cp "$package" "$target/"
    dpkg-deb -R "$package" "$target/newer"
    sed -i 's/^Version: .*/Version: 99-1/' "$target/newer/DEBIAN/control"
    dpkg-deb -Zgzip -z1 -b "$target/newer" "$target/newer-${package##*/}" >/dev/null
    rm -r "$target/newer"
done
for package in "$target"/*.deb; do
    dpkg-deb -f "$package"
    printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' \
        "${package##*/}" "$(stat -c %s "$package")" "$(sha256sum <"$package" | cut -d' ' -f1)"
done >"$target/Packages"
