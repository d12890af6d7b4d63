# shellcheck shell=bash
# What the end-to-end test expects, one line a check. Sourced by tests/e2e, which owns `scratch`.

checks=0
failures=0
transcript=$(mktemp)
output=

pass() {
  checks=$((checks + 1))
  printf "%4ds ok   %s\n" "$SECONDS" "$1"
}

fail() {
  checks=$((checks + 1))
  failures=$((failures + 1))
  printf "%4ds FAIL %s\n" "$SECONDS" "$1"
  printf '%s\n' "${2:-}" | sed 's/^/       | /'
}

# expect WHAT CODE TEXT COMMAND...: the command ends with the code and prints the text.
expect() {
  local what=$1 code=$2 text=$3 got=0
  shift 3
  output=$("$@" 2>&1) || got=$?
  printf '%s\n' "$output" >>"$transcript"
  if [ "$got" != "$code" ]; then
    fail "$what" "exit code $got instead of $code:
$output"
  elif ! grep -qF -- "$text" <<<"$output"; then
    fail "$what" "no \`$text\` in:
$output"
  else
    pass "$what"
  fi
}

# expect_text WHAT TEXT: the last command printed it, too.
expect_text() {
  if grep -qF -- "$2" <<<"$output"; then pass "$1"; else fail "$1" "no \`$2\` in:
$output"; fi
}

expect_no_text() {
  if grep -qF -- "$2" <<<"$output"; then fail "$1" "\`$2\` in:
$output"; else pass "$1"; fi
}

same() {
  if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "wanted: $2
got:    $3"; fi
}

# eventually WHAT COMMAND...: the command succeeds within 20 seconds.
eventually() {
  local what=$1 tries
  shift
  for tries in $(seq 100); do
    if "$@" >/dev/null 2>&1; then
      pass "$what"
      return
    fi
    sleep 0.2
  done
  fail "$what" "not after $tries tries: $("$@" 2>&1 | tail -n 5)"
}

# Writes down the arguments of every process while something runs, for a look at what anyone could see.
sampler=
sampler_start() {
  (while sleep 0.02; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n'; done >>"$scratch/arguments") &
  sampler=$!
}

sampler_stop() {
  [ -n "$sampler" ] || return 0
  kill "$sampler" 2>/dev/null
  wait "$sampler" 2>/dev/null
  sampler=
}
