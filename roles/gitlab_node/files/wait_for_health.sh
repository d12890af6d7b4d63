#!/bin/sh
# Asks a URL on this node until it answers 200: wait_for_health.sh SECONDS URL [RESOLVE] [CA]
# One program on the node asks every second, where a loop of the driver would need a connection each time.
# The last answer goes to stdout, cut to 2,000 bytes; exit 1 means that the time is over.
set -u
seconds=$1 url=$2 resolve=${3:-} ca=${4:-}
body=$(mktemp)
trap 'rm -f "$body"' EXIT

set -- --silent --show-error --max-time 10 --output "$body" --write-out '%{http_code}'
[ -n "$resolve" ] && set -- "$@" --resolve "$resolve"
[ -n "$ca" ] && set -- "$@" --cacert "$ca"

end=$(($(date +%s) + seconds))
while :; do
  : >"$body"
  status=$(curl "$@" "$url" 2>"$body.error")
  error=$(cat "$body.error")
  rm -f "$body.error"
  if [ "$status" = 200 ]; then
    echo "$url answers 200"
    exit 0
  fi
  [ "$(date +%s)" -ge "$end" ] && break
  sleep 1
done

if [ "$status" = 000 ]; then
  echo "$url gives no answer: ${error:-curl says no more}"
else
  printf '%s answers %s: ' "$url" "$status"
  head -c 2000 "$body"
  echo
fi
exit 1
