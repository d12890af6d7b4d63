//! Bad luck on a 3k: its first build is killed again and again, and then it loses a node of every tier with its disk. What
//! was pushed before is there after each of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;

use super::deployment::Deployment;
use super::ended::Ended;
use super::machine;
use super::process::{Running, run, signal, wait_for};

const THREE: &str = include_str!("../../examples/lab-3k.yml");
const TWO: &str = include_str!("../../examples/lab-2k.yml");
const TOKEN: &str = "glpat-luck-of-the-lab-1";
/// How often a verdict is asked for that has to become good. Praefect fills an empty storage within five minutes.
const TRIES: usize = 40;

/// For `make soak`.
#[test]
fn soak_three_kills_and_the_loss_of_a_node_of_every_tier() {
    let cluster = Deployment::of_example("t-luck", THREE);
    killed_while_it_prepares(&cluster);
    killed_in_the_middle(&cluster);
    a_host_dies_while_it_is_configured(&cluster);
    killed_while_it_migrates(&cluster);
    cluster.refarch(&["up", "--yes"]).assert(0, &["t-luck is up"]);
    let mut project = Project::new(&cluster, "rails-1");
    the_primary_of_redis_is_lost(&cluster, &mut project);
    a_gitaly_is_lost(&cluster, &mut project);
    a_replica_and_then_the_leader_of_the_database_are_lost(&cluster, &mut project);
    a_server_of_consul_is_lost(&cluster, &mut project);
    is_filled(&cluster, "gitaly-1");
    what_nobody_else_holds_is_refused(&cluster, &["redis-1", "redis-2", "praefect-postgres-1"]);
}

/// For `make soak`: where one node alone holds its data.
#[test]
fn soak_a_2k_loses_no_data_without_a_word() {
    let cluster = Deployment::of_example("t-luck-2k", TWO);
    cluster.up();
    let mut project = Project::new(&cluster, "rails-1");
    for node in ["postgres-1", "gitaly-1", "redis-1"] {
        project.push();
        cluster.lose_host(node);
        cluster.up();
        project.assert_clones();
    }
    what_nobody_else_holds_is_refused(&cluster, &["postgres-1", "gitaly-1"]);
}

fn killed_while_it_prepares(cluster: &Deployment) {
    let mut up = cluster.start(&["up", "--yes"]);
    up.child("ansible-playbook", "prepare.yml");
    up.task("Install and hold the package");
    up.kill();
}

fn killed_in_the_middle(cluster: &Deployment) {
    let mut up = cluster.start(&["up", "--yes"]);
    step(&mut up, "gitaly-2");
    working(&mut up, "t-luck-gitaly-2");
    up.kill();
}

/// It is reported, its neighbours finish, and the next step does not begin. The next run makes it anew.
fn a_host_dies_while_it_is_configured(cluster: &Deployment) {
    let mut up = cluster.start(&["up", "--yes"]);
    step(&mut up, "postgres-3");
    working(&mut up, "t-luck-postgres-3");
    cluster.kill_host("postgres-3");
    up.end().assert(6, &["configure failed", "t-luck-postgres-3", "No later step was begun"]);
    let steps = steps(&up);
    let last = steps.last().expect("steps");
    assert!(last.contains("postgres-3"), "{steps:?}");
    for node in last.split(' ').filter_map(|word| word.trim_end_matches(',').strip_prefix("t-luck-")) {
        if node != "postgres-3" {
            cluster.on(node, "test -e /etc/gitlab/refarch-stamp.json");
        }
    }
}

fn killed_while_it_migrates(cluster: &Deployment) {
    let mut up = cluster.start(&["up", "--yes"]);
    step(&mut up, "configure t-luck-rails-1 alone");
    let is_migrating = || {
        let ended = cluster.try_on("rails-1", "test -e /etc/gitlab/refarch-migrate.rb");
        (ended.code == Some(0)).then_some(())
    };
    wait_for("the migrations", is_migrating);
    up.kill();
}

