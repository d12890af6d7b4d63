//! Why a reconfigure stops.

/// A failed step: what, where, what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The package is broken.
    #[error(transparent)]
    Manifest(#[from] crate::manifest::Error),
    /// gitlab.rb is refused.
    #[error(transparent)]
    Settings(#[from] crate::settings::Error),
    /// gitlab.rb describes no node.
    #[error(transparent)]
    Site(#[from] crate::site::Error),
    /// The secrets can't be had.
    #[error(transparent)]
    Secrets(#[from] crate::secrets::Error),
    /// A file or directory resists.
    #[error("cannot {what} `{path}`: {source}")]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A user or group is missing.
    #[error("there is no {kind} `{name}`, and manage_accounts['enable'] is false: make it first")]
    Account {
        /// User or group.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// A program failed.
    #[error("`{program}` failed ({status}):\n{output}")]
    Program {
        /// What was run, without anything secret.
        program: String,
        /// How it ended.
        status: String,
        /// What it said.
        output: String,
    },
    /// The kernel refused a parameter.
    #[error(
        "sysctl: setting key \"{key}\": {reason}\nIn a container, the host owns the kernel parameters: write package['modify_kernel_parameters'] = false in gitlab.rb"
    )]
    Kernel {
        /// The parameter.
        key: String,
        /// What the kernel said.
        reason: std::io::Error,
    },
    /// Let's Encrypt would be needed.
    #[error(
        "letsencrypt_certificate[{host}]: no certificate can be fetched, because this is a {notice} without a way to acme-v02.api.letsencrypt.org ({why})\nPut the certificate in {certificate} and its key in {key}, and write letsencrypt['enable'] = false in gitlab.rb",
        notice = crate::paths::NOTICE
    )]
    LetsEncrypt {
        /// Host name.
        host: String,
        /// Why the package wants it.
        why: &'static str,
        /// Where the certificate belongs.
        certificate: String,
        /// Where the key belongs.
        key: String,
    },
    /// Something that is no certificate lies among the trusted ones.
    #[error(
        "Not a certificate: {path}. Move it from /etc/gitlab/trusted-certs to another place and reconfigure again"
    )]
    Certificate {
        /// The file.
        path: String,
    },
    /// The data directory belongs to another PostgreSQL.
    #[error(
        "`{directory}` was made by PostgreSQL {found}, this package runs PostgreSQL {wanted}: upgrade the data directory before the package"
    )]
    DataVersion {
        /// The data directory.
        directory: String,
        /// Its version.
        found: String,
        /// The package's.
        wanted: String,
    },
    /// A service doesn't come up.
    #[error("runit_service[{service}]: {reason}\nSee {log}")]
    Service {
        /// The service.
        service: &'static str,
        /// What it didn't do.
        reason: String,
        /// Its log.
        log: String,
    },
}

impl Error {
    /// A failed file operation.
    pub fn file(
        what: &'static str,
        path: impl AsRef<std::path::Path>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().display().to_string();
        move |source| Self::File { what, path, source }
    }
}
