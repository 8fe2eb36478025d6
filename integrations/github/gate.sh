#!/usr/bin/env bash
# Runs the gate with what the action's inputs say, in variables; its exit code is the program's.
set -uo pipefail

case "$COMMAND" in
  verify | audit) ;;
  *)
    echo "::error::command is $COMMAND, not verify or audit"
    exit 2
    ;;
esac
flags=(--forget "$FORGET" --data "$DATA" --report "$REPORT" --json)
[ -z "$BASELINE" ] || flags+=(--baseline "$BASELINE")
[ -z "$CONFIG" ] || flags+=(--config "$CONFIG")
while IFS= read -r flag; do
  [ -z "$flag" ] || flags+=("$flag")
done <<< "$ARGUMENTS"

nhle-onnx "$COMMAND" "${flags[@]}" "$MODEL" > "$JSON"
code=$?
verdict=""
if [ -s "$JSON" ]; then
  verdict=$(python -c 'import json, sys; print(json.load(open(sys.argv[1]))["verdict"])' "$JSON")
fi
echo "verdict=$verdict" >> "$GITHUB_OUTPUT"
if [ -f "$REPORT" ] && [ "${REPORT##*.}" = md ]; then
  cat "$REPORT" >> "$GITHUB_STEP_SUMMARY"
fi
exit "$code"
