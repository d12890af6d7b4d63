# shellcheck shell=bash
# Git over HTTP and SSH with the real clients, LFS, and what each refuses and why. Sourced by tests/e2e, after
# api.sh, whose callers it uses.

GIT_TOKEN=glpat-standin-e2e-git-0001
FETCH_TOKEN=glpat-standin-e2e-git-0002
URL=https://$FQDN/git-e2e/probe.git
SSH_URL=git@$HOST_ADDRESS:git-e2e/probe.git

# as_git TOKEN ARGUMENT...: git with another token.
as_git() { local TOKEN=$1; shift; user_git "$@"; }

# ssh, as a user beside the host runs it. $KEY is the key that is shown, $HOSTS the file of known hosts.
KEY=key
HOSTS=known_hosts
ssh_options() {
  echo "-F none -o BatchMode=yes -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=10" \
    "-o UserKnownHostsFile=$scratch/$HOSTS -i $scratch/$KEY"
}
# shellcheck disable=SC2046
user_ssh() { outside timeout 30 ssh $(ssh_options) "git@$HOST_ADDRESS" "$@"; }
ssh_git() {
  outside timeout 60 env -i PATH="$PATH" HOME="$scratch" GIT_CONFIG_NOSYSTEM=1 \
    GIT_SSH_COMMAND="ssh $(ssh_options)" git "$@"
}

# commit FILE BYTES: another commit on the branch that is checked out.
commit() {
  head -c "$2" /dev/urandom >"$scratch/git/$1"
  user_git -C "$scratch/git" add "$1"
  user_git -C "$scratch/git" commit -qm "$1"
}

sql() {
  on su gitlab-psql -s /bin/sh -c "/opt/gitlab/embedded/bin/psql -qAt -h /var/opt/gitlab/postgresql gitlabhq_production" <<<"$1"
}

git_project() {
  make_token root "'api'" 1.day.from_now "$GIT_TOKEN" >/dev/null
  make_token root "'read_repository'" 1.day.from_now "$FETCH_TOKEN" >/dev/null
  make_token guest "'api'" 1.day.from_now "$OTHERS_TOKEN-git" >/dev/null
  local group
  group=$(api POST /groups -d name=git-e2e -d path=git-e2e | grep -o '"id":[0-9]*' | head -n 1 | cut -d: -f2)
  answers "a project to push to" 201 '"path_with_namespace":"git-e2e/probe"' POST /projects -d name=probe -d "namespace_id=$group"
  user_git init -q -b trunk "$scratch/git"
  commit small 100
}

clone_is() {
  rm -rf "$scratch/clone"
  "$@" clone -q "${CLONE:-$URL}" "$scratch/clone" || return
  [ "$(user_git -C "$scratch/clone" rev-parse HEAD)" = "$(user_git -C "$scratch/git" rev-parse HEAD)" ]
}
has_default_branch() { api GET /projects/git-e2e%2Fprobe | grep -q '"default_branch":"trunk"'; }

over_http() {
  expect "a first push over HTTPS" 0 "[new branch]" user_git -C "$scratch/git" push "$URL" trunk
  eventually "its branch becomes the default" has_default_branch
  expect "the clone equals what was pushed" 0 "" clone_is user_git
  user_git -C "$scratch/git" checkout -q -b topic
  commit large 20000000
  expect "a large push" 0 "To create a merge request for topic, visit:" \
    user_git -c http.lowSpeedLimit=1000 -c http.lowSpeedTime=20 -C "$scratch/git" push "$URL" topic
  user_git -C "$scratch/git" checkout -q trunk
  expect "an address without .git leads to the one with" 0 refs/heads/topic user_git ls-remote "${URL%.git}"
  expect "a token that may read fetches" 0 refs/heads/trunk as_git "$FETCH_TOKEN" ls-remote "$URL"
  expect "and doesn't push" 128 "error: 403" as_git "$FETCH_TOKEN" -C "$scratch/git" push "$URL" trunk:no
  expect "a wrong token is asked for another" 128 "could not read Username" as_git wrong ls-remote "$URL"
  expect "a stranger doesn't find the project" 128 "not found" as_git "$OTHERS_TOKEN-git" ls-remote "$URL"
  expect "who says nothing is asked who they are" 0 'www-authenticate: Basic realm="GitLab"' \
    ask_from_outside -D - "$URL/info/refs?service=git-upload-pack"
  expect_text "in words" "HTTP Basic: Access denied"
  expect "only Workhorse may ask Rails for a repository" 0 "this is for Workhorse" \
    on curl -sS "http://127.0.0.1:8080/git-e2e/probe.git/info/refs?service=git-upload-pack"
}

