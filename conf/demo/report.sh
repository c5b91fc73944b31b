#!/bin/sh
# What a run of the demonstration does: it says what rang, and leaves a report behind.
set -eu
echo "run $BELFRY_RUN_ID was rung; its work item:"
cat "$BELFRY_INPUT"
echo
{
    date -u '+report of %Y-%m-%d %H:%M:%S UTC'
    [ -z "${BELFRY_FILE:-}" ] || wc -c "$BELFRY_FILE"
} > output/report.txt
