//! Keys of gitlab.rb that follow from the rest of the spec, from the architecture or from refarch's own secrets. Set by
//! hand, they would tear apart what belongs together.

/// What decides instead of a topology key.
const TOPOLOGY: &str = "remove it: it follows from `architecture`";
const STORE: &str = "remove it: refarch makes this secret once and keeps it in the work directory";
const URL: &str = "set `gitlab.url` instead";
const TLS: &str = "choose the certificate in `tls` instead";

/// Keys by their way in gitlab.rb, and what to do instead. A `*` at the end stands for anything that follows.
const OWNED: &[(&str, &str)] = &[
    ("external_url", URL),
    ("gitlab_rails.gitlab_host", URL),
    ("gitlab_rails.gitlab_port", URL),
    ("gitlab_rails.gitlab_https", URL),
    ("gitlab_rails.gitlab_relative_url", URL),
    ("letsencrypt", TLS),
    ("nginx.ssl_certificate", TLS),
    ("nginx.ssl_certificate_key", TLS),
    ("nginx.listen_port", URL),
    ("nginx.listen_https", TLS),
    ("nginx.listen_addresses", TOPOLOGY),
    ("nginx.redirect_http_to_https", "remove it: plain HTTP is only ever a redirect"),
    ("nginx.redirect_http_to_https_port", "remove it: plain HTTP is only ever a redirect"),
    ("nginx.enable", TOPOLOGY),
    ("gitlab_rails.monitoring_whitelist", "set `gitlab.monitoring_allowlist` instead"),
    ("gitlab_rails.initial_root_password", STORE),
    ("gitlab_rails.secret_key_base", STORE),
    ("gitlab_rails.db_key_base", STORE),
    ("gitlab_rails.otp_key_base", STORE),
    ("gitlab_rails.encrypted_settings_key_base", STORE),
    ("gitlab_rails.openid_connect_signing_key", STORE),
    ("gitlab_rails.active_record_encryption_*", STORE),
    ("gitlab_rails.signed_cookie_salt", STORE),
    ("gitlab_rails.authenticated_encrypted_cookie_salt", STORE),
    ("gitlab_rails.gitaly_token", STORE),
    ("gitlab_rails.orbit_secret", STORE),
    ("gitlab_rails.incoming_email_auth_token", STORE),
    ("gitlab_rails.service_desk_email_auth_token", STORE),
    ("mailroom.incoming_email_auth_token", STORE),
    ("mailroom.service_desk_email_auth_token", STORE),
    ("gitaly.gitlab_secret", STORE),
    ("gitaly.configuration.auth", STORE),
    ("gitlab_shell.secret_token", STORE),
    ("gitlab_workhorse.secret_token", STORE),
    ("gitlab_kas.api_secret_key", STORE),
    ("gitlab_kas.private_api_secret_key", STORE),
    ("gitlab_kas.websocket_token_secret_key", STORE),
    ("gitlab_pages.gitlab_id", STORE),
    ("gitlab_pages.gitlab_secret", STORE),
    ("gitlab_pages.api_secret_key", STORE),
    ("gitlab_pages.auth_secret", STORE),
    ("registry.http_secret", STORE),
    ("registry.internal_certificate", STORE),
    ("registry.internal_key", STORE),
    ("package.generate_default_secrets", STORE),
    ("package.generate_secrets_json_file", STORE),
    ("package.modify_kernel_parameters", "remove it: on the lab, the hosts share this machine's kernel"),
    ("roles", TOPOLOGY),
    ("gitlab_rails.enable", TOPOLOGY),
    ("gitlab_rails.auto_migrate", TOPOLOGY),
    ("gitlab_rails.internal_api_url", TOPOLOGY),
    ("gitlab_rails.repositories_storages", TOPOLOGY),
    ("gitlab_rails.databases", TOPOLOGY),
    ("gitlab_rails.db_adapter", TOPOLOGY),
    ("gitlab_rails.db_database", TOPOLOGY),
    ("gitlab_rails.db_host", TOPOLOGY),
    ("gitlab_rails.db_load_balancing", TOPOLOGY),
    ("gitlab_rails.db_password", TOPOLOGY),
    ("gitlab_rails.db_port", TOPOLOGY),
    ("gitlab_rails.db_socket", TOPOLOGY),
    ("gitlab_rails.db_ssl*", TOPOLOGY),
    ("gitlab_rails.db_username", TOPOLOGY),
    ("gitlab_rails.redis_*", TOPOLOGY),
    ("gitlab_workhorse.enable", TOPOLOGY),
    ("gitlab_workhorse.auth_backend", TOPOLOGY),
    ("gitlab_workhorse.auth_socket", TOPOLOGY),
    ("gitlab_workhorse.listen_addr", TOPOLOGY),
    ("gitlab_workhorse.listen_network", TOPOLOGY),
    ("gitlab_workhorse.redis_*", TOPOLOGY),
    ("gitlab_kas.redis_*", TOPOLOGY),
    ("puma.enable", TOPOLOGY),
    ("puma.listen", TOPOLOGY),
    ("puma.port", TOPOLOGY),
    ("puma.socket", TOPOLOGY),
    ("sidekiq.enable", TOPOLOGY),
    ("gitaly.enable", TOPOLOGY),
    ("gitaly.dir", TOPOLOGY),
    ("gitaly.configuration.gitlab", TOPOLOGY),
    ("gitaly.configuration.listen_addr", TOPOLOGY),
    ("gitaly.configuration.socket_path", TOPOLOGY),
    ("gitaly.configuration.storage", TOPOLOGY),
    ("gitaly.configuration.tls", TOPOLOGY),
    ("gitaly.configuration.tls_listen_addr", TOPOLOGY),
    ("postgresql.enable", TOPOLOGY),
    ("postgresql.data_dir", TOPOLOGY),
    ("postgresql.dir", TOPOLOGY),
    ("postgresql.listen_address", TOPOLOGY),
    ("postgresql.md5_auth_cidr_addresses", TOPOLOGY),
    ("postgresql.trust_auth_cidr_addresses", TOPOLOGY),
    ("postgresql.custom_pg_hba_entries", TOPOLOGY),
    ("postgresql.port", TOPOLOGY),
    ("postgresql.pgbouncer_user*", TOPOLOGY),
    ("postgresql.sql_*", TOPOLOGY),
    ("redis.enable", TOPOLOGY),
    ("redis.bind", TOPOLOGY),
    ("redis.port", TOPOLOGY),
    ("redis.dir", TOPOLOGY),
    ("redis.unixsocket", TOPOLOGY),
    ("redis.password", TOPOLOGY),
    ("redis.master*", TOPOLOGY),
    ("redis.announce_*", TOPOLOGY),
    ("redis.tls_*", TOPOLOGY),
    ("consul", TOPOLOGY),
    ("geo_logcursor", TOPOLOGY),
    ("geo_postgresql", TOPOLOGY),
    ("geo_secondary", TOPOLOGY),
    ("patroni", TOPOLOGY),
    ("pgbouncer", TOPOLOGY),
    ("pgbouncer_exporter", TOPOLOGY),
    ("praefect", TOPOLOGY),
    ("sentinel", TOPOLOGY),
];

