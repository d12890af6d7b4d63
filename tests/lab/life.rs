//! A deployment from its first `up` to its end: what must be proven, what must not change, what must not leak, and
//! what is refused on the way.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::deployment::{Deployment, HOST, json, refarch};
use super::machine;
use super::process::{Running, run, signal};
use super::secrets::Arguments;

#[test]
fn a_deployment_lives_from_its_first_up_to_destroy() {
    let before = std::fs::read("/proc/sys/fs/inotify/max_user_instances").expect("a limit");
    let shared = Path::new(machine::LAB).exists();
    let life = Deployment::new("t-life");
    made_and_proven(&life);
    the_page_is_reached_by_curl(&life);
    no_file_leaks_a_secret(&life);
    plain_tools_accept_what_is_rendered(&life);
    what_is_wrong_with_a_node_is_found_by_its_check(&life);
    the_token_is_used_again_until_it_is_taken_back(&life);
    a_second_run_changes_nothing_and_locks_a_third_out(&life);
    its_status_is_told(&life);
    another_work_directory_is_refused(&life);
    another_version_is_refused(&life);
    another_host_key_is_refused(&life);
    another_key_on_the_node_is_refused(&life);
    a_killed_destroy_is_finished_by_the_next(&life);
    if !shared && !Path::new(machine::LAB).exists() {
        let after = std::fs::read("/proc/sys/fs/inotify/max_user_instances").expect("a limit");
        assert_eq!(after, before);
    }
}

fn made_and_proven(life: &Deployment) {
    let arguments = Arguments::watch();
    // Where somebody wants to report a run, the verdict outlives the test.
    let reports = std::env::var_os("REFARCH_TEST_REPORTS").map(std::path::PathBuf::from);
    let verdict = reports.as_deref().unwrap_or(life.folder()).join("verdict.json");
    let ended = life.refarch(&["up", "--yes", "--json", verdict.to_str().expect("UTF-8")]);
    let seen = arguments.seen();
    let standin = if life.is_given() { "" } else { " (lab stand-in, not GitLab)" };
    let up = format!("t-life is up: https://gitlab.demo.example{standin}");
    ended.assert(0, &[&up, "root-password"]);
    let verdict = json(&verdict);
    assert_eq!(verdict["outcome"], "pass", "{verdict:#}");
    assert_eq!(verdict["counts"]["fail"], 0, "{verdict:#}");
    assert!(verdict["counts"]["pass"].as_u64() > Some(5), "{verdict:#}");
    // A deployment that was just built is really used.
    assert_eq!(verdict["level"], "conformance", "{verdict:#}");
    assert_eq!(answer(&verdict, "token").0, "pass", "{verdict:#}");

    let secrets = life.leaks();
    let told = |part: &str| seen.iter().any(|line| String::from_utf8_lossy(line).contains(part));
    // The watch saw both sides, so what it did not see was not there.
    assert!(
        told("ansible-playbook") && told("/opt/gitlab/embedded/bin/postgres") && told("gitlab-rails"),
        "the watch saw too little"
    );
    for line in &seen {
        let found = secrets.within(line);
        assert!(
            found.is_empty(),
            "{found:?} among the arguments of a {:?}",
            line.split(|byte| *byte == 0).next()
        );
    }
    assert!(secrets.within(ended.said.as_bytes()).is_empty());
}

fn the_page_is_reached_by_curl(life: &Deployment) {
    let page = run(Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--max-time", "20", "--cacert"])
        .arg(life.work().join("ca.pem"))
        .args(["--resolve", &format!("{HOST}:443:{}", life.address())])
        .arg(format!("https://{HOST}/users/sign_in")));
    page.assert(0, &["<form"]);
    assert!(life.is_given() || page.said.contains("lab stand-in, not GitLab"), "{}", page.said);
}