/// Waits for the step that configures a node.
fn step(up: &mut Running, node: &str) {
    up.event(&format!("the step of {node}"), |event| {
        let is_it = event["type"] == "step_started"
            && event["what"].as_str()?.starts_with("configure")
            && event["what"].as_str()?.contains(node);
        is_it.then_some(())
    });
}

fn working(up: &mut Running, node: &str) {
    up.event(&format!("work on {node}"), |event| {
        let is_it = event["type"] == "node_task"
            && event["node"] == node
            && event["task"].as_str()?.ends_with("Run gitlab-ctl reconfigure");
        is_it.then_some(())
    });
}

fn steps(up: &Running) -> Vec<String> {
    let events = up.events();
    let steps = events.iter().filter(|event| event["type"] == "step_started");
    steps.filter_map(|event| Some(event["what"].as_str()?.to_owned())).collect()
}

/// The group's data is with the replica that was promoted, and the new node takes it from there.
fn the_primary_of_redis_is_lost(cluster: &Deployment, project: &mut Project<'_>) {
    let before = primary_of_redis(cluster);
    project.push();
    cluster.on(&before, "gitlab-redis-cli set luck kept");
    cluster.lose_with_its_disk(&before);
    rebuilt(cluster, &before, "leads its group of Redis");
    project.assert_clones();
    let gitlab_rb = cluster.on(&before, "cat /etc/gitlab/gitlab.rb");
    assert!(gitlab_rb.contains("redis_replica_role") && !gitlab_rb.contains("redis_master_role"));
    proven(cluster);
    let after = primary_of_redis(cluster);
    assert_ne!(after, before);
    for node in ["redis-1", "redis-2", "redis-3"] {
        let kept = cluster.on(node, "gitlab-redis-cli get luck");
        assert!(kept.contains("kept"), "{node}: {kept}");
    }
    // It has led nobody, not even at its start: then it would have had no primary to synchronise with.
    let log = cluster.on(&before, "cat /var/log/gitlab/redis/current");
    let first = log.lines().find(|line| line.contains("MASTER") || line.contains("replica"));
    assert!(first.is_some_and(|line| line.contains("REPLICA") || line.contains("replica")), "{first:?}");
}

fn primary_of_redis(cluster: &Deployment) -> String {
    let leads = |node: &&str| {
        let told = cluster.try_on(node, "gitlab-redis-cli info replication").said;
        told.contains("role:master")
    };
    wait_for("a primary of Redis", || {
        let found: Vec<&str> = ["redis-1", "redis-2", "redis-3"].into_iter().filter(leads).collect();
        (found.len() == 1).then(|| found[0].to_owned())
    })
}

/// What comes back empty is filled from the others within minutes, and nobody reads from it before.
fn a_gitaly_is_lost(cluster: &Deployment, project: &mut Project<'_>) {
    project.push();
    cluster.lose_with_its_disk("gitaly-1");
    rebuilt(cluster, "gitaly-1", "is current on another Gitaly");
    for _ in 0..4 {
        project.assert_clones();
    }
}

/// A storage that came back empty has the repositories again.
fn is_filled(cluster: &Deployment, node: &str) {
    let find = "find /var/opt/gitlab/git-data/repositories/@hashed -name '*.git' -not -name '*.wiki.git'";
    let found = cluster.on(node, find);
    assert!(found.contains(".git"), "nothing was filled: {found}");
}

fn a_replica_and_then_the_leader_of_the_database_are_lost(cluster: &Deployment, project: &mut Project<'_>) {
    let (leader, replica) = patroni(cluster);
    for node in [replica, leader] {
        project.push();
        cluster.lose_with_its_disk(&node);
        rebuilt(cluster, &node, "leads the database");
        project.assert_clones();
        proven(cluster);
    }
}

