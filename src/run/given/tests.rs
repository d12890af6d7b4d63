use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use secrecy::ExposeSecret as _;

use super::{Flaw, Given, Sources};
use crate::deployment::{Deployment, testing};
use crate::process::Ambient;
use crate::spec::{Place, SecretReference, SecretSource};

const HOST: &str = "gitlab.demo.example";

/// A folder with a spec's neighbours in it.
struct Folder {
    _keep: tempfile::TempDir,
    path: Utf8PathBuf,
}

impl Folder {
    fn new() -> Self {
        let keep = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(keep.path().to_owned()).unwrap();
        Self { _keep: keep, path }
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.path.join(name);
        fs_err::write(&path, text).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        self
    }

    fn take(&self, tls: &str) -> Result<Given, Vec<Flaw>> {
        let now = Timestamp::now();
        Given::take(&deployment(tls), &[], sources(&self.path, &Ambient::default()), now)
    }
}

fn sources<'a>(folder: &'a Utf8Path, ambient: &'a Ambient) -> Sources<'a> {
    Sources { ambient, folder }
}

fn deployment(tls: &str) -> Deployment {
    let example = include_str!("../../../examples/lab-1k.yml").replace("{private_ca: {}}", tls);
    testing::of(&example)
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn named(name: &str, hosts: &[&str]) -> CertificateParams {
    let mut params =
        CertificateParams::new(hosts.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = named(name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn root() -> Authority {
    CertifiedIssuer::self_signed(authority_params("Acme root"), KeyPair::generate().unwrap()).unwrap()
}

fn between(root: &Authority) -> Authority {
    let key = KeyPair::generate().unwrap();
    CertifiedIssuer::signed_by(authority_params("Acme between"), key, root).unwrap()
}

/// A server's certificate and its key, as PEM; valid for so many days from now.
fn issued(by: &Authority, hosts: &[&str], days: i64) -> (String, String) {
    let mut params = named("gitlab", hosts);
    let now = time::OffsetDateTime::now_utc();
    params.not_before = now - time::Duration::days(400);
    params.not_after = now + time::Duration::days(days);
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, by).unwrap().pem(), key.serialize_pem())
}

const FILES: &str = "{files: {certificate: acme.pem, key: acme.key, ca: ca.pem}}";

/// What the flaws say, and that no key is repeated in it.
fn said(taken: Result<Given, Vec<Flaw>>, key: &str) -> String {
    let flaws = taken.expect_err("flawed");
    let told: Vec<_> = flaws.iter().map(|flaw| format!("{:?}", miette::Report::new(flaw.clone()))).collect();
    let text = told.join("\n");
    // A block of PEM: its first line of digits stands for it.
    if let Some(secret) = key.lines().nth(1) {
        assert!(!text.contains(secret), "{text}");
    }
    flaws.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[test]
fn a_chain_with_its_key_and_its_root_is_taken() {
    let (root, folder) = (root(), Folder::new());
    let between = between(&root);
    let (leaf, key) = issued(&between, &["other.example", HOST], 300);
    let chain = leaf + &between.pem();
    folder.put("acme.pem", &chain).put("acme.key", &key).put("ca.pem", root.pem());
    let given = folder.take(FILES).expect("all fits");
    let certificate = given.certificate.as_ref().expect("one");
    assert_eq!(certificate.certificate, chain);
    assert_eq!(certificate.key.expose_secret().trim(), key.trim());
    assert_eq!(given.ca.as_deref(), Some(root.pem().as_str()));
    assert!(given.warnings.is_empty(), "{:?}", given.warnings);
    assert_eq!(given.secret_values().len(), 1);
    assert!(!format!("{given:?}").contains("PRIVATE KEY"));
}

#[test]
fn a_key_by_variable_is_the_same_as_one_by_file() {
    let (root, folder) = (root(), Folder::new());
    let (leaf, key) = issued(&root, &[HOST], 300);
    folder.put("acme.pem", leaf).put("ca.pem", root.pem());
    let tls = "{files: {certificate: acme.pem, key: {secret: {env: ACME_KEY}}, ca: ca.pem}}";
    let ambient: Ambient = [("ACME_KEY".to_owned(), key.clone())].into_iter().collect();
    let taken = Given::take(&deployment(tls), &[], sources(&folder.path, &ambient), Timestamp::now());
    assert_eq!(taken.expect("all fits").certificate.expect("one").key.expose_secret().trim(), key.trim());
    let missing = said(folder.take(tls), "");
    assert_eq!(
        missing,
        "`tls.files.key` (line 11) is the secret in the environment variable `ACME_KEY`, which is not set or empty"
    );
}

#[test]
fn what_ends_soon_or_lies_open_is_a_warning() {
    let (root, folder) = (root(), Folder::new());
    let (leaf, key) = issued(&root, &[HOST], 20);
    folder.put("acme.pem", leaf).put("acme.key", key).put("ca.pem", root.pem());
    let open = std::fs::Permissions::from_mode(0o644);
    fs_err::set_permissions(folder.path.join("acme.key"), open).unwrap();
    let warnings = folder.take(FILES).expect("usable").warnings;
    let messages: Vec<_> = warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert!(
        messages[0].ends_with("acme.key` holds a secret, and others on this machine may open it"),
        "{messages:?}"
    );
    assert!(messages[1].starts_with("the certificate `CN=gitlab` ends on "), "{messages:?}");
}

#[test]
fn each_flaw_of_a_certificate_is_told_apart() {
    let (root, other) = (root(), root());
    let between = between(&root);
    let (leaf, key) = issued(&root, &[HOST], 300);
    let (below, below_key) = issued(&between, &[HOST], 300);
    let (elsewhere, elsewhere_key) = issued(&root, &["other.example"], 300);
    let (over, over_key) = issued(&root, &[HOST], -10);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIabcdef\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let ca = root.pem();
    let cases: [(&str, &str, &str, &str); 13] = [
        ("", &key, &ca, "holds no `BEGIN CERTIFICATE` block"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            &key,
            &ca,
            "is no X.509 certificate",
        ),
        (&(leaf.clone() + &key), &key, &ca, "also holds a private key"),
        (&leaf, "hello", &ca, "no `BEGIN PRIVATE KEY` block"),
        (&leaf, encrypted, &ca, "encrypted with a passphrase"),
        (&leaf, &below_key, &ca, "the key belongs to another certificate"),
        (&(between.pem() + &below), &below_key, &ca, "the first certificate is an authority's"),
        (&(below.clone() + &ca), &below_key, &ca, "certificate 2 of the file is `CN=Acme root`"),
        (&elsewhere, &elsewhere_key, &ca, "is not for `gitlab.demo.example`"),
        (&over, &over_key, &ca, "expired on "),
        (&leaf, &key, &other.pem(), "doesn't lead to the deployment's own CA"),
        (&below, &below_key, &ca, "doesn't lead to the deployment's own CA"),
        (&leaf, &key, "hello", "`tls.files.ca`: the file holds no"),
    ];
    for (certificate, key, ca, wanted) in cases {
        let folder = Folder::new();
        folder.put("acme.pem", certificate).put("acme.key", key).put("ca.pem", ca);
        let said = said(folder.take(FILES), key);
        assert!(said.contains(wanted), "`{wanted}` is not in: {said}");
    }
}

#[test]
fn without_an_authority_the_machines_store_decides() {
    let (root, folder) = (root(), Folder::new());
    let (leaf, key) = issued(&root, &[HOST], 300);
    folder.put("acme.pem", leaf).put("acme.key", &key);
    let said = said(folder.take("{files: {certificate: acme.pem, key: acme.key}}"), &key);
    assert!(said.starts_with("`tls.files.certificate`: "), "{said}");
}

#[test]
fn all_that_is_missing_is_named_at_once() {
    let folder = Folder::new();
    let flaws = folder.take(FILES).expect_err("nothing is there");
    assert_eq!(flaws.len(), 3, "{flaws:?}");
    assert!(flaws.iter().all(Flaw::is_missing));
    assert!(flaws[0].to_string().starts_with("`tls.files.certificate` is the file `"), "{}", flaws[0]);
    assert!(flaws[0].to_string().ends_with("which can't be read: there is no such file"));
}

#[test]
fn secrets_are_read_without_the_line_end_that_nobody_means() {
    let folder = Folder::new();
    folder
        .put("one", "hunter2hunter2\r\n")
        .put("several", "a\nb\n\n")
        .put("empty", "\n")
        .put("bytes", [0xff, 0xfe]);
    let reference = |file: &str| SecretReference {
        source: SecretSource::File(file.into()),
        place: Place { key: format!("settings.all.{file}"), line: 7 },
    };
    let take = |files: &[&str]| {
        let references: Vec<_> = files.iter().map(|file| reference(file)).collect();
        let deployment = deployment("{private_ca: {}}");
        Given::take(&deployment, &references, sources(&folder.path, &Ambient::default()), Timestamp::now())
    };
    let given = take(&["one", "several", "one"]).expect("readable");
    let values: Vec<_> = given.secrets.values().map(|value| value.expose_secret().to_owned()).collect();
    assert_eq!(values, ["hunter2hunter2", "a\nb\n"]);
    let flaws = take(&["empty", "bytes", "none"]).expect_err("none can be used");
    let said: Vec<_> = flaws.iter().map(ToString::to_string).collect();
    assert!(
        said[0].starts_with("`settings.all.empty` (line 7) is the file")
            && said[0].ends_with("which is empty")
    );
    assert!(said[1].ends_with("which is not UTF-8 text"), "{said:?}");
    assert!(said[2].contains("can't be read"), "{said:?}");
}
