//! Where the package keeps things. The paths are the real package's.

/// Version and nature of this package.
pub const MANIFEST: &str = "/opt/gitlab/version-manifest.json";
/// The operator's configuration.
pub const GITLAB_RB: &str = "/etc/gitlab/gitlab.rb";
/// The secrets that reconfigure keeps.
pub const SECRETS: &str = "/etc/gitlab/gitlab-secrets.json";
/// Where a generated root password is written for the operator.
pub const INITIAL_ROOT_PASSWORD: &str = "/etc/gitlab/initial_root_password";
/// Certificates for nginx, named after the host.
pub const SSL: &str = "/etc/gitlab/ssl";
/// Certificates of authorities that the operator trusts.
pub const TRUSTED_CERTS: &str = "/etc/gitlab/trusted-certs";
/// All trusted certificates: the system's and the operator's.
pub const TRUSTED_BUNDLE: &str = "/opt/gitlab/embedded/ssl/certs/trusted.pem";
/// Programs of the package.
pub const BIN: &str = "/opt/gitlab/embedded/bin";
/// Ruby programs of the stand-in.
pub const RUBY_LIB: &str = "/opt/gitlab/embedded/lib/standin";
/// Service directories.
pub const SV: &str = "/opt/gitlab/sv";
/// Links to the enabled service directories; what runsvdir watches.
pub const SERVICE: &str = "/opt/gitlab/service";
/// Links to `sv`, one a service, as init scripts.
pub const INIT: &str = "/opt/gitlab/init";
/// Environments of services, one folder each.
pub const ETC: &str = "/opt/gitlab/etc";
/// Data of all services.
pub const DATA: &str = "/var/opt/gitlab";
/// Logs of all services.
pub const LOG: &str = "/var/log/gitlab";
/// Configuration of Rails.
pub const RAILS_ETC: &str = "/var/opt/gitlab/gitlab-rails/etc";
/// Files of issues and merge requests.
pub const UPLOADS: &str = "/var/opt/gitlab/gitlab-rails/uploads";
/// What users store, in folders of its kinds.
pub const SHARED: &str = "/var/opt/gitlab/gitlab-rails/shared";
/// Files of the package registry.
pub const PACKAGES: &str = "/var/opt/gitlab/gitlab-rails/shared/packages";
/// Held while a reconfigure runs.
pub const LOCK: &str = "/opt/gitlab/embedded/lib/standin/reconfigure.lock";
/// Kernel parameters that reconfigure wants kept over a reboot.
pub const SYSCTL_ETC: &str = "/opt/gitlab/embedded/etc";
/// Hooks of every repository.
pub const HOOKS: &str = "/opt/gitlab/embedded/lib/standin/hooks";
/// GitLab Shell.
pub const SHELL: &str = "/opt/gitlab/embedded/service/gitlab-shell";
/// Configuration of GitLab Shell.
pub const SHELL_CONFIG: &str = "/var/opt/gitlab/gitlab-shell/config.yml";
/// The secret with which GitLab Shell signs.
pub const SHELL_SECRET: &str = "/var/opt/gitlab/gitlab-rails/etc/gitlab_shell_secret";
/// The secret with which Workhorse signs.
pub const WORKHORSE_SECRET: &str = "/var/opt/gitlab/gitlab-rails/etc/gitlab_workhorse_secret";
/// Configuration of Workhorse.
pub const WORKHORSE_CONFIG: &str = "/var/opt/gitlab/gitlab-workhorse/config.toml";
/// Where Workhorse listens.
pub const WORKHORSE_SOCKET: &str = "/var/opt/gitlab/gitlab-workhorse/sockets/socket";

/// Called what it is, wherever a user can meet it.
pub const NOTICE: &str = "lab stand-in, not GitLab";
