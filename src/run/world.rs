//! All that a run works with: the deployment, its work directory, and the ways to the outside.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use secrecy::ExposeSecret as _;

use super::given::{Given, Inspected, Sources};
use super::{
    Error, GivenUp,
    bind::{delivered_secrets, sha256_of_file},
    identity,
    identity::AUTHORITY,
    lab::Lab,
    losses,
};
use crate::architecture::{self, Component};
use crate::checks::preflight::{Check, Waiver, wants};
use crate::deployment::{Deployment, NodeName, SecretName, resolve};
use crate::events::{self, Kind, Reader, Sender, Writer};
use crate::process::{Ambient, Interrupts, Parts, Redactor, Runner};
use crate::render::{self, Bound, Identity, Inputs, LocalFile, Tree};
use crate::spec::{Package, SecretReference, Spec, Tls, TlsFiles};
use crate::terraform;
use crate::workdir::{self, Certificate, Claim, Lock, Run, Secrets, Workdir};

/// What a command asks for before anything is known.
pub struct Request {
    /// The spec's path.
    pub spec_path: Utf8PathBuf,
    /// The spec.
    pub spec: Spec,
    /// The command as the user gave it.
    pub command: String,
    /// Who shows the events.
    pub readers: Vec<Box<dyn Reader>>,
    /// The user's wishes to stop.
    pub interrupts: Interrupts,
    /// refarch's own environment.
    pub ambient: Ambient,
}

/// All that a run works with.
pub struct World {
    /// What to make.
    pub deployment: Deployment,
    /// Its work directory.
    pub workdir: Workdir,
    /// Its secrets. Empty, and not saved, until [`World::decide_secrets`].
    pub secrets: Secrets,
    /// Whether secrets were found in the work directory.
    pub secrets_known: bool,
    /// Takes secrets out of whatever is said.
    pub redactor: Redactor,
    /// Takes events.
    pub events: Sender,
    /// Starts programs.
    pub runner: Runner,
    /// This run's directory.
    pub run: Run,
    /// The parts of the lab.
    pub lab: Lab,
    /// The user's wishes to stop.
    pub interrupts: Interrupts,
    /// Which of Terraform and OpenTofu the user wants.
    pub tool: terraform::Wish,
    /// The nodes whose data the user gave up beforehand.
    pub accepted: BTreeSet<String>,
    /// The checks of preflight that the user leaves out, with his reasons.
    pub waived: Vec<Waiver>,
    /// What of it this run has lost.
    pub given_up: Vec<GivenUp>,
    /// What the user gives beside the spec; absent in a run that needs none of it, or has not come to it.
    pub given: Option<Given>,
    /// Asked for at every rendering, and a real package takes seconds to hash.
    local_file: OnceCell<LocalFile>,
    spec_folder: Utf8PathBuf,
    writer: Option<Writer>,
    /// What a test delivers otherwise than it should be.
    #[cfg(feature = "lab-tests")]
    pub(super) mistake: Option<super::mistake::Mistake>,
}

/// What a look at a deployment needs.
pub(super) struct Look {
    pub deployment: Deployment,
    pub workdir: Workdir,
    pub secrets: Secrets,
    pub runner: Runner,
    pub lab: Lab,
}

impl World {
    /// Takes the lock, waits for what a killed run left at work, and starts the record of this run.
    pub async fn open(request: Request) -> Result<Self, Error> {
        let Request { spec_path, spec, command, readers, interrupts, ambient } = request;
        let mut deployment = resolve(&spec, architecture::of_size(spec.architecture)?);
        let workdir = Workdir::open(&spec_path, spec.name.as_str())?;
        let (lock, leftover) = Lock::take(&workdir.lock_file(), Claim { command: command.clone() })?;
        let run = workdir.begin_run()?;
        let stored = Secrets::load(&workdir)?;
        let secrets_known = stored.is_some();
        let secrets = stored.unwrap_or_else(|| Secrets::new(crate::secrets::suffix()));
        deployment.follow(secrets.follows());
        let redactor = Redactor::knowing(&secrets.values());
        redactor.learn(&delivered_secrets(&workdir));
        let (events, writer) = events::start(events::Options {
            run: run.id.clone(),
            path: run.events(),
            redactor: redactor.clone(),
            readers,
        })
        .map_err(|error| Error::Events { path: run.events(), why: error.to_string() })?;
        events.send(Kind::RunStarted {
            command,
            deployment: deployment.name.to_string(),
            refarch: env!("CARGO_PKG_VERSION").to_owned(),
        });
        let lab = Lab::in_cache(&ambient.cache()?);
        let runner = Runner::new(Parts {
            logs: run.folder.clone(),
            redactor: redactor.clone(),
            events: events.clone(),
            interrupts: interrupts.clone(),
            ambient,
            lock: Some(lock.clone()),
        });
        let world = Self {
            deployment,
            spec_folder: spec_folder(&workdir),
            workdir,
            secrets,
            secrets_known,
            redactor,
            events,
            runner,
            run,
            lab,
            interrupts,
            tool: terraform::Wish::default(),
            accepted: BTreeSet::new(),
            waived: Vec::new(),
            given_up: Vec::new(),
            given: None,
            local_file: OnceCell::new(),
            writer: Some(writer),
            #[cfg(feature = "lab-tests")]
            mistake: super::mistake::Mistake::of_environment(|name| std::env::var(name).ok())?,
        };
        if let Some(leftover) = leftover {
            leftover.wait(&lock, &world.events, &world.interrupts).await?;
        }
        world.workdir.recover_runs(&world.run, &world.redactor)?;
        Ok(world)
    }

