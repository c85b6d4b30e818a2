//! Scopes, and where a token may go: lists of origins and of hosts for plain HTTP.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, Uri};
use tower_idaas::{ConfigError, Idaas, IdaasLayer, Scope};

use super::{Watch, assert_faults_readable, assert_readable, runtime, split};

/// An entry of a list and the URI of a request, separated by a line break; the first byte says which list. A token
/// leaves only for what the entry names.
pub fn destination(input: &[u8]) {
    let _watch = Watch::start();
    let (choice, rest) = split(input);
    let text = String::from_utf8_lossy(rest);
    let (entry, uri) = text.split_once('\n').unwrap_or((&text, ""));
    let layer = || Idaas::fixed("token").unwrap().layer();
    let is_plaintext = choice % 2 == 1;
    let listed: Result<IdaasLayer, ConfigError> = match is_plaintext {
        true => layer().allow_plaintext(entry),
        false => layer().allow_origins([entry]),
    };
    if let Err(error) = &listed {
        assert_faults_readable(error);
    }
    let Ok(uri) = uri.parse::<Uri>() else { return };
    let is_listed = listed.is_ok();
    let layer = listed.unwrap_or_else(|_refused| layer());
    let mut headers = HeaderMap::new();
    let authorized = runtime().block_on(layer.authorize(&mut (&uri, &mut headers)));
    if let Err(error) = &authorized {
        assert_readable(&error.to_string());
        assert!(headers.is_empty());
    }
    if !authorized.is_ok_and(|authorized| authorized.has_token()) {
        return;
    }
    // The inner service knows where a path leads; a list demands that the request says so itself.
    if uri.host().is_none() {
        assert!(!is_listed || is_plaintext, "{entry:?} {uri}");
        return;
    }
    let is_secure = uri.scheme_str().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    let is_named = || {
        let entry = entry.to_ascii_lowercase();
        match is_plaintext {
            true => names(&entry, &uri, None),
            false => entry.split_once("://").is_some_and(|(scheme, rest)| {
                names(rest.strip_suffix('/').unwrap_or(rest), &uri, Some(scheme))
            }),
        }
    };
    assert!(
        is_secure || is_this_machine(&uri) || (is_plaintext && is_listed && is_named()),
        "{entry:?} {uri}"
    );
    assert!(is_plaintext || !is_listed || is_named(), "{entry:?} {uri}");
}

/// Whether the entry without its scheme names the URI's host and port. This is written anew, so that a mistake is not
/// made twice.
fn names(entry: &str, uri: &Uri, scheme: Option<&str>) -> bool {
    let own = |scheme: &str| if scheme == "https" { 443 } else { 80 };
    let uri_scheme = uri.scheme_str().unwrap_or_default().to_ascii_lowercase();
    let port_of_uri = uri.port_u16().unwrap_or(own(&uri_scheme));
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse::<u16>().ok()),
        _ => (entry, None),
    };
    let is_port = match (scheme, port) {
        (Some(scheme), port) => scheme == uri_scheme && port.unwrap_or(own(scheme)) == port_of_uri,
        (None, Some(port)) => port == port_of_uri,
        (None, None) => true,
    };
    let found = uri.host().unwrap_or_default().to_ascii_lowercase();
    let address = |text: &str| text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    let is_host = match host.strip_prefix("*.") {
        Some(domain) => {
            found.strip_suffix(domain).is_some_and(|below| below.len() > 1 && below.ends_with('.'))
        }
        None => host == found || address(host).is_some_and(|own| address(&found) == Some(own)),
    };
    is_port && is_host
}

fn is_this_machine(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let inside = host.trim_start_matches('[').trim_end_matches(']');
    let mapped = |address: Ipv6Addr| address.to_ipv4_mapped().is_some_and(|address| address.is_loopback());
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
        || inside.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback() || mapped(address))
}

/// The text of a scope: refused with a readable reason, or it reads the same again and its parts make it up.
pub fn scope(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    match text.parse::<Scope>() {
        Err(error) => {
            error.faults().iter().for_each(|fault| assert_readable(&fault.to_string()));
        }
        Ok(scope) => {
            let again: Scope = scope.as_str().parse().unwrap();
            assert_eq!((&again, again.as_str()), (&scope, scope.as_str()));
            assert!(
                !scope.as_str().contains(char::is_control) && !scope.audience().contains(char::is_whitespace)
            );
            let parts = scope.permissions().map(|permission| format!("{}|{permission}", scope.audience()));
            let whole = parts.collect::<Vec<_>>().join(" ");
            assert_eq!(whole.parse::<Scope>().unwrap(), scope);
        }
    }
}
