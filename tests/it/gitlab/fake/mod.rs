//! A fake GitLab in the test's own process, made from GitLab's documentation, with faults that can be switched.
//!
//! It is not GitLab. It answers the calls that `verify` makes as docs.gitlab.com describes them (REST API of 18.11:
//! groups, projects, deploy keys, Markdown uploads, generic packages, issues, merge requests, branches, pipelines,
//! jobs, metadata, personal access tokens, GraphQL; the Git LFS batch API), with git's own `http-backend` and the
//! real `sshd` over real repositories. Its state is in memory, and all of it goes with it.

mod about;
mod answer;
mod certificate;
mod git;
mod groups;
mod merging;
mod pipelines;
mod projects;
mod proxy;
mod route;
mod server;
mod ssh;
mod state;
mod storing;
mod switches;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

pub use certificate::Certificate;
pub use proxy::Proxy;
pub use route::Endpoint;
pub use state::{State, Token};
pub use switches::{Fault, Lie, SshDoor, Switches, Writes};

/// The fakes' own threads, so that a test that blocks does not stop what it tests against.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});

/// Where a fake stands and how it is found.
#[derive(Clone, Debug)]
pub struct Site {
    /// The name in its URL; it needs no DNS, because everyone is told the address.
    pub name: &'static str,
    pub certificate: Certificate,
    pub ipv6: bool,
    /// A relative URL root: nothing, or `/path`.
    pub root: &'static str,
    /// How long each answer takes, so that requests can overlap.
    pub latency: Duration,
}

impl Default for Site {
    fn default() -> Self {
        let latency = Duration::from_millis(1);
        let certificate = Certificate::Good;
        Self { name: "gitlab.acme.example", certificate, ipv6: false, root: "", latency }
    }
}

/// One request, as it was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    pub endpoint: Endpoint,
    pub path: String,
    pub writes: bool,
    pub status: u16,
}

/// What all parts of one fake share.
pub struct Shared {
    folder: Utf8PathBuf,
    /// Its URL as people write it, without a slash at the end.
    url: String,
    root: String,
    ssh_url: String,
    latency: Duration,
    state: Mutex<State>,
    switches: Mutex<Switches>,
    seen: Mutex<Vec<Seen>>,
    unknown: Mutex<Vec<String>>,
    leaks: Mutex<Vec<String>>,
    flying: AtomicUsize,
    most: AtomicUsize,
}

/// A request under way.
struct Flight<'a>(&'a Shared);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.flying.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn switches(&self) -> MutexGuard<'_, Switches> {
        self.switches.lock().unwrap()
    }

    fn take_off(&self) -> Flight<'_> {
        let now = self.flying.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        Flight(self)
    }

    fn note(&self, seen: Seen) {
        self.seen.lock().unwrap().push(seen);
    }

    fn note_unknown(&self, method: &str, path: &str) {
        self.unknown.lock().unwrap().push(format!("{method} {path}"));
    }

    /// Notes every process of this machine whose command line holds a token.
    fn look_for_leaks(&self) {
        let tokens: Vec<String> = self.state().tokens.keys().cloned().collect();
        let lines = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let line = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
            Some(String::from_utf8_lossy(&line).replace('\0', " "))
        });
        let found = lines.filter(|line| tokens.iter().any(|token| line.contains(token)));
        self.leaks.lock().unwrap().extend(found);
    }
}

/// A running fake, which ends with its last test.
pub struct Fake {
    pub address: SocketAddr,
    pub ca_pem: String,
    shared: Arc<Shared>,
    web: JoinHandle<()>,
    ssh: JoinHandle<()>,
    _folder: TempDir,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.web.abort();
        self.ssh.abort();
    }
}

impl Fake {
    /// A healthy one, with the name of the examples.
    pub fn start() -> Self {
        Self::at(&Site::default())
    }