    /// A world to look at: nothing is locked, made or recorded for it, and its programs are logged in `logs`.
    pub(super) fn look(look: Look, logs: &Utf8Path) -> Self {
        let Look { mut deployment, workdir, secrets, runner, lab } = look;
        deployment.follow(secrets.follows());
        Self {
            deployment,
            spec_folder: spec_folder(&workdir),
            workdir,
            secrets,
            secrets_known: true,
            redactor: runner.redactor().clone(),
            events: Sender::nowhere(),
            interrupts: runner.interrupts().clone(),
            runner,
            run: Run { id: String::new(), folder: logs.to_owned() },
            lab,
            accepted: BTreeSet::new(),
            waived: Vec::new(),
            given_up: Vec::new(),
            given: None,
            tool: terraform::Wish::default(),
            local_file: OnceCell::new(),
            writer: None,
            #[cfg(feature = "lab-tests")]
            mistake: None,
        }
    }

    /// Closes the record of this run. What could not be written changes nothing of how the run ended, but should be
    /// told.
    pub fn close(&mut self, exit: u8, seconds: f64) -> Option<Error> {
        self.events.send(Kind::RunFinished { exit, seconds });
        let error = self.writer.take()?.finish().file_error?;
        Some(Error::Events { path: self.run.events(), why: error.to_string() })
    }

    /// Whether a check of preflight is to be asked.
    #[must_use]
    pub fn wants(&self, check: Check) -> bool {
        wants(&self.waived, check)
    }

    /// Reads what the user gives beside the spec, and checks it.
    pub fn take_given(&mut self) -> Result<(), Error> {
        let sources = Sources { ambient: self.runner.ambient(), folder: &self.spec_folder };
        let given =
            Given::take(&self.deployment, &self.deployment.given_secrets(), sources, jiff::Timestamp::now())
                .map_err(|reasons| Error::Given { reasons })?;
        self.redactor.learn(&given.secret_values());
        for warning in &given.warnings {
            self.events.warn(warning.message.clone(), Some(warning.help.clone()));
        }
        self.given = Some(given);
        Ok(())
    }

    /// Looks at what the user gives beside the spec, and keeps none of it: first the certificate, then the secrets.
    pub(super) fn look_at_given(&self) -> (Inspected, Inspected) {
        let sources = Sources { ambient: self.runner.ambient(), folder: &self.spec_folder };
        let look = |deployment: &Deployment, references: &[SecretReference]| {
            let given = Given::take(deployment, references, sources, jiff::Timestamp::now())?;
            self.redactor.learn(&given.secret_values());
            Ok(given.warnings)
        };
        let bare = Deployment { tls: Tls::default(), ..self.deployment.clone() };
        (look(&self.deployment, &[]), look(&bare, &bare.given_secrets()))
    }

    /// Where a path of the spec leads: a relative one starts at the spec's folder.
    pub(super) fn beside_spec(&self, path: &Utf8Path) -> Utf8PathBuf {
        self.spec_folder.join(path)
    }

    /// Decides every secret that is not decided yet, and keeps them before anybody gets one.
    pub async fn decide_secrets(&mut self) -> Result<(), Error> {
        identity::ensure_secrets(&mut self.secrets, &self.deployment)?;
        if self.secrets.ssh.is_none() {
            let comment = format!("refarch {}", self.deployment.name);
            self.secrets.ssh = Some(workdir::ssh_key(&self.runner, &comment).await?);
        }
        if self.secrets.host_keys.is_empty() && self.deployment.has(Component::Rails) {
            let host = self.deployment.gitlab.url.host();
            self.secrets.host_keys = workdir::host_keys(&self.runner, host).await?;
        }
        self.redactor.learn(&self.secrets.values());
        self.secrets.save(&self.workdir)?;
        self.secrets_known = true;
        if let Some(password) = self.secrets.named.get(SecretName::RootPassword.key()) {
            self.workdir
                .write_private(&self.root_password_file(), format!("{}\n", password.expose_secret()))?;
        }
        if let Some(key) = &self.secrets.ssh {
            self.workdir.write_private(&self.workdir.ssh_key(), key.private.expose_secret())?;
        }
        Ok(())
    }

    /// Takes note of the nodes whose data may go.
    pub fn accept_data_loss(&mut self, nodes: &[String]) -> Result<(), Error> {
        self.accepted = losses::accepted(nodes, &self.deployment, &self.secrets.data_disks)?;
        Ok(())
    }

