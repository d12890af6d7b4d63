//! Which secrets a version keeps, and how each is made.

use crate::settings::Settings;

/// How a missing secret is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Make {
    /// Hex of 64 random bytes.
    Hex64,
    /// 32 alphanumerics.
    Alnum32,
    /// A list with one value of 32 alphanumerics.
    AlnumList,
    /// Base64 of 32 random bytes.
    Base64,
    /// URL-safe base64 of 32 random bytes.
    UrlSafe,
    /// An RSA key of 4096 bits, as PEM.
    Rsa,
    /// A self-signed certificate; its key goes to another place.
    SelfSigned {
        /// Common name.
        name: &'static str,
        /// Where the key goes.
        key: &'static [&'static str],
    },
    /// The value of another secret.
    SameAs(&'static [&'static str]),
    /// Kept when it is there, not made.
    Never,
}

/// One secret.
#[derive(Debug)]
pub struct Entry {
    /// Where it stands, in the file and in gitlab.rb alike.
    pub path: &'static [&'static str],
    /// How it is made.
    pub make: Make,
}

const fn entry(path: &'static [&'static str], make: Make) -> Entry {
    Entry { path, make }
}

static ALWAYS: [Entry; 26] = [
    entry(&["gitlab_rails", "secret_key_base"], Make::Hex64),
    entry(&["gitlab_rails", "db_key_base"], Make::Hex64),
    entry(&["gitlab_rails", "otp_key_base"], Make::Hex64),
    entry(&["gitlab_rails", "encrypted_settings_key_base"], Make::Hex64),
    entry(&["gitlab_rails", "openid_connect_signing_key"], Make::Rsa),
    entry(&["gitlab_rails", "active_record_encryption_primary_key"], Make::AlnumList),
    entry(&["gitlab_rails", "active_record_encryption_deterministic_key"], Make::AlnumList),
    entry(&["gitlab_rails", "active_record_encryption_key_derivation_salt"], Make::Alnum32),
    entry(&["gitlab_shell", "secret_token"], Make::Hex64),
    entry(&["gitlab_workhorse", "secret_token"], Make::Base64),
    entry(&["gitaly", "gitlab_secret"], Make::SameAs(&["gitlab_shell", "secret_token"])),
    entry(&["gitlab_kas", "api_secret_key"], Make::Base64),
    entry(&["gitlab_kas", "private_api_secret_key"], Make::Base64),
    entry(&["gitlab_kas", "websocket_token_secret_key"], Make::Base64),
    entry(&["gitlab_pages", "gitlab_id"], Make::UrlSafe),
    entry(&["gitlab_pages", "gitlab_secret"], Make::UrlSafe),
    entry(&["gitlab_pages", "api_secret_key"], Make::Base64),
    entry(&["registry", "http_secret"], Make::Hex64),
    entry(
        &["registry", "internal_certificate"],
        Make::SelfSigned { name: "gitlab-issuer", key: &["registry", "internal_key"] },
    ),
    entry(&["registry", "internal_key"], Make::Never),
    entry(
        &["postgresql", "internal_certificate"],
        Make::SelfSigned { name: "postgresql", key: &["postgresql", "internal_key"] },
    ),
    entry(&["postgresql", "internal_key"], Make::Never),
    entry(&["mailroom", "incoming_email_auth_token"], Make::Base64),
    entry(&["mailroom", "service_desk_email_auth_token"], Make::Base64),
    entry(&["letsencrypt", "auto_enabled"], Make::Never),
    // Kept where Pages asks for a login, where the package makes it too.
    entry(&["gitlab_pages", "auth_secret"], Make::Never),
];

static SINCE_18_4: [Entry; 4] = [
    entry(&["gitlab_rails", "signed_cookie_salt"], Make::Alnum32),
    entry(&["gitlab_rails", "authenticated_encrypted_cookie_salt"], Make::Alnum32),
    entry(&["gitlab_rails", "gitaly_token"], Make::Alnum32),
    entry(&["gitaly", "configuration", "auth", "token"], Make::SameAs(&["gitlab_rails", "gitaly_token"])),
];

static SINCE_19_3: [Entry; 1] = [entry(&["gitlab_rails", "orbit_secret"], Make::Base64)];

static BEFORE_19_0: [Entry; 3] = [
    entry(&["mattermost", "email_invite_salt"], Make::Never),
    entry(&["mattermost", "file_public_link_salt"], Make::Never),
    entry(&["mattermost", "sql_at_rest_encrypt_key"], Make::Never),
];

static WITH_PAGES_LOGIN: [Entry; 1] = [entry(&["gitlab_pages", "auth_secret"], Make::Hex64)];

/// The secrets of the settings' version.
#[must_use]
pub fn entries(settings: &Settings) -> Vec<&'static Entry> {
    let version = settings.version();
    let mut entries: Vec<&'static Entry> = ALWAYS.iter().collect();
    if version.at_least(18, 4) {
        entries.extend(&SINCE_18_4);
    }
    if version.at_least(19, 3) {
        entries.extend(&SINCE_19_3);
    }
    if !version.at_least(19, 0) {
        entries.extend(&BEFORE_19_0);
    }
    if settings.flag(&["gitlab_pages", "access_control"]) == Some(true) {
        entries.extend(&WITH_PAGES_LOGIN);
    }
    entries
}