    pub fn at(site: &Site) -> Self {
        let ip = if site.ipv6 { IpAddr::from(Ipv6Addr::LOCALHOST) } else { Ipv4Addr::LOCALHOST.into() };
        let listen = || RUNTIME.block_on(TcpListener::bind((ip, 0))).unwrap();
        // A test may run on a runtime of its own, where blocking is not allowed.
        let (web, git) = std::thread::scope(|scope| scope.spawn(|| (listen(), listen())).join().unwrap());
        let (address, git_port) = (web.local_addr().unwrap(), git.local_addr().unwrap().port());
        let keep = tempfile::Builder::new().prefix("fake-gitlab-").tempdir().unwrap();
        let folder = Utf8PathBuf::from_path_buf(keep.path().canonicalize().unwrap()).unwrap();
        ssh::prepare(&folder);
        fs_err::create_dir(folder.join("repositories")).unwrap();
        let (ca_pem, tls) = certificate::make(site.certificate, site.name.trim_matches(['[', ']']));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            folder,
            url: format!("{scheme}://{}:{}{}", site.name, address.port(), site.root),
            root: site.root.to_owned(),
            ssh_url: format!("ssh://{}@{}:{git_port}", ssh::user(), site.name),
            latency: site.latency,
            state: Mutex::default(),
            switches: Mutex::default(),
            seen: Mutex::default(),
            unknown: Mutex::default(),
            leaks: Mutex::default(),
            flying: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        Self {
            address,
            ca_pem,
            web: RUNTIME.spawn(server::serve(shared.clone(), web, tls)),
            ssh: RUNTIME.spawn(ssh::serve(shared.clone(), git)),
            shared,
            _folder: keep,
        }
    }

    /// Its URL, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    pub fn folder(&self) -> &Utf8Path {
        &self.shared.folder
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    pub fn switches(&self) -> MutexGuard<'_, Switches> {
        self.shared.switches()
    }

    /// Makes one endpoint go wrong.
    pub fn breaks(&self, endpoint: Endpoint, fault: Fault) {
        self.switches().set(endpoint, fault);
    }

    /// Makes it say that something is done which is not.
    pub fn lies(&self, lie: Lie) {
        self.switches().lies.push(lie);
    }

    /// Closes the port of SSH.
    pub fn closes_ssh(&self) {
        self.ssh.abort();
        while !self.ssh.is_finished() {
            std::thread::yield_now();
        }
    }

    /// A fresh token of an administrator with these scopes, good until tomorrow.
    pub fn token(&self, scopes: &[&str]) -> String {
        let end = Timestamp::now() + SignedDuration::from_hours(24);
        let token = Token {
            scopes: scopes.iter().map(ToString::to_string).collect(),
            expires_at: end.strftime("%Y-%m-%d").to_string(),
            revoked: false,
            expired: false,
            admin: true,
        };
        self.add_token(token)
    }

    pub fn add_token(&self, token: Token) -> String {
        let mut state = self.state();
        let id = state.next_id();
        let value = format!("glpat-{id:04}{:016x}", rand::random::<u64>());
        state.tokens.insert(value.clone(), token);
        value
    }

    /// A group that is there already.
    pub fn group(&self, parent: Option<u64>, path: &str, age: SignedDuration) -> u64 {
        self.state().add_group(parent, path, Timestamp::now() - age)
    }

    /// The full paths of all groups, projects and deploy keys that are there.
    pub fn holds(&self) -> Vec<String> {
        let state = self.state();
        let groups = state.groups.keys().map(|id| state.full_path(*id));
        let projects = state.projects.values().map(|project| state.project_path(project));
        let keys = state.keys.values().map(|key| format!("deploy key {}", key.title));
        groups.chain(projects).chain(keys).collect()
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Calls that no page of the documentation that the fake was made from describes.
    pub fn unknown(&self) -> Vec<String> {
        self.shared.unknown.lock().unwrap().clone()
    }

    /// Command lines that held a token while git was asking.
    pub fn leaks(&self) -> Vec<String> {
        self.shared.leaks.lock().unwrap().clone()
    }

    /// The most requests that were ever under way at once.
    pub fn most_at_once(&self) -> usize {
        self.shared.most.load(Ordering::SeqCst)
    }
}
