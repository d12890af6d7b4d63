//! One verification of a fake, with everything noted that it left or gave away.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use camino::{Utf8Path, Utf8PathBuf};
use refarch::checks::{
    self, Check, GroupName, Level, Options, Patience, Proxy, SshAccess, Target, Verdict, WantedVersion,
};
use refarch::events::{self, Finding, Status};
use refarch::process::{Ambient, Interrupts, Parts, Redactor, Runner};
use secrecy::SecretString;
use tempfile::TempDir;
use url::Url;

use super::fake::Fake;

/// Long enough for a very busy machine; what never answers is tried with less.
pub const PATIENCE: Patience =
    Patience { deadline: Duration::from_secs(30), attempt: Duration::from_secs(15) };

/// What is going to be verified, and how; all of it may be changed before it runs.
pub struct Trial {
    pub fake: Arc<Fake>,
    pub target: Target,
    pub options: Options,
    pub ambient: BTreeMap<String, String>,
    pub interrupts: Interrupts,
    pub token: String,
    root: Utf8PathBuf,
    _keep: TempDir,
}

impl Trial {
    /// A verification of everything that can be asked of a GitLab by its URL.
    pub fn of(fake: Fake) -> Self {
        Self::sharing(Arc::new(fake))
    }

    /// Another verification of the same fake.
    pub fn neighbour(&self) -> Self {
        Self::sharing(self.fake.clone())
    }

    fn sharing(fake: Arc<Fake>) -> Self {
        let keep = tempfile::Builder::new().prefix("trial-").tempdir().unwrap();
        let root = Utf8PathBuf::from_path_buf(keep.path().canonicalize().unwrap()).unwrap();
        for folder in ["bin", "home", "logs", "tmp"] {
            fs_err::create_dir(root.join(folder)).unwrap();
        }
        for program in ["git", "ssh", "ssh-keygen"] {
            wrap(&root, program);
        }
        let path = format!("{root}/bin:/usr/bin:/bin");
        let ambient =
            [("PATH", path), ("HOME", root.join("home").into()), ("TMPDIR", root.join("tmp").into())];
        let token = fake.token(&["api"]);
        let target = Target {
            deployment: None,
            url: Url::parse(fake.url()).unwrap(),
            address: Some(fake.address.ip()),
            ca_pem: Some(fake.ca_pem.clone()),
            nodes: Vec::new(),
            standin: None,
            wanted: Some(WantedVersion { version: "18.11.2".to_owned(), enterprise: true }),
            token: Ok(SecretString::from(token.as_str())),
            group: GroupName::Own,
            ssh: SshAccess::default(),
            proxy: Proxy::None,
        };
        let run = format!("{:08x}", rand::random::<u32>());
        let deepest = Level::ALL.into_iter().max().unwrap();
        let options = Options { patience: PATIENCE, ..Options::new(deepest, root.join("scratch"), run) };
        Self {
            fake,
            target,
            options,
            ambient: ambient.map(|(name, value)| (name.to_owned(), value)).into(),
            interrupts: Interrupts::default(),
            token,
            root,
            _keep: keep,
        }
    }

    /// With this token instead of a good one.
    pub fn with_token(&mut self, token: String) {
        self.target.token = Ok(SecretString::from(token.as_str()));
        self.token = token;
    }

    /// On a machine that lacks one of the programs.
    pub fn lacking(mut self, program: &str) -> Self {
        fs_err::remove_file(self.root.join("bin").join(program)).unwrap();
        self.ambient.insert("PATH".to_owned(), self.root.join("bin").into());
        self
    }

    pub fn only(mut self, checks: &[Check]) -> Self {
        self.options.only = Some(checks.iter().copied().collect::<BTreeSet<_>>());
        self
    }

    /// Verifies, and makes sure that nothing was given away and nothing is left on this machine.
    pub async fn verdict(&self) -> Verdict {
        let verdict = self.attempt().await.expect("nobody interrupts it");
        for finding in &verdict.findings {
            assert_eq!(finding.status == Status::Pass, finding.remedy.is_none(), "{finding:#?}");
        }
        verdict
    }

