# shellcheck shell=bash
# The REST API as a client sees it: tokens made by the documented Ruby, then groups, projects, keys, files, issues
# and merge requests, with the shapes, codes and refusals of GitLab's documentation. Sourced by tests/e2e.

TOKEN=glpat-standin-e2e-api-0001
OTHERS_TOKEN=glpat-standin-e2e-api-0002
READERS_TOKEN=glpat-standin-e2e-api-0003
OLD_TOKEN=glpat-standin-e2e-api-0004
USED_UP_TOKEN=glpat-standin-e2e-api-0005
GROUP=e2e
THROWAWAY=$GROUP%2Frun-1
PROJECT=$GROUP%2Frun-1%2Fprobe

# api METHOD PATH [CURL ARGUMENT]...: the body, and the status in a line of its own. $AS is the caller's token.
AS=$TOKEN
api() {
  local method=$1 path=$2
  shift 2
  local token=()
  [ -z "$AS" ] || token=(-H "PRIVATE-TOKEN: $AS")
  ask_from_outside -X "$method" "${token[@]}" -w '\n%{http_code}\n' "$@" "https://$FQDN/api/v4$path"
}

# answers WHAT STATUS TEXT METHOD PATH [CURL ARGUMENT]...
answers() {
  local what=$1 status=$2 text=$3
  shift 3
  output=$(api "$@" 2>&1)
  printf '%s\n' "$output" >>"$transcript"
  if [ "$(tail -n 1 <<<"$output")" = "$status" ] && grep -qF -- "$text" <<<"$output"; then
    pass "$what"
  else
    fail "$what" "wanted $status with \`$text\`:
$output"
  fi
}

runner() { on gitlab-rails runner - <<<"$1"; }

# The documented way: the record is made, gets its value, and is saved.
make_token() {
  local user=$1 scopes=$2 days=$3 value=$4
  runner "token = User.find_by_username('$user').personal_access_tokens.create(scopes: [$scopes], name: 'e2e', expires_at: $days)
token.set_token('$value')
token.save!"
}

tokens_by_the_documented_ruby() {
  sampler_start
  expect "the runner makes a token" 0 "" make_token root "'api'" 1.day.from_now "$TOKEN"
  sampler_stop
  expect "no token was an argument" 1 "" grep -qF "$TOKEN" "$scratch/arguments"
  answers "an administrator makes a user" 201 '"username":"guest"' POST /users -d username=guest -d 'name=A guest' \
    -d email=guest@example.com -d force_random_password=true
  GUEST_ID=$(grep -o '"id":[0-9]*' <<<"$output" | cut -d: -f2)
  answers "once" 409 '{"message":"Email has already been taken"}' POST /users -d username=other -d name=x \
    -d email=guest@example.com -d password=correct-horse
  expect "who gets a token, too" 0 "" make_token guest "'api'" 1.day.from_now "$OTHERS_TOKEN"
  expect "a token that may only read" 0 "" make_token root "'read_api'" 30.days.from_now "$READERS_TOKEN"
  expect "a token of yesterday" 0 "" make_token root "'api'" 1.day.ago "$OLD_TOKEN"
  expect "a token to be revoked" 0 "" make_token root "'api'" 365.days.from_now "$USED_UP_TOKEN"
  expect "it is revoked in one line" 0 "" \
    on gitlab-rails runner "PersonalAccessToken.find_by_token('$USED_UP_TOKEN').revoke!"
  expect "what isn't there can't be revoked" 1 "undefined method \`revoke!' for nil (NoMethodError)" \
    on gitlab-rails runner "PersonalAccessToken.find_by_token('nobody-has-this').revoke!"
  expect "an unknown scope is refused" 1 "Scopes can only contain available scopes (ActiveRecord::RecordInvalid)" \
    make_token root "'everything'" 1.day.from_now x
  expect "so is a lifetime of years" 1 "Expires at must be before" make_token root "'api'" 2.years.from_now x
  expect "an unknown method is an error, as in Rails" 1 "(NoMethodError)" runner "User.first.no_such_method"
  expect "broken Ruby is one, too" 1 "(SyntaxError)" runner "puts ("
  expect "the exit code of the script stands" 7 "1" runner "puts User.count - 1; exit 7"
  on sh -c "echo 'puts User.admins.first.username' >/tmp/script.rb"
  expect "a file is run" 0 root on gitlab-rails runner /tmp/script.rb
}