/// What to do instead of setting this key, where it is not the user's to set. The main site's NGINX keys are the same
/// in both of their places.
#[must_use]
pub fn owner(path: &[String]) -> Option<&'static str> {
    if let [section] = path
        && section.ends_with("_role")
    {
        return Some(TOPOLOGY);
    }
    let path = match path {
        [rails, nginx, rest @ ..] if rails == "gitlab_rails" && nginx == "nginx" => {
            ["nginx"].into_iter().chain(rest.iter().map(String::as_str)).collect::<Vec<_>>()
        }
        _ => path.iter().map(String::as_str).collect(),
    };
    OWNED.iter().find(|(pattern, _)| is_at(&path, pattern)).map(|(_, instead)| *instead)
}

fn is_at(path: &[&str], pattern: &str) -> bool {
    let mut parts = pattern.split('.');
    let same = path.iter().all(|name| {
        parts.next().is_some_and(|part| match part.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => part == *name,
        })
    });
    same && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::owner;

    fn owned(path: &str) -> bool {
        owner(&path.split('.').map(str::to_owned).collect::<Vec<_>>()).is_some()
    }

    #[test]
    fn a_key_is_owned_where_it_stands_and_not_where_it_only_begins_alike() {
        assert!(owned("external_url") && owned("gitlab_rails.redis_host") && owned("geo_primary_role"));
        assert!(owned("nginx.ssl_certificate") && owned("gitlab_rails.nginx.ssl_certificate"));
        assert!(owned("gitaly.configuration.storage") && !owned("gitaly.configuration"));
        assert!(!owned("nginx.ssl_certificate_x") && !owned("gitlab_rails.nginx") && !owned("nginx.gzip"));
        assert!(!owned("registry_external_url") && !owned("puma.worker_processes"));
    }
}
