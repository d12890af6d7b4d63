//! Object storage in the consolidated form: one connection, a bucket for each kind of object.
//! <https://docs.gitlab.com/administration/object_storage/#configure-a-single-storage-connection-for-all-object-types-consolidated-form>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::Error;
use crate::settings::Settings;

/// The kinds that are on object storage as soon as it is enabled, unless one is switched off. Each needs a bucket.
const KINDS: [&str; 7] =
    ["artifacts", "external_diffs", "lfs", "uploads", "packages", "dependency_proxy", "terraform_state"];

/// Where objects lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct ObjectStore {
    /// `http://HOST:PORT`.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// Who asks.
    pub access_key: String,
    /// What signs.
    pub secret_key: String,
    /// Whether the bucket is in the path instead of the host name.
    pub path_style: bool,
    /// Buckets by kind of object.
    pub buckets: BTreeMap<String, Place>,
}

/// The same as gitlab.yml holds it, in the package's own shape: whoever reads the file on a node looks for that.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Written {
    enabled: bool,
    connection: Connection,
    objects: BTreeMap<String, Place>,
}

/// `connection` in gitlab.yml.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Connection {
    provider: String,
    region: String,
    endpoint: String,
    path_style: bool,
    aws_access_key_id: String,
    aws_secret_access_key: String,
}

impl From<Written> for ObjectStore {
    fn from(Written { connection, objects, .. }: Written) -> Self {
        Self {
            endpoint: connection.endpoint,
            region: connection.region,
            access_key: connection.aws_access_key_id,
            secret_key: connection.aws_secret_access_key,
            path_style: connection.path_style,
            buckets: objects,
        }
    }
}

impl From<ObjectStore> for Written {
    fn from(store: ObjectStore) -> Self {
        let connection = Connection {
            provider: "AWS".to_owned(),
            region: store.region,
            endpoint: store.endpoint,
            path_style: store.path_style,
            aws_access_key_id: store.access_key,
            aws_secret_access_key: store.secret_key,
        };
        Self { enabled: true, connection, objects: store.buckets }
    }
}

/// Where the objects of a kind lie, and how they reach users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The bucket's name.
    pub bucket: String,
    /// Whether downloads go through GitLab; otherwise users are led to the object storage.
    pub proxy_download: bool,
}

impl ObjectStore {
    /// The object storage that the settings describe; none where everything is on the local disk.
    pub fn from_settings(settings: &Settings) -> Result<Option<Self>, Error> {
        let at = |path: &[&str]| {
            let full: Vec<&str> = ["gitlab_rails", "object_store"].iter().chain(path).copied().collect();
            settings.at(&full)
        };
        if at(&["enabled"]) != Some(&Value::Bool(true)) {
            return Ok(None);
        }
        let connection = |key: &str| match at(&["connection", key]) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Bool(flag)) => Some(flag.to_string()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let needed = |key: &str| {
            connection(key).filter(|value| !value.is_empty()).ok_or_else(|| Error::Setting {
                setting: format!("gitlab_rails['object_store']['connection']['{key}']"),
                reason: "it is missing".to_owned(),
            })
        };
        let not_stood_in = |what: &str| Error::NotStoodIn(format!("object storage {what}"));
        if needed("provider")? != "AWS" {
            return Err(not_stood_in("of another provider than AWS"));
        }
        if connection("aws_signature_version").is_some_and(|version| version != "4") {
            return Err(not_stood_in("with another signature than version 4"));
        }
        let endpoint = connection("endpoint").ok_or_else(|| not_stood_in("without an endpoint"))?;
        check_endpoint(&endpoint)?;
        Ok(Some(Self {
            endpoint,
            region: connection("region").unwrap_or_else(|| "us-east-1".to_owned()),
            access_key: needed("aws_access_key_id")?,
            secret_key: needed("aws_secret_access_key")?,
            path_style: connection("path_style").is_some_and(|flag| flag == "true"),
            buckets: places(at(&["objects"]), at(&["proxy_download"]))?,
        }))
    }
}