/// The files that secrets are meant for; each is for its owner only.
fn meant_for_secrets(node: &str, path: &str) -> bool {
    let here = [
        "secrets.json",
        "root-password",
        "ssh/id_ed25519",
        &format!("ansible/files/{node}/gitlab-secrets.json"),
        &format!("ansible/files/{node}/refarch-secrets.json"),
        &format!("ansible/files/{node}/ssl/{HOST}.key"),
        &format!("ansible/fetched/{node}/gitlab-secrets.json"),
    ]
    .contains(&path);
    let delivered = ["gitlab-secrets.json", "refarch-secrets.json", &format!("ssl/{HOST}.key")]
        .iter()
        .any(|name| path == format!("etc/gitlab/{name}"));
    // What the package itself writes for its services from `gitlab-secrets.json`.
    let services = [
        "gitaly/config.toml",
        "gitlab-rails/etc/gitlab.yml",
        "gitlab-rails/etc/gitlab_shell_secret",
        "gitlab-rails/etc/gitlab_workhorse_secret",
        "gitlab-rails/etc/secrets.yml",
        "postgresql/server.key",
    ]
    .iter()
    .any(|name| path == format!("var/opt/gitlab/{name}"));
    here || delivered || services
}

fn no_file_leaks_a_secret(life: &Deployment) {
    let secrets = life.leaks();
    let node = life.node();
    let inside = format!("/proc/{}/root", life.first_process());
    let state = Path::new(machine::LAB).join(life.name);
    let upper = state.join("hosts").join(&node).join("upper");
    let delivered = (upper.join("etc/gitlab"), "etc/gitlab");
    let places = if life.is_given() {
        // Where a real package keeps its services' own copies is its affair.
        vec![(life.work(), ""), delivered]
    } else {
        vec![
            (life.work(), ""),
            (upper.clone(), ""),
            (Path::new(&inside).join("var/opt/gitlab"), "var/opt/gitlab"),
            (Path::new(&inside).join("tmp"), "tmp"),
            (Path::new(&inside).join("run"), "run"),
        ]
    };
    let mut holders = Vec::new();
    for (folder, prefix) in places {
        assert!(folder.exists(), "{}", folder.display());
        for (path, holder) in secrets.files(&folder) {
            let path = Path::new(prefix).join(path.strip_prefix(&folder).expect("within"));
            holders.push((path.to_str().expect("UTF-8").to_owned(), holder));
        }
    }
    let wrong: Vec<_> = holders
        .iter()
        .filter(|(path, holder)| !meant_for_secrets(&node, path) || holder.mode != 0o600)
        .map(|(path, holder)| format!("{path} ({:o}): {:?}", holder.mode, holder.secrets))
        .collect();
    assert_eq!(wrong, [""; 0]);
    for wanted in ["secrets.json", "etc/gitlab/gitlab-secrets.json", "etc/gitlab/refarch-secrets.json"] {
        assert!(holders.iter().any(|(path, _)| path == wanted), "the search is blind");
    }
    let record = std::fs::read(state.join("record.json")).expect("a record");
    assert!(secrets.within(&record).is_empty());
    let console = std::fs::read(state.join("hosts").join(&node).join("console.log")).expect("a log");
    assert!(secrets.within(&console).is_empty());
    let journal = life.on_node("journalctl --all --output=export");
    assert!(journal.contains("gitlab-runsvdir") && secrets.within(journal.as_bytes()).is_empty());
}

fn plain_tools_accept_what_is_rendered(life: &Deployment) {
    let tree = life.folder().join("tree");
    life.refarch(&["render", "--to", tree.to_str().expect("UTF-8")]).assert(0, &[]);
    assert!(life.leaks().files(&tree).is_empty());
    let config = life.folder().join("cli.tfrc");
    let mirror = machine::cache().join("lab/mirror");
    let text = format!(
        "provider_installation {{\n  filesystem_mirror {{\n    path = \"{}\"\n  }}\n}}\n",
        mirror.display()
    );
    std::fs::write(&config, text).expect("a file");
    let terraform = |args: &[&str]| {
        let mut command = Command::new("terraform");
        command.current_dir(tree.join("terraform")).env("TF_CLI_CONFIG_FILE", &config).args(args);
        run(&mut command).assert(0, &[]);
    };
    terraform(&["init", "-backend=false", "-input=false", "-no-color"]);
    terraform(&["validate", "-no-color"]);
    let ansible = machine::cache().join("tools/ansible/bin/ansible-playbook");
    for playbook in
        ["prepare.yml", "configure.yml", "site.yml", "probe.yml", "fetch_secrets.yml", "mark_built.yml"]
    {
        let mut command = Command::new(&ansible);
        command
            .current_dir(tree.join("ansible"))
            .env("HOME", life.folder())
            .args(["--syntax-check", playbook]);
        run(&mut command).assert(0, &[playbook]);
    }
}