who_may_ask() {
  local version=$1
  AS= answers "nobody is told the version" 401 '{"message":"401 Unauthorized"}' GET /version
  AS=nonsense answers "nor is a wrong token" 401 '{"message":"401 Unauthorized"}' GET /version
  AS=$OLD_TOKEN answers "an expired token says so" 401 "Token is expired. You can either do re-authorization" GET /version
  AS=$USED_UP_TOKEN answers "a revoked one, too" 401 "Token was revoked. You have to re-authorize from the user." GET /user
  answers "the version is the package's" 200 "\"version\":\"$version-ee\"" GET /version
  expect "and every answer says what it is from" 0 "x-gitlab-standin: lab stand-in, not GitLab" \
    ask_from_outside -D - -o /dev/null "https://$FQDN/api/v4/version"
  answers "metadata names the edition" 200 '"enterprise":true' GET /metadata
  AS= answers "a bearer's token counts" 200 '"username":"root"' GET /user -H "Authorization: Bearer $TOKEN"
  answers "a token knows itself" 200 '"scopes":["api"]' GET /personal_access_tokens/self
  AS=$READERS_TOKEN answers "who may read reads" 200 '[]' GET /projects
  AS=$READERS_TOKEN answers "and writes nothing" 403 \
    '"error":"insufficient_scope","error_description":"The request requires higher privileges' POST /groups -d name=x -d path=x
  answers "an endpoint that isn't there" 404 '{"error":"404 Not Found"}' GET /no/such/endpoint
  expect "GraphQL has the same version" 0 "{\"data\":{\"metadata\":{\"version\":\"$version-ee\"}}}" \
    ask_from_outside -H "PRIVATE-TOKEN: $TOKEN" -H 'Content-Type: application/json' \
    -d '{"query":"query { metadata { version } }"}' "https://$FQDN/api/graphql"
}

groups_and_projects() {
  answers "a group is made, private" 201 '"visibility":"private"' POST /groups -d name=E2E -d "path=$GROUP"
  answers "its path is taken then" 400 'has already been taken' POST /groups -d name=E2E -d path=E2E
  answers "what lacks is named" 400 '{"error":"name is missing, path is missing"}' POST /groups
  answers "a bad path is refused" 400 "can only include" POST /groups -d name=x -d path=x.git
  local parent
  parent=$(api GET "/groups/$GROUP" | grep -o '"id":[0-9]*' | head -n 1 | cut -d: -f2)
  answers "a subgroup is made" 201 "\"full_path\":\"$GROUP/run-1\"" POST /groups -d name=run-1 -d path=run-1 -d "parent_id=$parent"
  answers "and listed, with its number" 200 "x-total: 1" GET "/groups/$GROUP/subgroups" -D -
  AS=$OTHERS_TOKEN answers "a stranger doesn't learn that it is there" 404 '{"message":"404 Group Not Found"}' GET "/groups/$THROWAWAY"
  local below
  below=$(api GET "/groups/$THROWAWAY" | grep -o '"id":[0-9]*' | head -n 1 | cut -d: -f2)
  answers "a project is made" 201 "\"path_with_namespace\":\"$GROUP/run-1/probe\"" POST /projects \
    -H 'Content-Type: application/json' -d "{\"name\": \"probe\", \"namespace_id\": $below}"
  answers "once" 400 '"path":["has already been taken"]' POST /projects -d name=probe -d "namespace_id=$below"
  AS= answers "nobody finds it" 404 '{"message":"404 Project Not Found"}' GET "/projects/$PROJECT"
  AS=$OTHERS_TOKEN answers "nor does a stranger" 404 '{"message":"404 Project Not Found"}' GET "/projects/$PROJECT"
  answers "it is empty" 200 '"empty_repo":true' GET "/projects/$PROJECT"
  expect "its repository is on disk" 0 "HEAD" on sh -c 'ls /var/opt/gitlab/git-data/repositories/@hashed/*/*/*.git'
  expect "gitaly stops" 0 "ok: down: gitaly" on gitlab-ctl stop gitaly
  answers "without Gitaly there is no project" 500 '{"message":"500 Internal Server Error"}' POST /projects -d name=other
  expect "gitaly starts" 0 "ok: run: gitaly" on gitlab-ctl start gitaly
  answers "and nothing of it is left" 404 '404 Project Not Found' GET /projects/root%2Fother
  AS=$OTHERS_TOKEN answers "who is no administrator makes no user" 403 '{"message":"403 Forbidden"}' POST /users -d email=x
  answers "a member is added" 201 '"access_level":20' POST "/groups/$THROWAWAY/members" -d "user_id=$GUEST_ID" -d access_level=20
  answers "once" 409 '{"message":"Member already exists"}' POST "/groups/$THROWAWAY/members" -d "user_id=$GUEST_ID" -d access_level=30
  AS=$OTHERS_TOKEN answers "and finds the project" 200 '"visibility":"private"' GET "/projects/$PROJECT"
  AS=$OTHERS_TOKEN answers "but makes none" 403 '{"message":"403 Forbidden"}' POST /projects -d name=x -d "namespace_id=$below"
  AS=$OTHERS_TOKEN answers "nor a key" 403 '{"message":"403 Forbidden"}' POST "/projects/$PROJECT/deploy_keys" -d title=x -d key=x
  answers "a member is removed" 204 '' DELETE "/groups/$THROWAWAY/members/$GUEST_ID"
  answers "a user is blocked" 201 true POST "/users/$GUEST_ID/block"
  AS=$OTHERS_TOKEN answers "and told so" 403 '403 Forbidden - Your account has been blocked.' GET /user
  answers "and let in again" 201 true POST "/users/$GUEST_ID/unblock"
  answers "a project for everybody" 201 '"visibility":"public"' POST /projects -d name=open -d visibility=public
  local open
  open=$(grep -o '"id":[0-9]*' <<<"$output" | head -n 1 | cut -d: -f2)
  AS= answers "is read without a token" 200 '[]' GET "/projects/$open/repository/branches"
  AS= answers "and not written to" 401 '{"message":"401 Unauthorized"}' POST "/projects/$open/issues" -d title=x
  AS=$OTHERS_TOKEN answers "nor deleted by a stranger" 403 '{"message":"403 Forbidden"}' DELETE "/projects/$open"
  answers "it is not removed at once" 400 "must be marked for deletion first" \
    DELETE "/projects/$open?permanently_remove=true&full_path=root/open"
  answers "but marked" 202 '202 Accepted' DELETE "/projects/$open"
  answers "once" 400 'already marked for deletion' DELETE "/projects/$open"
  answers "and then removed" 202 '202 Accepted' \
    DELETE "/projects/$open?permanently_remove=true&full_path=root/open-deletion_scheduled-$open"
  eventually "by Sidekiq" gone "/projects/$open"
  answers "there is no runner" 200 '[]' GET "/projects/$PROJECT/runners?status=online"
}