fn check_endpoint(endpoint: &str) -> Result<(), Error> {
    let wrong = |reason: &str| Error::Setting {
        setting: "gitlab_rails['object_store']['connection']['endpoint']".to_owned(),
        reason: format!("`{endpoint}` {reason}"),
    };
    let url = Url::parse(endpoint).map_err(|_| wrong("is no URL"))?;
    match url.scheme() {
        "http" if url.host_str().is_some() => Ok(()),
        "https" => Err(Error::NotStoodIn("object storage over TLS".to_owned())),
        _ => Err(wrong("is no web address")),
    }
}

fn places(objects: Option<&Value>, proxy: Option<&Value>) -> Result<BTreeMap<String, Place>, Error> {
    let mut places = BTreeMap::new();
    for kind in KINDS {
        let object = objects.and_then(|objects| objects.get(kind));
        let field = |key: &str| object.and_then(|object| object.get(key));
        if field("enabled") == Some(&Value::Bool(false)) {
            continue;
        }
        let bucket = field("bucket").and_then(Value::as_str).filter(|bucket| !bucket.is_empty());
        let bucket = bucket.ok_or_else(|| Error::Setting {
            setting: format!("gitlab_rails['object_store']['objects']['{kind}']['bucket']"),
            reason: format!("Object storage for {kind} must have a bucket specified"),
        })?;
        let proxy_download = field("proxy_download").or(proxy) == Some(&Value::Bool(true));
        places.insert(kind.to_owned(), Place { bucket: bucket.to_owned(), proxy_download });
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::manifest::Version;

    fn read(store: &Value) -> Result<Option<ObjectStore>, Error> {
        let Value::Object(map) = json!({"gitlab_rails": {"object_store": store}}) else { unreachable!() };
        ObjectStore::from_settings(&Settings::new(map, Version::new(19, 3, 0)))
    }

    fn whole() -> Value {
        let objects: Value = KINDS
            .iter()
            .map(|kind| ((*kind).to_owned(), json!({"bucket": format!("acme-{kind}")})))
            .collect();
        json!({
            "enabled": true,
            "connection": {
                "provider": "AWS", "region": "us-east-1", "endpoint": "http://198.18.0.9:9000", "path_style": true,
                "aws_access_key_id": "a", "aws_secret_access_key": "s",
            },
            "objects": objects,
            "proxy_download": true,
        })
    }

    #[test]
    fn every_kind_has_its_bucket() {
        let store = read(&whole()).expect("settings").expect("enabled");
        assert_eq!(store.buckets["lfs"].bucket, "acme-lfs");
        assert!(store.path_style && store.buckets["uploads"].proxy_download);
        assert_eq!(read(&json!({})).expect("settings"), None);
    }

    #[test]
    fn gitlab_yml_holds_it_in_the_package_s_shape() {
        let store = read(&whole()).expect("settings").expect("enabled");
        let written = serde_json::to_value(&store).expect("serializable");
        assert_eq!(written["connection"], whole()["connection"]);
        assert_eq!(written["objects"]["artifacts"]["bucket"], "acme-artifacts");
        assert_eq!(serde_json::from_value::<ObjectStore>(written).expect("readable"), store);
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut without = whole();
        without["objects"]["packages"] = json!({});
        let refused = read(&without).expect_err("no bucket").to_string();
        assert!(refused.contains("Object storage for packages must have a bucket specified"), "{refused}");
        let mut off = whole();
        off["objects"]["packages"] = json!({"enabled": false});
        assert!(!read(&off).expect("settings").expect("enabled").buckets.contains_key("packages"));
        let mut keyless = whole();
        keyless["connection"]["aws_secret_access_key"] = json!("");
        assert!(read(&keyless).expect_err("no key").to_string().contains("aws_secret_access_key"));
    }
}
