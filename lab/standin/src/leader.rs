//! Who leads PostgreSQL, as Consul knows it: the one node on which the check of the service `postgresql` passes.

use serde_json::Value;

use crate::local_http;

/// The leader's address and port, from the Consul agent of this host.
pub fn of(consul_port: u16) -> Result<(String, u16), String> {
    let entries = local_http::get_json(consul_port, "/v1/health/service/postgresql?passing=true")
        .map_err(|reason| format!("Consul doesn't say who leads PostgreSQL: {reason}"))?;
    from(&entries).ok_or_else(|| {
        let number = entries.as_array().map_or(0, Vec::len);
        format!("Consul knows {number} leaders of PostgreSQL instead of one")
    })
}

/// The one entry of a list of healthy nodes, as Consul's API and its watches give it.
#[must_use]
pub fn from(entries: &Value) -> Option<(String, u16)> {
    let [entry] = entries.as_array()?.as_slice() else { return None };
    let service = entry["Service"]["Address"].as_str().filter(|address| !address.is_empty());
    let address = service.or_else(|| entry["Node"]["Address"].as_str())?;
    let port = u16::try_from(entry["Service"]["Port"].as_u64()?).ok()?;
    Some((address.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_entry_is_the_leader() {
        let entry = json!({"Node": {"Address": "198.18.0.3"}, "Service": {"Address": "", "Port": 5432}});
        assert_eq!(from(&json!([entry])), Some(("198.18.0.3".to_owned(), 5432)));
        assert_eq!(from(&json!([entry, entry])), None);
        assert_eq!(from(&json!([])), None);
    }
}