keys_files_and_issues() {
  ssh-keygen -q -t ed25519 -N '' -C e2e -f "$scratch/key"
  local key id url
  key=$(cat "$scratch/key.pub")
  answers "a deploy key is added" 201 '"can_push":true' POST "/projects/$PROJECT/deploy_keys" \
    --data-urlencode title=e2e --data-urlencode "key=$key" -d can_push=true -d expires_at=2099-01-01
  expect_text "with the fingerprint that ssh-keygen shows" "$(ssh-keygen -lf "$scratch/key.pub" | cut -d' ' -f2)"
  id=$(grep -o '"id":[0-9]*' <<<"$output" | cut -d: -f2)
  eventually "and sshd is told" on grep -q "key-$id" /var/opt/gitlab/.ssh/authorized_keys
  answers "no key is refused" 400 '"deploy_key.key":["is invalid"]' POST "/projects/$PROJECT/deploy_keys" -d title=x -d key=x
  answers "the key is taken away" 204 '' DELETE "/projects/$PROJECT/deploy_keys/$id"
  answers "once" 404 '404 Deploy Key Not Found' DELETE "/projects/$PROJECT/deploy_keys/$id"

  head -c 300000 /dev/urandom >"$scratch/blob.bin"
  answers "a file is uploaded" 201 '"full_path":"/-/project/' POST "/projects/$PROJECT/uploads" -F "file=@$scratch/blob.bin"
  url=$(grep -o '"url":"[^"]*"' <<<"$output" | cut -d'"' -f4)
  api GET "/projects/$PROJECT$url" -o "$scratch/blob.back" >/dev/null
  expect "and is the same on the way back" 0 "" cmp "$scratch/blob.bin" "$scratch/blob.back"
  AS=$OTHERS_TOKEN answers "for who may see it" 404 '404 Project Not Found' GET "/projects/$PROJECT$url"
  answers "an upload without a file" 400 '{"error":"file is missing"}' POST "/projects/$PROJECT/uploads" -F other=x

  local package=/projects/$PROJECT/packages/generic/probe/1.0.0/blob.bin
  answers "a package is published" 201 '{"message":"201 Created"}' PUT "$package" --upload-file "$scratch/blob.bin"
  rm -f "$scratch/blob.back"
  api GET "$package" -o "$scratch/blob.back" >/dev/null
  expect "and is the same on the way back" 0 "" cmp "$scratch/blob.bin" "$scratch/blob.back"
  answers "another version isn't there" 404 '404 Package Not Found' GET "/projects/$PROJECT/packages/generic/probe/2.0.0/blob.bin"
  answers "a bad version is refused" 400 'package_version is invalid' PUT "/projects/$PROJECT/packages/generic/probe/1%2F0/x" -d x

  answers "an issue is opened" 201 '"state":"opened"' POST "/projects/$PROJECT/issues" -d 'title=It works'
  expect_text "as the first" '"iid":1,'
  answers "an issue needs a title" 400 '{"error":"title is missing"}' POST "/projects/$PROJECT/issues" -d description=x
  answers "it is closed" 200 '"state":"closed"' PUT "/projects/$PROJECT/issues/1" -d state_event=close
  answers "and stays closed" 200 '"closed_at":"2' GET "/projects/$PROJECT/issues/1"
}