    /// The same, where it may be interrupted.
    pub async fn attempt(&self) -> Result<Verdict, checks::Interrupted> {
        let redactor = Redactor::default();
        let (events, writer) = events::start(events::Options {
            run: self.options.run_id.clone(),
            path: self.root.join("logs/events.jsonl"),
            redactor: redactor.clone(),
            readers: Vec::new(),
        })
        .unwrap();
        let runner = Runner::new(Parts {
            logs: self.root.join("logs"),
            redactor,
            events,
            interrupts: self.interrupts.clone(),
            ambient: self.ambient.clone().into_iter().collect::<Ambient>(),
            lock: None,
        });
        let verdict = checks::verify(&self.target, &self.options, &runner).await;
        drop(runner);
        assert!(writer.finish().file_error.is_none());
        self.assert_discreet(verdict.as_ref().ok());
        verdict
    }

    fn assert_discreet(&self, verdict: Option<&Verdict>) {
        // The beginning of a token says enough; a text that was cut may hold no more of it.
        let pair = BASE64_STANDARD.encode(format!("oauth2:{}", self.token));
        let tells = |text: &str| text.contains(&self.token[..12]) || text.contains(&pair[..24]);
        for file in files(&self.root) {
            let text = String::from_utf8_lossy(&fs_err::read(&file).unwrap()).into_owned();
            assert!(!tells(&text), "{file} holds the token");
            let mode = fs_err::metadata(&file).unwrap().permissions().mode() & 0o777;
            let ours = file.starts_with(self.root.join("bin")) || file.ends_with("argv");
            assert!(ours || mode.trailing_zeros() >= 6, "{file} is open to others: {mode:o}");
        }
        assert!(!tells(&format!("{verdict:?}")), "a finding holds the token");
        assert!(files(&self.options.scratch).is_empty(), "left: {:?}", files(&self.options.scratch));
        assert!(files(&self.root.join("tmp")).is_empty(), "left: {:?}", files(&self.root.join("tmp")));
        assert_eq!(self.fake.leaks(), Vec::<String>::new(), "a command line held the token");
        assert_eq!(
            self.fake.unknown(),
            Vec::<String>::new(),
            "calls that are not documented, or not known here"
        );
        // Each verification has its own eight.
        let allowed = 8 * Arc::strong_count(&self.fake);
        assert!(self.fake.most_at_once() <= allowed, "{} requests at once", self.fake.most_at_once());
    }

    /// The command lines of git, ssh and ssh-keygen so far.
    pub fn commands(&self) -> Vec<String> {
        let noted = fs_err::read_to_string(self.root.join("argv")).unwrap_or_default();
        noted.lines().map(ToOwned::to_owned).collect()
    }
}

/// Puts a program into the trial's `PATH` that notes how it is called and becomes the real one.
fn wrap(root: &Utf8Path, program: &str) {
    let path = root.join("bin").join(program);
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"{program} $*\" >> {root}/argv\nexec /usr/bin/{program} \"$@\"\n"
    );
    fs_err::write(&path, script).unwrap();
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// All files below a folder, which may be missing.
fn files(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let Ok(entries) = folder.read_dir_utf8() else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().into_path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The checks that did not pass, with how they ended.
pub fn not_passed(verdict: &Verdict) -> BTreeMap<&str, Status> {
    let findings = verdict.findings.iter().filter(|finding| finding.status != Status::Pass);
    findings.map(|finding| (finding.check.as_str(), finding.status)).collect()
}

/// The finding of one check.
pub fn of(verdict: &Verdict, check: Check) -> &Finding {
    let found = verdict.findings.iter().find(|finding| finding.check == check.name());
    found.unwrap_or_else(|| panic!("`{check}` has no finding"))
}

/// The words of what did not pass, as a reader gets them.
pub fn words(verdict: &Verdict) -> String {
    let told = verdict.findings.iter().filter(|finding| finding.status != Status::Pass).map(|finding| {
        let status = format!("{:?}", finding.status).to_lowercase();
        let remedy = finding.remedy.as_deref().unwrap_or_default();
        format!("{status} {}: {}\n     do: {remedy}\n", finding.check, finding.saw)
    });
    told.collect()
}