/// What a check of a verdict came to: its status, and what it saw.
fn answer<'a>(verdict: &'a Value, check: &str) -> (&'a str, &'a str) {
    let findings = verdict["findings"].as_array().expect("findings");
    let of = |finding: &&Value| finding["check"] == check;
    let found = findings.iter().find(of).unwrap_or_else(|| panic!("no `{check}` in {verdict:#}"));
    (found["status"].as_str().expect("a status"), found["saw"].as_str().expect("what it saw"))
}

/// Verifies, and gives the verdict of a run that must end with this exit code.
fn verified(life: &Deployment, args: &[&str], code: i32) -> Value {
    let verdict = life.folder().join("verdict.json");
    let report = ["verify", "--json", verdict.to_str().expect("UTF-8")];
    life.refarch(&[&report, args].concat()).assert(code, &[]);
    json(&verdict)
}

fn what_is_wrong_with_a_node_is_found_by_its_check(life: &Deployment) {
    let (rb, ssl) = ("/etc/gitlab/gitlab.rb", format!("/etc/gitlab/ssl/{HOST}.crt"));
    life.on_node(&format!(
        "cp -a {rb} {rb}.kept && cp -a {ssl} {ssl}.kept && gitlab-ctl stop sidekiq >/dev/null && apt-mark --quiet unhold gitlab-ee && \
         echo '# by hand' >>{rb} && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3 -subj /CN=other -keyout /dev/null -out {ssl} 2>/dev/null"
    ));
    let names = "services,package_installed,configuration,disk_space,certificate,clock";
    let verdict = verified(life, &["--only", names], 7);
    life.on_node(&format!(
        "mv {rb}.kept {rb} && mv {ssl}.kept {ssl} && apt-mark --quiet hold gitlab-ee && gitlab-ctl start sidekiq >/dev/null"
    ));
    assert_eq!(answer(&verdict, "services"), ("fail", "down: sidekiq"));
    assert_eq!(answer(&verdict, "package_installed").0, "warn");
    assert_eq!(answer(&verdict, "configuration"), ("fail", "gitlab.rb is not what was delivered"));
    let (status, saw) = answer(&verdict, "certificate");
    assert!(status == "fail" && saw.starts_with("another certificate than was delivered"), "{verdict:#}");
    assert_eq!(answer(&verdict, "clock").0, "pass", "{verdict:#}");
    let verdict = verified(life, &["--only", names], 0);
    for check in ["package_installed", "configuration", "certificate"] {
        assert_eq!(answer(&verdict, check).0, "pass", "{verdict:#}");
    }
}

/// The status that the instance answers with to who holds the token.
fn asked_with(life: &Deployment, token: &Value) -> String {
    let header = life.folder().join("header");
    let text = format!("PRIVATE-TOKEN: {}\n", token["value"].as_str().expect("a token"));
    std::fs::write(&header, text).expect("a file");
    let answer = run(Command::new("curl")
        .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "20", "--output", "/dev/null"])
        .args(["--write-out", "%{http_code}", "--resolve", &format!("{HOST}:443:{}", life.address())])
        .arg("--cacert")
        .arg(life.work().join("ca.pem"))
        .arg("--header")
        .arg(format!("@{}", header.display()))
        .arg(format!("https://{HOST}/api/v4/personal_access_tokens/self")));
    std::fs::remove_file(header).expect("a file");
    answer.assert(0, &[]);
    answer.said
}

