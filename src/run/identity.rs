//! What is decided once for a deployment, before its first node: suffix, keys, certificates, secrets.

use jiff::civil::Date;

use super::Error;
use crate::deployment::{Deployment, needed_secrets, shared_secrets};
use crate::rollout::added_by_node;
use crate::secrets::{self, Issued};
use crate::workdir::{Certificate, Secrets};

/// The name of the private authority in the secrets store.
pub const AUTHORITY: &str = "ca";

/// Adds what the store lacks, and changes nothing that it has. Certificates are a matter of their own.
///
/// # Errors
/// Only on a bug of refarch.
pub fn ensure_secrets(store: &mut Secrets, deployment: &Deployment) -> Result<(), Error> {
    for name in needed_secrets(deployment) {
        if !store.named.contains_key(name.key()) {
            let value = secrets::named(name, |known| store.named.get(known.key()).cloned())?;
            store.named.insert(name.key().to_owned(), value);
        }
    }
    let wanted = shared_secrets(deployment.gitlab.version);
    let missing: Vec<_> = wanted
        .into_iter()
        .filter(|secret| {
            store.gitlab_secrets.get(secret.section).and_then(|keys| keys.get(secret.key)).is_none()
        })
        .collect();
    let made = secrets::shared_tree(&missing)?;
    store.gitlab_secrets = added_by_node(&store.gitlab_secrets, &made, &[]);
    Ok(())
}

/// Makes the authority and the certificate of `host` where they are missing or end soon.
///
/// # Errors
/// Only on a bug of refarch.
pub fn ensure_certificates(
    store: &mut Secrets,
    deployment: &str,
    host: &str,
    today: Date,
) -> Result<(), Error> {
    let kept = |store: &Secrets, name: &str| {
        let known = store.certificates.get(name)?;
        let issued = Issued::read(&known.certificate, known.key.clone())?;
        (!issued.ends_soon(today)).then_some(issued)
    };
    let authority = if let Some(authority) = kept(store, AUTHORITY) {
        authority
    } else {
        store.certificates.clear();
        secrets::authority(deployment, today)?
    };
    if kept(store, host).is_none() {
        let issued = secrets::certificate(&authority, host, today)?;
        store.certificates.insert(host.to_owned(), stored(issued));
    }
    store.certificates.insert(AUTHORITY.to_owned(), stored(authority));
    Ok(())
}

fn stored(issued: Issued) -> Certificate {
    Certificate { certificate: issued.certificate, key: issued.key }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use secrecy::ExposeSecret as _;

    use super::{AUTHORITY, ensure_certificates, ensure_secrets};
    use crate::deployment::testing;
    use crate::workdir::Secrets;

    #[test]
    fn what_is_decided_is_never_decided_again() {
        let deployment = testing::demo();
        let mut store = Secrets::new("abc123".into());
        ensure_secrets(&mut store, &deployment).expect("made");
        let (password, tree) = (store.named["root_password"].clone(), store.gitlab_secrets.clone());
        ensure_secrets(&mut store, &deployment).expect("made");
        assert_eq!(store.named["root_password"].expose_secret(), password.expose_secret());
        assert_eq!(store.gitlab_secrets, tree);
    }

    #[test]
    fn a_certificate_is_renewed_by_the_same_authority_before_it_ends() {
        let mut store = Secrets::new("abc123".into());
        let mut pem = |today| {
            ensure_certificates(&mut store, "demo", "gitlab.demo.example", today).expect("made");
            let of = |name: &str| store.certificates[name].certificate.clone();
            (of(AUTHORITY), of("gitlab.demo.example"))
        };
        let first = pem(date(2026, 11, 23));
        assert_eq!(pem(date(2027, 10, 1)), first);
        let renewed = pem(date(2027, 12, 1));
        assert_eq!(renewed.0, first.0);
        assert_ne!(renewed.1, first.1);
    }
}