/// The leader of the database, and one that isn't.
fn patroni(cluster: &Deployment) -> (String, String) {
    let told = cluster.on("postgres-1", "gitlab-ctl get-postgresql-primary");
    let address = told.trim().rsplit(':').nth(1).expect("an address").to_owned();
    let (leads, rest): (Vec<_>, Vec<_>) = ["postgres-1", "postgres-2", "postgres-3"]
        .into_iter()
        .partition(|node| address.ends_with(&cluster.address_of(node)));
    (leads.first().unwrap_or_else(|| panic!("{told}")).to_string(), rest[0].to_owned())
}

fn a_server_of_consul_is_lost(cluster: &Deployment, project: &mut Project<'_>) {
    project.push();
    cluster.lose_with_its_disk("consul-1");
    rebuilt(cluster, "consul-1", "servers of Consul live");
    project.assert_clones();
    proven(cluster);
}

/// Nothing is made, changed or forgotten, and every node is named.
fn what_nobody_else_holds_is_refused(cluster: &Deployment, nodes: &[&str]) {
    for node in nodes {
        cluster.lose_with_its_disk(node);
    }
    let before = (cluster.inspect(), cluster.secrets());
    let ended = cluster.refarch(&["up", "--yes"]);
    ended.assert(9, &["a data disk is gone"]);
    for node in nodes {
        ended.assert(9, &[&format!("disk `data` of node `{}-{node}`", cluster.name)]);
    }
    assert!((cluster.inspect(), cluster.secrets()) == before, "something was changed");
}

/// One run makes the node anew, without a word about its data, and says who holds it.
fn rebuilt(cluster: &Deployment, node: &str, proof: &str) {
    let mut up = cluster.start(&["up", "--yes"]);
    up.end().assert(0, &["is replaced without a loss", proof, &format!("{}-{node}", cluster.name)]);
    let given_up = up.events().iter().filter(|event| event["type"] == "data_given_up").count();
    assert_eq!(given_up, 0);
    let stamped = cluster.on(node, "cat /etc/gitlab/refarch-stamp.json");
    assert!(stamped.contains(cluster.name), "{stamped}");
}

/// Healthy as a cluster, as soon as what was made anew has settled.
fn proven(cluster: &Deployment) {
    let path = cluster.folder().join("verdict.json");
    let args = ["verify", "--level", "cluster", "--json", path.to_str().expect("UTF-8")];
    let mut ended: Option<Ended> = None;
    for _ in 0..TRIES {
        let now = cluster.refarch(&args);
        if now.code == Some(0) {
            return;
        }
        ended = Some(now);
    }
    ended.expect("a verdict").assert(0, &[]);
}

/// A project that is pushed to before something happens, and cloned after it.
struct Project<'a> {
    cluster: &'a Deployment,
    folder: PathBuf,
    /// Where GitLab is: its host, the address behind it, and the authority of its certificate.
    host: String,
    address: String,
    commits: usize,
}

impl<'a> Project<'a> {
    fn new(cluster: &'a Deployment, rails: &str) -> Self {
        let ruby = format!(
            "token = User.find_by_username('root').personal_access_tokens.create(scopes: ['api'], name: 'luck', \
             expires_at: 2.days.from_now)\ntoken.set_token('{TOKEN}')\ntoken.save!"
        );
        cluster.on(rails, &format!("gitlab-rails runner \"{ruby}\""));
        let spec = std::fs::read_to_string(cluster.spec()).expect("a spec");
        let url = spec.lines().find_map(|line| line.trim().strip_prefix("url: https://")).expect("a URL");
        let address = cluster.address_of("external-lb-1");
        let folder = cluster.folder().join("project");
        let project = Self { cluster, folder, host: url.trim().to_owned(), address, commits: 0 };
        let made = project.api("projects", &["name=luck"]);
        assert_eq!(made["path_with_namespace"], "root/luck", "{made}");
        project.git(cluster.folder(), &["init", "--quiet", "--initial-branch", "main", "project"]);
        project
    }