fn the_token_is_used_again_until_it_is_taken_back(life: &Deployment) {
    let token = life.secrets()["token"].clone();
    assert!(token["name"].as_str().is_some_and(|name| name.starts_with("refarch-verify-2")), "a token");
    verified(life, &["--only", "token,version"], 0);
    assert!(life.secrets()["token"] == token, "the instance took it, and there is another one");
    assert_eq!(asked_with(life, &token), "200");
    verified(life, &["--only", "version", "--revoke"], 0);
    assert_eq!(asked_with(life, &token), "401");
    assert!(life.secrets()["token"].is_null());
    let verdict = verified(life, &["--only", "token"], 0);
    assert_eq!(answer(&verdict, "token").0, "pass", "{verdict:#}");
    assert_eq!(asked_with(life, &life.secrets()["token"]), "200");
}

/// How many tasks changed something, over all playbooks of a run.
pub fn changed_tasks(run: &Running) -> u64 {
    let events = run.events();
    let summaries = events.iter().filter(|event| event["type"] == "playbook_summary");
    let nodes: Vec<&Value> =
        summaries.flat_map(|event| event["nodes"].as_object().expect("nodes").values()).collect();
    assert!(!nodes.is_empty(), "no playbook ran");
    nodes.iter().map(|node| node["changed"].as_u64().expect("a count")).sum()
}

fn a_second_run_changes_nothing_and_locks_a_third_out(life: &Deployment) {
    let before = life.service_processes();
    let mut second = life.start(&["up", "--yes"]);
    second.event("the run's beginning", |event| (event["type"] == "run_started").then_some(()));
    let pid = second.pid();
    life.refarch(&["up", "--yes"]).assert(
        8,
        &[&format!("(process {pid}) holds it since 2"), "refarch up --yes", "speaks for this machine only"],
    );
    second.end().assert(0, &[]);
    assert_eq!(changed_tasks(&second), 0);
    let skipped: Vec<_> = second
        .events()
        .iter()
        .filter(|event| event["type"] == "phase_skipped")
        .map(|event| event["phase"].as_str().expect("a phase").to_owned())
        .collect();
    assert_eq!(skipped, ["provision", "configure"]);
    assert_eq!(life.service_processes(), before);
    life.refarch(&["plan", "--detailed-exitcode"]).assert(0, &["no changes", "nothing to do"]);
}

/// What is known of it changes nothing of it, and nobody has to wait for it.
fn its_status_is_told(life: &Deployment) {
    let runs = || std::fs::read_dir(life.work().join("runs")).expect("a folder").count();
    let before = (on_the_node(life), runs());
    let ended = life.refarch(&["status", "--json"]);
    ended.assert(0, &[]);
    let status: Value = serde_json::from_str(&ended.said).expect("JSON");
    assert_eq!((&status["exists"]["state"], &status["changes"]["state"]), (&"all".into(), &"nothing".into()));
    assert_eq!(status["last_verdict"]["outcome"], "pass", "{status:#}");
    assert_eq!(status["nodes"][0]["package"], "18.11.2-ee.0");
    let services = status["nodes"][0]["services"].as_array().expect("a list");
    assert!(services.len() > 5 && services.iter().all(|service| service["running"] == true), "{status:#}");
    assert_eq!((on_the_node(life), runs()), before);
    life.on_node("gitlab-ctl stop sidekiq");
    life.refarch(&["status"]).assert(0, &["down: sidekiq", "configure", "sidekiq is down"]);
    life.on_node("gitlab-ctl start sidekiq");
}

fn another_work_directory_is_refused(life: &Deployment) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::copy(life.spec(), folder.path().join("gitlab.yml")).expect("a spec");
    let ended = run(refarch(folder.path()).args(["up", "--yes", "gitlab.yml"]));
    let owner = life.work().canonicalize().expect("a folder");
    ended.assert(
        9,
        &[&format!("`{}` is owned by another work directory", life.name), owner.to_str().expect("UTF-8")],
    );
    assert!(!folder.path().join(".refarch").join(life.name).join("secrets.json").exists());
    let ended = run(refarch(folder.path()).args(["destroy", "--confirm", life.name, "gitlab.yml"]));
    ended.assert(9, &[owner.to_str().expect("UTF-8")]);
    assert_eq!(life.inspect()["hosts"][0]["running"], true);
}

