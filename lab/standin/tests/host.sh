# shellcheck shell=bash
# A throwaway host for the stand-in's end-to-end test: the lab's image under an overlay, booted by
# systemd-nspawn in a network namespace of its own, beside a second namespace that plays the outside world.
# Sourced by tests/e2e. Everything lies in one scratch directory; `host_down` removes all of it.

HOST_ADDRESS=198.18.255.1
OUTSIDE_ADDRESS=198.18.255.2

# The image: $STANDIN_IMAGE, or the lab's own.
host_image() {
  local cache=${REFARCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/refarch}
  local image=${STANDIN_IMAGE:-$cache/lab/image/rootfs}
  if [ ! -d "$image/etc" ]; then
    echo "e2e: there is no image at $image; run \`make lab\`, or set STANDIN_IMAGE to a root file system" >&2
    return 4
  fi
  readlink -f "$image"
}

host_up() {
  scratch=$(mktemp -d)
  name=standin-$$
  mkdir "$scratch"/{upper,work,root}
  local image
  image=$(host_image)
  mount -t overlay overlay -o "lowerdir=$image,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
  echo "$name" >"$scratch/root/etc/hostname"
  ip netns add "$name"
  ip netns add "$name-out"
  ip -n "$name" link add host type veth peer name outside netns "$name-out"
  ip -n "$name" link set lo up
  ip -n "$name-out" link set lo up
  ip -n "$name" address add "$HOST_ADDRESS/24" dev host
  ip -n "$name-out" address add "$OUTSIDE_ADDRESS/24" dev outside
  ip -n "$name" link set host up
  ip -n "$name-out" link set outside up
  host_boot
}

host_boot() {
  UNIFIED_CGROUP_HIERARCHY=1 SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 setsid systemd-nspawn -q --register=no \
    --keep-unit --network-namespace-path="/run/netns/$name" --machine="$name" --directory="$scratch/root" \
    --boot --link-journal=no </dev/null >"$scratch/console.log" 2>&1 &
  nspawn=$!
  local tries
  for tries in $(seq 200); do
    init=$(pgrep -P "$nspawn" | head -n 1 || true)
    if [ -n "$init" ] && on systemctl is-system-running 2>/dev/null | grep -Eq 'running|degraded'; then
      return 0
    fi
    kill -0 "$nspawn" 2>/dev/null || break
    sleep 0.1
  done
  echo "e2e: the host doesn't boot (after $tries looks):" >&2
  tail -n 20 "$scratch/console.log" >&2
  return 1
}

# Runs a command on the host.
on() {
  nsenter --target "$init" --all -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/root LC_ALL=C.UTF-8 "$@"
}

# Runs a command beside the host, with an address that is on no allowlist.
outside() {
  ip netns exec "$name-out" "$@"
}

# The power fails. What the host wrote stays.
host_crash() {
  kill -KILL "$nspawn" "$init" 2>/dev/null
  wait "$nspawn" 2>/dev/null
  timeout 10 tail --pid="$init" -f /dev/null
}

host_down() {
  [ -n "${scratch:-}" ] || return 0
  if [ -n "${nspawn:-}" ] && kill -0 "$nspawn" 2>/dev/null; then
    kill -TERM "$nspawn" 2>/dev/null || true
    timeout 10 tail --pid="$nspawn" -f /dev/null || kill -KILL "$nspawn" ${init:+"$init"} 2>/dev/null || true
    wait "$nspawn" 2>/dev/null || true
  fi
  ip netns delete "$name" 2>/dev/null || true
  ip netns delete "$name-out" 2>/dev/null || true
  local tries
  for tries in 1 2 3 4 5 6 7 8 9 10; do
    mountpoint -q "$scratch/root" || break
    umount "$scratch/root" 2>/dev/null && break
    sleep 0.5
  done
  if mountpoint -q "$scratch/root"; then
    echo "e2e: $scratch/root is still mounted after $tries tries" >&2
    return 11
  fi
  rm -rf "$scratch"
  scratch=
}