    fn ca(&self) -> PathBuf {
        self.cluster.work().join("ca.pem")
    }

    fn api(&self, path: &str, fields: &[&str]) -> Value {
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "60", "--cacert"])
            .arg(self.ca())
            .args(["--resolve", &format!("{}:443:{}", self.host, self.address)])
            .args(["--header", &format!("PRIVATE-TOKEN: {TOKEN}")])
            .arg(format!("https://{}/api/v4/{path}", self.host));
        for field in fields {
            command.args(["--data", field]);
        }
        let said = run(&mut command).said;
        serde_json::from_str(&said).unwrap_or_else(|_| panic!("{path}: {said}"))
    }

    fn try_git(&self, folder: &Path, args: &[&str]) -> Ended {
        let mut command = Command::new("git");
        command
            .current_dir(folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.cluster.folder())
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_SSL_CAINFO", self.ca())
            .args(["-c", &format!("http.curloptResolve={}:443:{}", self.host, self.address)])
            .args(["-c", "user.name=Luck", "-c", "user.email=luck@example.com"])
            .args(args);
        run(&mut command)
    }

    #[track_caller]
    fn git(&self, folder: &Path, args: &[&str]) -> String {
        let ended = self.try_git(folder, args);
        assert_eq!(ended.code, Some(0), "git {args:?}: {}", ended.said);
        ended.said
    }

    fn url(&self) -> String {
        format!("https://oauth2:{TOKEN}@{}/root/luck.git", self.host)
    }

    /// Another commit, before the next event.
    #[track_caller]
    fn push(&mut self) {
        self.commits += 1;
        let content = format!("the {}th commit\n", self.commits).repeat(500);
        std::fs::write(self.folder.join(format!("file-{}", self.commits)), content).expect("a file");
        self.git(&self.folder, &["add", "--all"]);
        self.git(&self.folder, &["commit", "--quiet", "--message", "another"]);
        self.git(&self.folder, &["push", "--quiet", &self.url(), "main"]);
    }

    /// A clone has all that was pushed.
    #[track_caller]
    fn assert_clones(&self) {
        let clone = self.cluster.folder().join("clone");
        let _ = std::fs::remove_dir_all(&clone);
        self.git(self.cluster.folder(), &["clone", "--quiet", &self.url(), "clone"]);
        let head = |folder: &Path| self.git(folder, &["rev-parse", "HEAD"]);
        assert_eq!(head(&clone), head(&self.folder));
        for commit in 1..=self.commits {
            let file = format!("file-{commit}");
            let read = |folder: &Path| std::fs::read(folder.join(&file)).expect("a file");
            assert!(read(&clone) == read(&self.folder), "{file} differs");
        }
    }
}

impl Deployment {
    /// Takes a host away at once. Its disk stays.
    fn lose_host(&self, node: &str) {
        run(&mut Self::lab(&["destroy", self.name, &format!("{}-{node}", self.name)])).assert(0, &[]);
    }

    /// Takes a host away at once, and its data disk with it.
    fn lose_with_its_disk(&self, node: &str) {
        self.lose_host(node);
        machine::remove_disk(self.name, &format!("{}-{node}", self.name));
    }

    /// Ends one of several nodes as a power cut does: everything in it, and what keeps it.
    fn kill_host(&self, node: &str) {
        let node = format!("{}-{node}", self.name);
        let found = self.inspect();
        let mut hosts = found["hosts"].as_array().expect("hosts").iter();
        let host = hosts.find(|host| host["name"] == node.as_str()).expect("the node");
        let supervisor = host["process"].as_u64().filter(|pid| *pid != 0).expect("it runs");
        let children = std::fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children"));
        let first = children.expect("its children").trim().parse().expect("one child");
        signal(first, Signal::SIGKILL);
    }
}