/// Whatever a refused run must leave as it is on the node.
fn on_the_node(life: &Deployment) -> (Vec<String>, String) {
    let files = life.on_node("sha256sum /etc/gitlab/*.rb /etc/gitlab/*.json; dpkg-query --show gitlab-ee");
    (life.service_processes(), files)
}

fn another_version_is_refused(life: &Deployment) {
    let before = on_the_node(life);
    // A version that nobody has yet is newer than any package that is given.
    let (now, wanted) = (life.version().to_owned(), if life.is_given() { "19.99.0" } else { "19.3.0" });
    life.specify(|spec| spec.replace(&now, wanted));
    life.refarch(&["up", "--yes"]).assert(
        9,
        &[&format!("{} runs GitLab {now}-ee.0, and the spec asks for {wanted}-ee.0", life.node())],
    );
    assert_eq!(on_the_node(life), before);
    life.specify(|spec| spec);
}

fn another_host_key_is_refused(life: &Deployment) {
    let key = "/etc/ssh/ssh_host_ed25519_key";
    let pins = std::fs::read(life.work().join("known_hosts")).expect("pins");
    life.on_node(&format!(
        "cp -a {key} {key}.kept && cp -a {key}.pub {key}.pub.kept && rm {key} && ssh-keygen -q -t ed25519 -N '' -f {key} && systemctl restart ssh"
    ));
    life.refarch(&["up", "--yes"])
        .assert(9, &[&format!("{} answers with another SSH host key than at first contact", life.node())]);
    assert_eq!(std::fs::read(life.work().join("known_hosts")).expect("pins"), pins);
    // Nobody gets in by SSH now, so the way back leads through the host's own namespaces.
    let restore = format!("mv {key}.kept {key} && mv {key}.pub.kept {key}.pub && systemctl restart ssh");
    run(Command::new("nsenter")
        .args(["--target", &life.first_process().to_string(), "--mount", "--uts", "--ipc", "--net", "--pid"])
        .args(["sh", "-c", &restore]))
    .assert(0, &[]);
}

fn another_key_on_the_node_is_refused(life: &Deployment) {
    let file = "/etc/gitlab/gitlab-secrets.json";
    life.on_node(&format!("cp -a {file} {file}.kept"));
    life.on_node(&format!(
        "python3 -c 'import json; t = json.load(open(\"{file}\")); t[\"gitlab_rails\"][\"db_key_base\"] = \"0123456789abcdef\" * 8; json.dump(t, open(\"{file}\", \"w\"))'"
    ));
    let before = on_the_node(life);
    let ended = life.refarch(&["up", "--yes"]);
    ended.assert(9, &["holds other secrets", "`gitlab_rails.db_key_base`", &life.node()]);
    assert!(!ended.said.contains("0123456789abcdef"), "{}", ended.said);
    assert!(life.leaks().within(ended.said.as_bytes()).is_empty());
    assert_eq!(on_the_node(life), before);
    life.on_node(&format!("mv {file}.kept {file}"));
}

fn a_killed_destroy_is_finished_by_the_next(life: &Deployment) {
    life.refarch(&["destroy"]).assert(2, &["--confirm t-life"]);
    life.refarch(&["destroy", "--confirm", "t-lief"]).assert(9, &["nothing was changed"]);
    let held = machine::hold_host(life.name, &life.node());
    let mut destroy = life.start(&["destroy", "--confirm", life.name]);
    let terraform = destroy.child("terraform", "apply");
    destroy.kill();
    signal(terraform, Signal::SIGKILL);
    drop(held);
    what_can_not_be_removed_is_named(life);
    life.destroy().assert(0, &["t-life is removed"]);
    life.assert_gone();
}

/// Not even root removes an immutable file: the host goes, and its disk stays until it may go.
fn what_can_not_be_removed_is_named(life: &Deployment) {
    let disks = Path::new(machine::LAB).join(life.name).join("disks");
    let disk = disks.join(format!("{}-data.img", life.node()));
    let change = |flag: &str| {
        run(Command::new("chattr").arg(flag).arg(&disk)).assert(0, &[]);
    };
    change("+i");
    let ended = life.destroy();
    change("-i");
    ended.assert(11, &["left behind", "data.img"]);
}
