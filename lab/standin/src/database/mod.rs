//! The application's database: connecting, migrating, seeding, and asking whether the secrets fit.

pub mod access;
mod client;
pub mod groups;
pub mod merge_requests;
mod pool;
pub mod projects;
mod schema;
pub mod tokens;
pub mod users;

pub use client::{Client, GenericClient, Transaction, Value};
pub use pool::Pool;

use std::time::Duration;

use rand::distr::{Alphanumeric, SampleString as _};
use tokio_postgres::{Config as Address, NoTls};

use self::schema::MIGRATIONS;
use crate::config::Config;
use crate::manifest::Version;
use crate::seal;
use crate::site::Database;

/// How long a connection may take: a firewall that drops says nothing.
const PATIENCE: Duration = Duration::from_secs(4);
/// Shortest password that GitLab takes.
const SHORTEST_PASSWORD: usize = 8;
/// Longest password that GitLab takes.
const LONGEST_PASSWORD: usize = 128;

/// What went wrong with the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It can't be reached or refuses the login.
    #[error("connection to PostgreSQL at `{place}` failed: {reason}")]
    Connect {
        /// Where.
        place: String,
        /// What the driver said.
        reason: String,
    },
    /// A statement failed.
    #[error("PostgreSQL refused a statement: {0}")]
    Statement(String),
    /// The database has no tables yet.
    #[error("the database has no tables: run `gitlab-rake gitlab:db:configure`")]
    Empty,
    /// The secrets don't belong to the data.
    #[error(
        "gitlab-secrets.json does not belong to this database: db_key_base can't decrypt what another one encrypted. Put back the gitlab-secrets.json that this database was made with"
    )]
    WrongKey,
    /// There is no key.
    #[error("gitlab_rails['db_key_base'] is empty: put it into /etc/gitlab/gitlab-secrets.json")]
    NoKey,
    /// The schema is newer than the package.
    #[error(
        "the database was migrated by GitLab {found}, this package is GitLab {wanted}: a downgrade needs a backup from before"
    )]
    Newer {
        /// Who migrated it.
        found: String,
        /// The package.
        wanted: String,
    },
    /// The first administrator can't be made.
    #[error("Could not create the default administrator account:\n\n--> {0}")]
    Administrator(String),
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Statement(explain(&error))
    }
}

fn explain(error: &tokio_postgres::Error) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

/// A connection. The task that drives it ends with the client.
pub async fn connect(database: &Database) -> Result<Client, Error> {
    let mut address = Address::new();
    address.host(&database.host).port(database.port).user(&database.username).dbname(&database.name);
    address.application_name("gitlab-standin").connect_timeout(PATIENCE);
    if let Some(password) = &database.password {
        address.password(password);
    }
    let (client, connection) = address.connect(NoTls).await.map_err(|error| Error::Connect {
        place: format!("{}:{}", database.host, database.port),
        reason: explain(&error),
    })?;
    tokio::spawn(connection);
    Ok(Client::new(client))
}

/// Whether the first administrator has been made.
pub async fn seeded(client: &Client) -> Result<bool, Error> {
    if !has_table(client, "users").await? {
        return Ok(false);
    }
    Ok(!client.query("SELECT 1 FROM users LIMIT 1", &[]).await?.is_empty())
}

async fn has_table(client: &Client, name: &str) -> Result<bool, Error> {
    let row = client.query_one("SELECT to_regclass('public.' || $1::text)::text", &[&name]).await?;
    Ok(row.get::<_, Option<String>>(0).is_some())
}

/// Versions of migrations that are not in the database.
pub async fn pending(client: &Client) -> Result<Vec<&'static str>, Error> {
    if !has_table(client, "schema_migrations").await? {
        return Ok(MIGRATIONS.iter().map(|(version, _)| *version).collect());
    }
    let rows = client.query("SELECT version FROM schema_migrations", &[]).await?;
    let done: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let missing = MIGRATIONS.iter().map(|(version, _)| *version);
    Ok(missing.filter(|version| !done.iter().any(|done| done == version)).collect())
}

