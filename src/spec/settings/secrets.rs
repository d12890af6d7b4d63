//! Which keys hold a secret, by their name.

/// How names of secrets end.
const SECRETS: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "_key",
    "_salt",
    "credentials",
    "json_key_string",
    "key_base",
];

/// Names that end so and hold none: what is public, and where something lies.
const PUBLIC: &[&str] = &["public_key", "primary_key", "foreign_key", "integration_key"];

/// Names of keys that hold the path of a file with the secret in it.
const PATHS: &[&str] = &["ssl_certificate_key", "cert_key", "client_key"];

/// Whether a key of this name holds a secret, so that text may not stand there.
pub(in super::super) fn is_named_so(name: &str, is_path: bool) -> bool {
    let name = name.to_lowercase().replace('-', "_");
    let ends = |words: &[&str]| words.iter().any(|word| name.ends_with(word));
    ends(SECRETS) && !ends(PUBLIC) && !(is_path && ends(PATHS))
}

#[cfg(test)]
mod tests {
    use super::is_named_so;

    #[test]
    fn names_of_secrets_are_known() {
        for name in
            ["smtp_password", "secret", "AWS_SECRET_ACCESS_KEY", "azure_storage_access_key", "bind-password"]
        {
            assert!(is_named_so(name, false), "{name}");
        }
        for name in [
            "time_zone",
            "aws_access_key_id",
            "public_key",
            "tls_key_file",
            "personal_access_tokens_worker_cron",
        ] {
            assert!(!is_named_so(name, false), "{name}");
        }
        assert!(
            is_named_so("cert_key", false) && !is_named_so("cert_key", true) && is_named_so("password", true)
        );
    }
}
