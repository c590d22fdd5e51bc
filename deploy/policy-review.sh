#!/usr/bin/env bash
# usage: policy-review.sh REVISION
# For CI on a merge request, in the root of the repository that holds policies/: checks the
# policies, and prints who gets what else than by REVISION, the target branch. See docs/policies.md.
set -euo pipefail
revision=${1:?usage: policy-review.sh REVISION}

broker policy check policies
code=0
broker policy diff policies --git "$revision" || code=$?
# 3 means that something changes: the reviewers have read above what.
[ "$code" -eq 0 ] || [ "$code" -eq 3 ] || exit "$code"
