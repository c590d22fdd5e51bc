#!/usr/bin/env bash
# usage: policy-deploy.sh REPOSITORY REVISION SITE
# Extracts REVISION of a Git repository into SITE/releases, checks its policies/, and renames the
# link SITE/current to it: the broker sees the old set or the new one, never half of each.
set -euo pipefail
[ $# -eq 3 ] || { echo "usage: policy-deploy.sh REPOSITORY REVISION SITE" >&2; exit 2; }
commit=$(git -C "$1" rev-parse --verify --end-of-options "$2^{commit}")
release="$3/releases/$commit"

if [ ! -d "$release" ]; then
  rm -rf "$release.new"
  mkdir -p "$release.new"
  git -C "$1" archive "$commit" | tar -x -C "$release.new"
  mv "$release.new" "$release"
fi
broker policy check --no-analysis "$release/policies"
ln -sfn "releases/$commit" "$3/current.new"
mv -T "$3/current.new" "$3/current"
