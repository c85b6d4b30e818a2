//! Whether a proxy stands between here and the endpoint, by the crate's rules, and whether it opens a tunnel.

use std::future::ready;
use std::sync::Arc;

use http::Uri;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tower::{ServiceExt, service_fn};
use tower_idaas::BoxError;
use tower_idaas::explanation::{Proxy, Route};

use super::super::config_file::{ConfigFile, Endpoint};
use super::super::finding::{Finding, Step};
use super::super::shown;
use super::super::surroundings::Surroundings;
use super::built::Faults;
use super::network::Stream;
use super::roots;

pub(crate) enum Way {
    Direct,
    /// The tunnel to it.
    Through(Box<dyn Stream>),
    /// Through a SOCKS proxy, which the crate alone speaks to.
    Unseen,
}

const VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

pub(crate) async fn examine(
    endpoint: &Endpoint,
    config: &ConfigFile,
    faults: &Faults,
    surroundings: &Surroundings,
) -> (Finding, Option<Way>) {
    let faults = faults.of(Step::Proxy);
    if !faults.is_empty() {
        return (no_proxy().notes(faults), None);
    }
    let variable = surroundings.first(&VARIABLES).map(|(variable, _)| variable);
    let proxy = match config.route(endpoint) {
        Route::Proxy(proxy) => proxy,
        Route::Unusable(fault) => return (no_proxy().notes([shown::chain(&fault)]), None),
        _ => {
            let summary = match variable {
                Some(name) => {
                    format!("{name} is set, but not for {}; straight to the endpoint", endpoint.host)
                }
                None => "none; straight to the endpoint".to_owned(),
            };
            return (Finding::ok(Step::Proxy, summary), Some(Way::Direct));
        }
    };
    let variable = variable.unwrap_or_default();
    if !matches!(proxy.uri().scheme_str(), Some("http" | "https")) {
        let finding = Finding::ok(Step::Proxy, "a SOCKS proxy; what is behind it shows at `token`");
        return (finding.fact("by", variable), Some(Way::Unseen));
    }
    // Host and port: there may be a password in the rest.
    let host = proxy.uri().host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port =
        proxy.uri().port_u16().unwrap_or(if proxy.uri().scheme_str() == Some("https") { 443 } else { 80 });
    let (finding, way) = match timeout(config.connect_timeout(), TcpStream::connect((&*host, port))).await {
        Ok(Ok(tcp)) => {
            let tunnel = tunnel(tcp, &proxy, &host, endpoint, surroundings);
            match timeout(config.connect_timeout(), tunnel).await {
                Ok(Ok(tunnel)) => (
                    Finding::ok(Step::Proxy, format!("through {host}:{port}, which opens a tunnel")),
                    Some(Way::Through(tunnel)),
                ),
                Ok(Err(error)) => (closed(&host, port, &shown::chain(&*error)), None),
                Err(_) => (closed(&host, port, "no answer in time"), None),
            }
        }
        Ok(Err(error)) => (gone(&host, port, &shown::chain(&error)), None),
        Err(_) => (gone(&host, port, "no answer in time"), None),
    };
    (finding.fact("by", variable), way)
}

/// Asks for a tunnel to the endpoint (`CONNECT`, RFC 9110 section 9.3.6), as the crate does.
async fn tunnel(
    tcp: TcpStream,
    proxy: &Proxy,
    host: &str,
    endpoint: &Endpoint,
    surroundings: &Surroundings,
) -> Result<Box<dyn Stream>, BoxError> {
    let to_proxy: Box<dyn Stream> = match proxy.uri().scheme_str() {
        Some("https") => {
            let (roots, _) = roots::load(surroundings);
            let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
                .with_safe_default_protocol_versions()?
                .with_root_certificates(roots)
                .with_no_client_auth();
            let name = ServerName::try_from(host.to_owned())?;
            Box::new(TlsConnector::from(Arc::new(config)).connect(name, tcp).await?)
        }
        _ => Box::new(tcp),
    };
    let mut to_proxy = Some(TokioIo::new(to_proxy));
    let connect = service_fn(move |_: Uri| ready(to_proxy.take().ok_or("asked twice")));
    let mut tunnel = Tunnel::new(proxy.uri().clone(), connect);
    if let Some(authorization) = proxy.expose_authorization() {
        tunnel = tunnel.with_auth(authorization.clone());
    }
    Ok(tunnel.oneshot(endpoint.uri.clone()).await?.into_inner())
}

fn no_proxy() -> Finding {
    Finding::failed(Step::Proxy, "a variable is not the address of a proxy").advise(
        "no connection is tried with it",
        "set it to `http://host:port`, or unset it; `https`, `socks5` and `socks5h` are taken as well",
    )
}

fn gone(host: &str, port: u16, reason: &str) -> Finding {
    Finding::failed(Step::Proxy, format!("no connection to {host}:{port}: {reason}")).advise(
        "all token requests go through this proxy, and it is not there",
        "mend the variable, or exempt the endpoint's host in NO_PROXY",
    )
}

fn closed(host: &str, port: u16, reason: &str) -> Finding {
    Finding::failed(Step::Proxy, format!("{host}:{port} opens no tunnel: {reason}")).advise(
        "the proxy does not let this endpoint through, wants to know who asks, or cannot reach it itself",
        "check user and password in the variable and the proxy's list of hosts, or exempt the endpoint's host in NO_PROXY",
    )
}