/// A migration that the package knows or the database has.
#[derive(Debug, PartialEq, Eq)]
pub struct Migration {
    /// Its version.
    pub version: String,
    /// What it does; none for one that only the database knows.
    pub name: Option<String>,
    /// Whether the database has it.
    pub up: bool,
}

/// Every migration, by version.
pub async fn migrations(client: &Client) -> Result<Vec<Migration>, Error> {
    let known: Vec<&str> = MIGRATIONS.iter().map(|(version, _)| *version).collect();
    let pending = pending(client).await?;
    let mut all: Vec<Migration> = MIGRATIONS
        .iter()
        .map(|(version, sql)| Migration {
            version: (*version).to_owned(),
            name: Some(migration_name(sql)),
            up: !pending.contains(version),
        })
        .collect();
    if has_table(client, "schema_migrations").await? {
        let rows = client.query("SELECT version FROM schema_migrations", &[]).await?;
        let strangers = rows.iter().map(|row| row.get::<_, String>(0));
        let strangers = strangers.filter(|version| !known.contains(&version.as_str()));
        all.extend(strangers.map(|version| Migration { version, name: None, up: true }));
    }
    all.sort_by(|one, other| one.version.cmp(&other.version));
    Ok(all)
}

/// After the first table that it makes.
fn migration_name(sql: &str) -> String {
    let table = sql.split("CREATE TABLE ").nth(1).and_then(|rest| rest.split_whitespace().next());
    table.map_or_else(|| "Change tables".to_owned(), |table| format!("Create {}", table.replace('_', " ")))
}

/// Migrates, and seeds a database that has no user. Returns what it did, as lines for a person.
pub async fn configure(config: &Config, root_password: Option<&str>) -> Result<Vec<String>, Error> {
    if config.secrets.db_key_base.is_empty() {
        return Err(Error::NoKey);
    }
    let mut client = connect(&config.database).await?;
    let mut did = Vec::new();
    let transaction = client.transaction().await?;
    // Two nodes that migrate at once take turns, as with Rails.
    transaction.batch_execute("SELECT pg_advisory_xact_lock(4611686018427387904)").await?;
    transaction
        .batch_execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations (version varchar PRIMARY KEY);
             CREATE TABLE IF NOT EXISTS ar_internal_metadata (key varchar PRIMARY KEY, value varchar);",
        )
        .await?;
    let ours = &config.application.version;
    let by = "SELECT value FROM ar_internal_metadata WHERE key = 'gitlab_version'";
    if let Some(row) = transaction.query_opt(by, &[]).await? {
        refuse_downgrade(row.get(0), ours)?;
    }
    let rows = transaction.query("SELECT version FROM schema_migrations", &[]).await?;
    let done: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    for (version, sql) in MIGRATIONS.iter().filter(|(version, _)| !done.iter().any(|done| done == version)) {
        transaction.batch_execute(sql).await?;
        transaction.execute("INSERT INTO schema_migrations VALUES ($1)", &[version]).await?;
        did.push(format!("== {version}: migrated"));
    }
    let remember = "INSERT INTO ar_internal_metadata VALUES ('gitlab_version', $1)
                    ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    transaction.execute(remember, &[ours]).await?;
    did.extend(seed(&transaction, config, root_password).await?);
    transaction.commit().await?;
    secrets_fit(&client, config).await?;
    Ok(did)
}

fn refuse_downgrade(found: &str, wanted: &str) -> Result<(), Error> {
    match (Version::parse(found), Version::parse(wanted)) {
        (Some(theirs), Some(ours)) if theirs > ours => {
            Err(Error::Newer { found: found.to_owned(), wanted: wanted.to_owned() })
        }
        _ => Ok(()),
    }
}

