//! The real nginx: its configuration, from nothing but the settings.

use std::path::Path;

use super::converge::{self, Owner};
use super::{Error, program, runit};
use crate::paths;
use crate::site::{LetsEncrypt, Service, Site, Status, Web};
use crate::terminal::say;

const HOME: &str = "/var/opt/gitlab/nginx";

/// The health endpoints, which have locations of their own.
const EXACT: [&str; 8] = [
    "/-/health",
    "/-/readiness",
    "/-/liveness",
    "/health_check",
    "/health_check/database",
    "/health_check/migrations",
    "/health_check/cache",
    "/health_check/geo",
];

/// Writes the configuration.
pub fn prepare(site: &Site) -> Result<(), Error> {
    let web = Owner::named(&site.accounts.web.user, "root")?;
    converge::directory(HOME, web, 0o755)?;
    for name in ["conf", "logs", "temp"] {
        converge::directory(format!("{HOME}/{name}"), Owner::ROOT, 0o755)?;
    }
    converge::directory(format!("{}/nginx", paths::LOG), Owner::ROOT, 0o750)?;
    converge::directory(paths::SSL, Owner::ROOT, 0o755)?;
    let user = &site.accounts.web;
    let main = main(&user.user, &user.group);
    let write = |name: &str, content: &str| {
        runit::file(&[Service::Nginx], format!("{HOME}/conf/{name}"), content, Owner::ROOT, 0o644)
    };
    write("nginx.conf", &main)?;
    write("gitlab-http.conf", &servers(&site.web))
}

/// Refuses what the package would ask Let's Encrypt for, because nothing here can be reached from there.
pub fn check_lets_encrypt(web: &Web) -> Result<(), Error> {
    let here = Path::new(&web.certificate).exists();
    let why = match web.lets_encrypt {
        LetsEncrypt::On => "letsencrypt['enable'] is true",
        LetsEncrypt::IfNoCertificate if !here => {
            "the package switches Let's Encrypt on for an https external_url without a certificate"
        }
        LetsEncrypt::Off | LetsEncrypt::IfNoCertificate => return Ok(()),
    };
    Err(Error::LetsEncrypt {
        host: web.host.clone(),
        why,
        certificate: web.certificate.clone(),
        key: web.key.clone(),
    })
}

/// Asks nginx whether it could start like this, and starts it.
pub fn start(site: &Site) -> Result<(), Error> {
    if runit::unsettled(Service::Nginx) {
        let configuration = format!("{HOME}/conf/nginx.conf");
        let log = format!("{}/nginx/error.log", paths::LOG);
        let arguments = ["-t", "-q", "-p", HOME, "-c", &configuration, "-e", &log].map(str::to_owned);
        program::run(&format!("{}/nginx", paths::BIN), &arguments)?;
    } else if site.web.tls && !Path::new(&site.web.certificate).exists() {
        say(format!("  WARNING: {} is gone: nginx can't start again without it", site.web.certificate));
    }
    runit::settle(Service::Nginx)
}

fn main(user: &str, group: &str) -> String {
    format!(
        "# Written by gitlab-ctl reconfigure: changes are lost. {notice}.\n\
         user {user} {group};\n\
         worker_processes auto;\n\
         error_log stderr;\n\
         pid {HOME}/nginx.pid;\n\
         daemon off;\n\
         events {{ worker_connections 10240; }}\n\
         http {{\n\
         \x20 server_tokens off;\n\
         \x20 default_type application/octet-stream;\n\
         \x20 access_log {log}/nginx/gitlab_access.log combined;\n\
         \x20 client_body_temp_path {HOME}/temp/client_body;\n\
         \x20 proxy_temp_path {HOME}/temp/proxy;\n\
         \x20 fastcgi_temp_path {HOME}/temp/fastcgi;\n\
         \x20 uwsgi_temp_path {HOME}/temp/uwsgi;\n\
         \x20 scgi_temp_path {HOME}/temp/scgi;\n\
         \x20 map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}\n\
         \x20 upstream gitlab-workhorse {{ server unix:{data}/gitlab-workhorse/sockets/socket fail_timeout=0; }}\n\
         \x20 include {HOME}/conf/gitlab-http.conf;\n\
         }}\n",
        notice = paths::NOTICE,
        log = paths::LOG,
        data = paths::DATA,
    )
}

fn servers(web: &Web) -> String {
    let head = "# Written by gitlab-ctl reconfigure: changes are lost.\n".to_owned();
    let redirect = web.redirect_from.map(|port| redirect(web, port));
    [head, redirect.unwrap_or_default(), site(web), web.status.as_ref().map(status).unwrap_or_default()]
        .concat()
}

/// A server block of one setting a line.
fn server(settings: &[String]) -> String {
    format!("server {{\n  {}\n}}\n", settings.join("\n  "))
}