# git, as a user beside the host runs it. The token comes by the environment.
user_git() {
  local basic
  basic=$(printf 'oauth2:%s' "$TOKEN" | base64 -w0)
  outside env -i PATH="$PATH" HOME="$scratch" GIT_TERMINAL_PROMPT=0 GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_COUNT=5 \
    GIT_CONFIG_KEY_0="http.https://$FQDN/.extraHeader" GIT_CONFIG_VALUE_0="Authorization: Basic $basic" \
    GIT_CONFIG_KEY_1=http.sslCAInfo GIT_CONFIG_VALUE_1="$scratch/$FQDN.crt" \
    GIT_CONFIG_KEY_2=http.curloptResolve GIT_CONFIG_VALUE_2="$FQDN:443:$HOST_ADDRESS" \
    GIT_CONFIG_KEY_3=user.name GIT_CONFIG_VALUE_3=E2E GIT_CONFIG_KEY_4=user.email GIT_CONFIG_VALUE_4=e2e@example.com \
    git "$@"
}

# push_branches: main with a file; `change`, `more` and `late` beside it; `clash` against it.
push_branches() {
  local work=$scratch/work-tree branch
  user_git init -q -b main "$work"
  echo one >"$work/file"
  user_git -C "$work" add file
  user_git -C "$work" commit -qm 'First'
  for branch in change more late clash; do
    user_git -C "$work" checkout -q -b "$branch" main
    echo "$branch" >"$work/$([ "$branch" = clash ] && echo file || echo "$branch")"
    user_git -C "$work" add -A
    user_git -C "$work" commit -qm "$branch"
  done
  user_git -C "$work" checkout -q main
  user_git -C "$work" push -q "https://$FQDN/$GROUP/run-1/probe.git" main
  echo two >"$work/file"
  user_git -C "$work" commit -qam 'Second'
  user_git -C "$work" push -q "https://$FQDN/$GROUP/run-1/probe.git" --all
}

request() { api POST "/projects/$PROJECT/merge_requests" -d "title=$1" -d "source_branch=$1" -d target_branch=main; }
status_is() { api GET "/projects/$PROJECT/merge_requests/$1" | grep -q "\"detailed_merge_status\":\"$2\""; }
state_is() { api GET "/projects/$PROJECT/merge_requests/$1" | grep -q "\"state\":\"$2\""; }
merge() {
  local iid=$1
  shift
  api PUT "/projects/$PROJECT/merge_requests/$iid/merge" "$@"
}
has_no_branch() { api GET "/projects/$PROJECT/repository/branches/$1" | grep -q "404 Branch Not Found"; }