# A key of its own, and the id that the API gives it.
deploy_key() {
  ssh-keygen -q -t ed25519 -N '' -C e2e -f "$scratch/$1"
  api POST /projects/git-e2e%2Fprobe/deploy_keys -d "title=$1" --data-urlencode "key=$(cat "$scratch/$1.pub")" \
    -d "can_push=$2" | grep -o '"id":[0-9]*' | cut -d: -f2
}
knows_key() { on grep -q "key-$1\"" /var/opt/gitlab/.ssh/authorized_keys; }

over_ssh() {
  local writes reads
  echo "$HOST_ADDRESS $(on cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub)" >"$scratch/known_hosts"
  echo "$HOST_ADDRESS $(cut -d' ' -f1,2 "$scratch/key.pub")" >"$scratch/other_hosts"
  expect "a key that nobody knows opens nothing" 255 "Permission denied (publickey)" user_ssh -T
  writes=$(deploy_key writer true)
  reads=$(deploy_key reader false)
  eventually "Sidekiq tells sshd of keys" knows_key "$reads"
  KEY=writer expect "a deploy key is welcome, without a name" 0 "Welcome to GitLab, Anonymous!" user_ssh -T
  KEY=writer CLONE=$SSH_URL expect "the clone equals what was pushed" 0 "" clone_is ssh_git
  commit by-ssh 3000000
  KEY=writer expect "a push over SSH" 0 "trunk -> trunk" ssh_git -C "$scratch/git" push "$SSH_URL" trunk
  expect "is there over HTTPS" 0 "$(user_git -C "$scratch/git" rev-parse HEAD)" user_git ls-remote "$URL" trunk
  KEY=reader expect "a key that may read fetches" 0 refs/heads/topic ssh_git ls-remote "$SSH_URL"
  KEY=reader expect "and doesn't push" 128 "This deploy key does not have write access to this project." \
    ssh_git -C "$scratch/git" push "$SSH_URL" trunk:no
  KEY=writer expect "another project isn't there for it" 128 "The project you were looking for could not be found" \
    ssh_git ls-remote "git@$HOST_ADDRESS:git-e2e/other.git"
  KEY=writer expect "nothing but git is run" 1 "ERROR: Disallowed command" user_ssh ls /
  KEY=writer HOSTS=other_hosts expect "a host with another key is not talked to" 255 "Host key verification failed" user_ssh -T
  sql "UPDATE keys SET expires_at = now() - interval '1 hour' WHERE id = $writes" >/dev/null
  KEY=writer expect "an expired key says so" 128 "Your SSH key has expired." ssh_git ls-remote "$SSH_URL"
  sql "UPDATE keys SET expires_at = NULL, type = NULL, user_id = 1 WHERE id = $writes" >/dev/null
  KEY=writer expect "a user is welcome by name" 0 "Welcome to GitLab, @root!" user_ssh -T
}

# lfs_batch OPERATION OID SIZE
lfs_batch() {
  ask_from_outside -u "oauth2:$GIT_TOKEN" -H 'Content-Type: application/vnd.git-lfs+json' \
    -H 'Accept: application/vnd.git-lfs+json' \
    -d "{\"operation\":\"$1\",\"transfers\":[\"basic\"],\"objects\":[{\"oid\":\"$2\",\"size\":$3}]}" "$URL/info/lfs/objects/batch"
}
lfs() { ask_from_outside -u "oauth2:$GIT_TOKEN" -w '\n%{http_code}\n' "$@"; }

