# shellcheck shell=bash
# Several throwaway hosts for the stand-in's cluster test: the lab's image with the package installed once, under an
# overlay for each host, booted by systemd-nspawn in namespaces that a bridge connects. Sourced by tests/cluster.
# Everything lies in one scratch directory; `hosts_down` removes all of it.

NETWORK=198.18.254
declare -A init_of nspawn_of address_of

# hosts_up IMAGE: the network.
hosts_up() {
  image=$1
  scratch=$(mktemp -d)
  net=standin-$$
  ip netns add "$net"
  ip -n "$net" link add bridge type bridge
  ip -n "$net" link set bridge up
  ip -n "$net" link set lo up
  ip -n "$net" address add "$NETWORK.254/24" dev bridge
}

# host_make NAME NUMBER LOWER: a host of that name, not booted. LOWER are the overlay's layers.
host_make() {
  local name=$1 number=$2 lower=$3 space=$net-$2
  mkdir -p "$scratch/$name"/{upper,work,root}
  mount -t overlay overlay -o "lowerdir=$lower,upperdir=$scratch/$name/upper,workdir=$scratch/$name/work" \
    "$scratch/$name/root"
  echo "$name" >"$scratch/$name/root/etc/hostname"
  address_of[$name]=$NETWORK.$number
  ip netns add "$space"
  ip -n "$space" link add eth0 type veth peer name "host$number" netns "$net"
  ip -n "$space" link set lo up
  ip -n "$space" address add "$NETWORK.$number/24" dev eth0
  ip -n "$space" link set eth0 up
  ip -n "$net" link set "host$number" master bridge up
}

host_boot() {
  local name=$1 number=${address_of[$1]##*.}
  UNIFIED_CGROUP_HIERARCHY=1 SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 setsid systemd-nspawn -q --register=no \
    --keep-unit --network-namespace-path="/run/netns/$net-$number" --machine="$net-$name" \
    --directory="$scratch/$name/root" --boot --link-journal=no </dev/null >"$scratch/$name/console.log" 2>&1 &
  nspawn_of[$name]=$!
}

host_ready() {
  local name=$1 until=$((SECONDS + 90))
  while [ "$SECONDS" -lt "$until" ]; do
    init_of[$name]=$(pgrep -P "${nspawn_of[$name]}" | head -n 1 || true)
    # A host whose units didn't all start says so by its exit code, too, and is up all the same.
    case ${init_of[$name]:+$(on "$name" systemctl is-system-running 2>/dev/null)} in
    running | degraded) return 0 ;;
    esac
    kill -0 "${nspawn_of[$name]}" 2>/dev/null || break
    sleep 0.2
  done
  echo "cluster: $name doesn't boot:" >&2
  tail -n 20 "$scratch/$name/console.log" >&2
  return 1
}

# on HOST COMMAND...
on() {
  local name=$1
  shift
  nsenter --target "${init_of[$name]}" --all -- env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/root LC_ALL=C.UTF-8 "$@"
}

# The power of a host fails. What it wrote stays.
host_crash() {
  local init=${init_of[$1]:-}
  # shellcheck disable=SC2086 # a host that never booted has no init
  kill -KILL "${nspawn_of[$1]}" $init 2>/dev/null
  wait "${nspawn_of[$1]}" 2>/dev/null
  [ -z "$init" ] || timeout 10 tail --pid="$init" -f /dev/null
}

# unmount FOLDER: what held it may take a moment to let go.
unmount() {
  local tries
  for tries in $(seq 40); do
    mountpoint -q "$1" || return 0
    umount "$1" 2>/dev/null && return 0
    sleep 0.5
  done
  echo "cluster: $1 is still mounted after $tries tries" >&2
  return 1
}

hosts_down() {
  [ -n "${scratch:-}" ] || return 0
  local name left=0
  for name in "${!nspawn_of[@]}"; do host_crash "$name" || true; done
  for name in "${!address_of[@]}"; do
    ip netns delete "$net-${address_of[$name]##*.}" 2>/dev/null || true
    unmount "$scratch/$name/root" || left=1
  done
  ip netns delete "$net" 2>/dev/null || true
  [ "$left" = 0 ] || return 11
  rm -rf "$scratch"
  scratch=
}