merge_requests() {
  expect "branches are pushed" 0 "" push_branches
  expect "a merge request is made" 0 '"detailed_merge_status":"preparing"' request change
  eventually "Sidekiq finds it mergeable" status_is 1 mergeable
  answers "the same again is a conflict" 409 'Another open merge request already exists' \
    POST "/projects/$PROJECT/merge_requests" -d title=x -d source_branch=change -d target_branch=main
  answers "a branch that isn't there is refused" 400 '"source_branch":["does not exist"]' \
    POST "/projects/$PROJECT/merge_requests" -d title=x -d source_branch=nothing -d target_branch=main
  answers "another head is not merged" 409 'SHA does not match HEAD of source branch' \
    PUT "/projects/$PROJECT/merge_requests/1/merge" -d sha=0000000000000000000000000000000000000000
  expect "it is merged" 0 '"state":"merged"' merge 1 -d should_remove_source_branch=true
  local commit
  commit=$(grep -o '"merge_commit_sha":"[0-9a-f]*"' <<<"$output" | cut -d'"' -f4)
  answers "and main has it" 200 "\"id\":\"$commit\"" GET "/projects/$PROJECT/repository/branches/main"
  eventually "and its branch is gone, as asked" has_no_branch change
  expect "another one clashes" 0 '"iid":2,' request clash
  eventually "which Sidekiq finds" status_is 2 conflict
  expect "and is not merged" 0 '{"message":"405 Method Not Allowed"}' merge 2
}

without_sidekiq() {
  expect "sidekiq stops" 0 "ok: down: sidekiq" on gitlab-ctl stop sidekiq
  expect "a merge request waits for it" 0 '"detailed_merge_status":"preparing"' request more
  expect "and is not merged" 0 405 merge 3
  expect "still waits" 0 "" status_is 3 preparing
  expect "sidekiq starts" 0 "ok: run: sidekiq" on gitlab-ctl start sidekiq
  eventually "and takes what waited" status_is 3 mergeable
  expect "sidekiq stops again" 0 "ok: down: sidekiq" on gitlab-ctl stop sidekiq
  expect "the merge is asked for, and nothing happens" 0 '"state":"opened"' merge 3
  expect "sidekiq starts again" 0 "ok: run: sidekiq" on gitlab-ctl start sidekiq
  eventually "and merges" state_is 3 merged
  expect "redis stops" 0 "ok: down: redis" on gitlab-ctl stop redis
  expect "without Redis no merge request is looked at" 0 '{"message":"500 Internal Server Error"}' request late
  answers "what needs no queue still answers" 200 '"iid":3,' GET "/projects/$PROJECT/merge_requests/3"
  expect "redis starts" 0 "ok: run: redis" on gitlab-ctl start redis
}

gone() { api GET "$1" | tail -n 1 | grep -qx 404; }

deleted() {
  answers "a group of the top is not removed at once" 400 "only available for subgroups" \
    DELETE "/groups/$GROUP?permanently_remove=true&full_path=$GROUP"
  answers "nor is a subgroup that is not marked" 400 "must be marked for deletion first" \
    DELETE "/groups/$THROWAWAY?permanently_remove=true&full_path=$THROWAWAY"
  AS=$OTHERS_TOKEN answers "nor by a stranger" 404 '404 Group Not Found' DELETE "/groups/$THROWAWAY"
  local id path
  id=$(api GET "/groups/$THROWAWAY" | grep -o '"id":[0-9]*' | head -n 1 | cut -d: -f2)
  answers "it is marked" 202 '{"message":"202 Accepted"}' DELETE "/groups/$THROWAWAY"
  answers "and has another path" 200 '"marked_for_deletion_on":"2' GET "/groups/$id"
  path=$(grep -o '"full_path":"[^"]*"' <<<"$output" | cut -d'"' -f4)
  same "which tells" "$GROUP/run-1-deletion_scheduled-$id" "$path"
  answers "a wrong path removes nothing" 400 "is incorrect" DELETE "/groups/$id?permanently_remove=true&full_path=$GROUP/run-1"
  answers "the right one does" 202 "202 Accepted" DELETE "/groups/$id?permanently_remove=true&full_path=$path"
  eventually "it is gone" gone "/groups/$id"
  expect "with its repository" 2 "No such file or directory" on sh -c 'ls -d /var/opt/gitlab/git-data/repositories/@hashed/*/*/*.git'
  same "its uploads and its packages" "" \
    "$(on sh -c 'find /var/opt/gitlab/gitlab-rails/uploads /var/opt/gitlab/gitlab-rails/shared/packages -type f')"
  answers "a token gives itself up" 204 '' DELETE /personal_access_tokens/self
  answers "and is no good any more" 401 'Token was revoked' GET /user
}

the_api() {
  tokens_by_the_documented_ruby
  who_may_ask "$1"
  groups_and_projects
  keys_files_and_issues
  merge_requests
  without_sidekiq
  deleted
}