large_files() {
  local object=$scratch/object oid href
  head -c 3000000 /dev/urandom >"$object"
  head -c 4000000 /dev/urandom >"$object.longer"
  oid=$(sha256sum "$object" | cut -d' ' -f1)
  expect "a large file is announced" 0 "\"upload\":{\"header\":{" lfs_batch upload "$oid" 3000000
  href=$(grep -o '"href":"[^"]*"' <<<"$output" | cut -d'"' -f4)
  same "and its place is told" "$URL/gitlab-lfs/objects/$oid/3000000" "$href"
  expect "another file doesn't pass for it" 0 "400" lfs --upload-file "$scratch/git/small" "$href"
  expect "nor does a longer one" 0 "413" lfs --upload-file "$object.longer" "$href"
  expect "and nothing stays of them" 0 "" on sh -c '! find /var/opt/gitlab/gitlab-rails/shared/lfs-objects -type f | grep .'
  expect "it is not there before it came" 0 '"code":404' lfs_batch download "$oid" 3000000
  expect "it is taken" 0 "200" lfs --upload-file "$object" "$href"
  expect "it lies under its hash" 0 "" \
    on test -f "/var/opt/gitlab/gitlab-rails/shared/lfs-objects/${oid:0:2}/${oid:2:2}/${oid:4}"
  expect "a second time it isn't asked for" 0 "\"objects\":[{\"oid\":\"$oid\",\"size\":3000000}]" lfs_batch upload "$oid" 3000000
  expect "it is offered" 0 "\"download\":{" lfs_batch download "$oid" 3000000
  lfs "$URL/gitlab-lfs/objects/$oid" -o "$object.back" >/dev/null
  expect "and is the same on the way back" 0 "" cmp "$object" "$object.back"
  expect "nobody else gets it" 0 "401" ask_from_outside -o /dev/null -w '%{http_code}' "$URL/gitlab-lfs/objects/$oid"
  expect "who may not push may not upload" 0 "403" \
    ask_from_outside -o /dev/null -w '%{http_code}' -u "oauth2:$FETCH_TOKEN" --upload-file "$object" "$href"
}

push_again() { user_git -C "$scratch/git" push "$URL" "trunk:refs/heads/again"; }

# What is wrong between the processes is told to git's user as GitLab tells it.
git_without_what_it_needs() {
  expect "gitaly stops" 0 "ok: down: gitaly" on gitlab-ctl stop gitaly
  expect "without Gitaly no fetch over HTTPS" 128 "error: 503" user_git ls-remote "$URL"
  KEY=writer expect "nor over SSH" 128 "Gitaly, is not available at this time" ssh_git ls-remote "$SSH_URL"
  expect "gitaly starts" 0 "ok: run: gitaly" on gitlab-ctl start gitaly
  expect "redis stops" 0 "ok: down: redis" on gitlab-ctl stop redis
  expect "without Redis no push" 1 "remote: GitLab: 500 Internal Server Error" push_again
  expect "redis starts" 0 "ok: run: redis" on gitlab-ctl start redis
  on cp -p /etc/gitlab/gitlab-secrets.json /root/right.json

  gitlab_rb "gitaly['gitlab_secret'] = 'not-the-shell-s'"
  expect "Gitaly gets a secret that Rails doesn't know" 0 "gitlab Reconfigured!" on gitlab-ctl reconfigure
  eventually "a fetch needs none" user_git ls-remote "$URL"
  expect "a push is refused" 1 "remote: GitLab: 401 Unauthorized" push_again
  expect_text "by the hook" "pre-receive hook declined"

  on cp -p /root/right.json /etc/gitlab/gitlab-secrets.json
  gitlab_rb "gitlab_rails['internal_api_url'] = 'http://127.0.0.1:9'"
  expect "the internal API is looked for where it isn't" 0 "gitlab Reconfigured!" on gitlab-ctl reconfigure
  eventually "a fetch needs none" user_git ls-remote "$URL"
  expect "a push is refused, and why" 1 "remote: GitLab: Internal API unreachable" push_again
  KEY=writer expect "over SSH, too" 128 "ERROR: Internal API unreachable" ssh_git ls-remote "$SSH_URL"
  expect "gitlab-rake finds it" 1 "GitLab Shell self-check ... no" on gitlab-rake gitlab:check

  gitlab_rb "gitlab_rails['repositories_storages'] = { 'default' => { 'gitaly_address' => 'unix:/var/opt/gitlab/gitaly/gitaly.socket', 'gitaly_token' => 'wrong' } }"
  expect "Rails gets a token that Gitaly doesn't know" 0 "gitlab Reconfigured!" on gitlab-ctl reconfigure
  eventually "no fetch over HTTPS" refused_with "error: 503" user_git ls-remote "$URL"
  KEY=writer expect "nor over SSH" 128 "permission denied: the token is not this Gitaly's" ssh_git ls-remote "$SSH_URL"

  gitlab_rb
  on cp -p /root/right.json /etc/gitlab/gitlab-secrets.json
  expect "all is put back" 0 "gitlab Reconfigured!" on gitlab-ctl reconfigure
  eventually "and pushes are taken" push_again
}

# refused_with TEXT COMMAND...
refused_with() {
  local text=$1
  shift
  ! "$@" >"$scratch/refused" 2>&1 && grep -qF -- "$text" "$scratch/refused"
}

the_git() {
  local TOKEN=$GIT_TOKEN AS=$GIT_TOKEN
  git_project
  over_http
  over_ssh
  large_files
  git_without_what_it_needs
}