    /// Renders all files, with addresses once they are known.
    pub fn render(&self, bound: Option<&Bound>) -> Result<Tree, Error> {
        let identity = Identity {
            suffix: self.secrets.suffix.clone(),
            ssh_public_key: self.secrets.ssh.as_ref().map(|key| key.public.clone()).unwrap_or_default(),
            work_directory: self.workdir.root().to_string(),
            lab_image: self.lab.image.to_string(),
        };
        let tree = render::render(Inputs {
            deployment: &self.deployment,
            identity: &identity,
            bound,
            local_file: self.local_file()?.as_ref(),
            known_disks: &self.known_disks(),
        })?;
        #[cfg(feature = "lab-tests")]
        let tree = {
            let mut tree = tree;
            self.mistake.as_ref().map_or(Ok(()), |mistake| mistake.put_into(&mut tree, bound.is_some()))?;
            tree
        };
        Ok(tree)
    }

    /// The file-system UUIDs of the data disks that were seen to hold data.
    #[must_use]
    pub fn known_disks(&self) -> BTreeMap<(NodeName, String), String> {
        let of_node = |node: &NodeName, disk: &String| {
            let known = self.secrets.data_disks.get(&disk_key(node, disk))?;
            Some(((node.clone(), disk.clone()), known.uuid.clone()?))
        };
        let nodes = self.deployment.nodes.values();
        nodes.flat_map(|node| node.data_disks.keys().filter_map(|disk| of_node(&node.name, disk))).collect()
    }

    /// Whether the deployment was verified as a whole once, as far as the store knows.
    #[must_use]
    pub fn built(&self) -> bool {
        #[cfg(feature = "lab-tests")]
        if self.mistake.is_some() {
            return false;
        }
        self.secrets.data_disks.values().any(|disk| disk.built)
    }

    /// Where the password of `root` lies, for the people who sign in first.
    #[must_use]
    pub fn root_password_file(&self) -> Utf8PathBuf {
        self.workdir.root().join("root-password")
    }

    /// The certificate that GitLab's address is served with, and its key.
    pub(super) fn certificate(&self) -> Result<&Certificate, Error> {
        let host = self.deployment.gitlab.url.host();
        match &self.deployment.tls {
            Tls::PrivateCa(_) => self.stored_certificate(host),
            Tls::Files(_) => {
                self.given.as_ref().and_then(|given| given.certificate.as_ref()).ok_or_else(|| {
                    Error::Outputs { why: "the certificate of `tls.files` was not read".into() }
                })
            }
        }
    }

    /// The only authority to trust; absent where it is a public one.
    pub(super) fn authority(&self) -> Result<Option<String>, Error> {
        match &self.deployment.tls {
            Tls::PrivateCa(_) => Ok(Some(self.stored_certificate(AUTHORITY)?.certificate.clone())),
            Tls::Files(TlsFiles { ca: None, .. }) => Ok(None),
            Tls::Files(TlsFiles { ca: Some(path), .. }) => {
                if let Some(ca) = self.given.as_ref().and_then(|given| given.ca.clone()) {
                    return Ok(Some(ca));
                }
                // A run that only checks reads no key, and the authority as it was delivered.
                let delivered = fs_err::read_to_string(self.workdir.ca());
                let path = self.spec_folder.join(path);
                let found = delivered.or_else(|_| fs_err::read_to_string(&path));
                let failed = |error: std::io::Error| Error::LocalFile { path, why: error.to_string() };
                found.map(Some).map_err(failed)
            }
        }
    }

    fn stored_certificate(&self, name: &str) -> Result<&Certificate, Error> {
        self.secrets
            .certificates
            .get(name)
            .ok_or_else(|| Error::Outputs { why: format!("no certificate was made for `{name}`") })
    }

    /// The package or the repository's key, where the spec names a file on this machine.
    fn local_file(&self) -> Result<Option<LocalFile>, Error> {
        if let Some(known) = self.local_file.get() {
            return Ok(Some(known.clone()));
        }
        let path = match &self.deployment.gitlab.package {
            Package::Standin {} => self.lab.standin_package(&self.deployment.package_version()),
            Package::File { path } | Package::Repository { key_file: path, .. } => {
                self.spec_folder.join(path)
            }
            Package::Url { .. } => return Ok(None),
        };
        let standin = matches!(self.deployment.gitlab.package, Package::Standin {});
        let sha256 = sha256_of_file(&path).map_err(|error| {
            if standin {
                Error::LabMissing { what: "stand-in package", path: path.clone() }
            } else {
                Error::LocalFile { path: path.clone(), why: error.to_string() }
            }
        })?;
        let found = LocalFile { path, sha256 };
        Ok(Some(self.local_file.get_or_init(|| found).clone()))
    }
}

/// The folder that the spec lies in, beside its work directory.
fn spec_folder(workdir: &Workdir) -> Utf8PathBuf {
    workdir.root().parent().and_then(Utf8Path::parent).map(Utf8Path::to_owned).unwrap_or_default()
}

/// How a data disk is named in the secrets store.
#[must_use]
pub fn disk_key(node: &NodeName, disk: &str) -> String {
    format!("{node}/{disk}")
}