async fn seed(
    transaction: &Transaction<'_>,
    config: &Config,
    root_password: Option<&str>,
) -> Result<Vec<String>, Error> {
    let mut did = Vec::new();
    if transaction.query("SELECT 1 FROM application_settings LIMIT 1", &[]).await?.is_empty() {
        let token = Alphanumeric.sample_string(&mut rand::rng(), 20);
        let sealed = seal::seal(&config.secrets.db_key_base, &token).ok_or(Error::NoKey)?;
        let insert = "INSERT INTO application_settings (runners_registration_token_encrypted) VALUES ($1)";
        transaction.execute(insert, &[&sealed]).await?;
    }
    if transaction.query("SELECT 1 FROM users LIMIT 1", &[]).await?.is_empty() {
        let generated = crate::secrets::password();
        let password = root_password.unwrap_or(&generated);
        check_password(password)?;
        let hash = bcrypt::hash(password, 10).map_err(|error| Error::Administrator(error.to_string()))?;
        let insert = "INSERT INTO users (username, name, email, admin, encrypted_password)
                      VALUES ('root', 'Administrator', 'admin@example.com', true, $1)";
        transaction.execute(insert, &[&hash]).await?;
        did.push("Administrator account created: login: root".to_owned());
    }
    give_users_namespaces(transaction).await?;
    Ok(did)
}

/// Every user has a namespace for own projects; those of an older release get theirs here.
async fn give_users_namespaces(transaction: &Transaction<'_>) -> Result<(), Error> {
    let sql = "WITH made AS (
                 INSERT INTO namespaces (name, path, type, owner_id)
                 SELECT u.name, u.username, 'User', u.id FROM users u
                 WHERE NOT EXISTS (SELECT 1 FROM namespaces n WHERE n.type = 'User' AND n.owner_id = u.id)
                 RETURNING id, path)
               INSERT INTO routes (source_type, source_id, path) SELECT 'Namespace', id, path FROM made";
    transaction.execute(sql, &[]).await?;
    Ok(())
}

/// Gives a group or project its path; false when another has it.
async fn take_route(transaction: &Transaction<'_>, kind: &str, id: i64, path: &str) -> Result<bool, Error> {
    let sql = "INSERT INTO routes (source_type, source_id, path) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    Ok(transaction.execute(sql, &[&kind, &id, &path]).await? == 1)
}

/// Moves a path, and all paths below it.
async fn move_routes(transaction: &Transaction<'_>, old: &str, new: &str) -> Result<(), Error> {
    let sql = "UPDATE routes SET path = $2 || substr(path, length($1) + 1)
               WHERE path = $1 OR starts_with(path, $1 || '/')";
    transaction.execute(sql, &[&old, &new]).await?;
    Ok(())
}

/// Refuses what GitLab refuses.
pub fn check_password(password: &str) -> Result<(), Error> {
    let refuse = |reason: &str| Err(Error::Administrator(reason.to_owned()));
    match password.chars().count() {
        ..SHORTEST_PASSWORD => refuse("Password is too short (minimum is 8 characters)"),
        SHORTEST_PASSWORD..=LONGEST_PASSWORD => Ok(()),
        _ => refuse("Password is too long (maximum is 128 characters)"),
    }
}

/// Whether `db_key_base` decrypts what the database holds.
pub async fn secrets_fit(client: &Client, config: &Config) -> Result<(), Error> {
    if !has_table(client, "application_settings").await? {
        return Err(Error::Empty);
    }
    let sql = "SELECT runners_registration_token_encrypted FROM application_settings";
    for row in client.query(sql, &[]).await? {
        let sealed: String = row.get(0);
        if seal::open(&config.secrets.db_key_base, &sealed).is_none() {
            return Err(Error::WrongKey);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_is_named_after_its_table() {
        assert_eq!(migration_name("CREATE TABLE deploy_keys (id bigint)"), "Create deploy keys");
        assert_eq!(migration_name("ALTER TABLE x"), "Change tables");
    }

    #[test]
    fn passwords_have_a_length() {
        assert!(check_password("1234567").is_err());
        assert!(check_password("12345678").is_ok());
        assert!(check_password(&"x".repeat(129)).is_err());
    }

    #[test]
    fn an_older_package_is_refused() {
        assert!(refuse_downgrade("19.3.0", "18.11.2").is_err());
        assert!(refuse_downgrade("18.11.2", "18.11.2").is_ok());
        assert!(refuse_downgrade("18.11.2", "19.3.0").is_ok());
    }
}