fn status(status: &Status) -> String {
    let mut settings: Vec<String> =
        status.addresses.iter().map(|address| format!("listen {address}:{};", status.port)).collect();
    settings.push("server_name localhost;".to_owned());
    let allow: Vec<String> = status.allow.iter().map(|address| format!("allow {address};")).collect();
    let allow = allow.join(" ");
    settings.push(format!("location /nginx_status {{ stub_status; access_log off; {allow} deny all; }}"));
    // The package's nginx has a module for Prometheus, and Debian's hasn't: connections are what both can tell. An
    // answer by `return` would come before anybody is asked who they are.
    settings.push(format!(
        "location = /metrics {{ access_log off; {allow} deny all; try_files /.none @metrics; }}"
    ));
    settings.push(
        r#"location @metrics { default_type text/plain; return 200 "nginx_vts_main_connections{status=\"active\"} $connections_active\n"; }"#
            .to_owned(),
    );
    server(&settings)
}

fn redirect(web: &Web, port: u16) -> String {
    let mut settings: Vec<String> =
        web.addresses.iter().map(|address| format!("listen {address}:{port};")).collect();
    settings.push(format!("server_name {};", web.host));
    settings.push(format!("location / {{ return 301 {}$request_uri; }}", web.redirect_to));
    server(&settings)
}

fn site(web: &Web) -> String {
    let tls = if web.tls { " ssl" } else { "" };
    let scheme = if web.tls { "https" } else { "http" };
    let mut settings: Vec<String> =
        web.addresses.iter().map(|address| format!("listen {address}:{}{tls};", web.port)).collect();
    settings.push(format!("server_name {};", web.host));
    settings.push(format!("client_max_body_size {};", web.body_size));
    if web.tls {
        settings.extend([
            format!("ssl_certificate {};", web.certificate),
            format!("ssl_certificate_key {};", web.key),
            "ssl_protocols TLSv1.2 TLSv1.3;".to_owned(),
            "ssl_session_cache shared:SSL:10m;".to_owned(),
            "ssl_session_timeout 1d;".to_owned(),
            "add_header Strict-Transport-Security \"max-age=63072000\";".to_owned(),
        ]);
    }
    settings.extend(web.trusted_addresses.iter().map(|net| format!("set_real_ip_from {net};")));
    if let Some(header) = &web.real_ip_header {
        settings.push(format!("real_ip_header {header};"));
    }
    if web.real_ip_recursive {
        settings.push("real_ip_recursive on;".to_owned());
    }
    settings.extend([
        "proxy_http_version 1.1;".to_owned(),
        "proxy_read_timeout 3600;".to_owned(),
        "proxy_set_header Host $http_host;".to_owned(),
        "proxy_set_header X-Real-IP $remote_addr;".to_owned(),
        "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;".to_owned(),
        format!("proxy_set_header X-Forwarded-Proto {scheme};"),
        format!("proxy_set_header X-Forwarded-Ssl {};", if web.tls { "on" } else { "off" }),
        "proxy_set_header Upgrade $http_upgrade;".to_owned(),
        "proxy_set_header Connection $connection_upgrade;".to_owned(),
        "location / { proxy_pass http://gitlab-workhorse; }".to_owned(),
        // What may be large goes through as it comes, instead of waiting on nginx's disk until it is whole.
        "location ~ \\.git/(git-receive-pack|git-upload-pack|gitlab-lfs/objects/|info/lfs/) { \
         proxy_request_buffering off; proxy_pass http://gitlab-workhorse; }"
            .to_owned(),
    ]);
    settings.extend(
        EXACT.iter().map(|path| {
            format!("location = {path} {{ proxy_cache off; proxy_pass http://gitlab-workhorse; }}")
        }),
    );
    server(&settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web() -> Web {
        Web {
            host: "gitlab.example.com".into(),
            port: 443,
            tls: true,
            addresses: vec!["*".into()],
            redirect_from: Some(80),
            redirect_to: "https://gitlab.example.com".into(),
            certificate: "/etc/gitlab/ssl/gitlab.example.com.crt".into(),
            key: "/etc/gitlab/ssl/gitlab.example.com.key".into(),
            body_size: "0".into(),
            trusted_addresses: vec!["10.0.0.0/8".into()],
            real_ip_header: Some("X-Forwarded-For".into()),
            real_ip_recursive: true,
            status: None,
            lets_encrypt: LetsEncrypt::Off,
        }
    }

    #[test]
    fn the_site_speaks_tls_and_the_redirect_leads_there() {
        let text = servers(&web());
        assert!(text.contains("listen *:443 ssl;"));
        assert!(text.contains("listen *:80;"));
        assert!(text.contains("return 301 https://gitlab.example.com$request_uri;"));
        assert!(text.contains("location = /-/readiness {"));
        assert!(text.contains("set_real_ip_from 10.0.0.0/8;"));
        assert!(text.contains("location ~ \\.git/(git-receive-pack|"), "{text}");
    }

    #[test]
    fn without_tls_no_certificate_is_named() {
        let text = servers(&Web { tls: false, port: 80, redirect_from: None, ..web() });
        assert!(text.contains("listen *:80;"));
        assert!(!text.contains("ssl_certificate"));
    }

    #[test]
    fn lets_encrypt_is_refused() {
        let asked = Web { lets_encrypt: LetsEncrypt::On, ..web() };
        assert!(matches!(check_lets_encrypt(&asked), Err(Error::LetsEncrypt { .. })));
        assert!(check_lets_encrypt(&web()).is_ok());
    }
}
