//! The proxy variables: `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, in either letter case.

use http::Uri;
use http::uri::Authority;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::environment::Environment;
use crate::error::ConfigFault;
use crate::transport::no_proxy::NoProxy;
use crate::wire::loopback::is_loopback;

const NO_ADDRESS: &str = "is not the address of an HTTP proxy; expected `http://host:port`";
const BAD_PORT: &str = "has a port that is no number from 1 to 65535; expected `http://host:port`, with any password percent-encoded";
const NOT_ENCODED: &str = "has a user name or password that is not percent-encoded; write `@` as %40, `/` as %2F, `?` as \
                           %3F and `#` as %23";

/// Which proxy, if any, a destination is reached through.
#[derive(Debug)]
pub(super) struct Proxies {
    proxy: Matcher,
    /// For hosts that are exempt at one port only: none at this port.
    at_ports: Vec<(u16, Matcher)>,
}

impl Proxies {
    /// # Errors
    ///
    /// A variable that is set and is not the address of an HTTP proxy, or is no text. Its value is not shown:
    /// it may hold a password.
    pub(super) fn load(environment: &Environment) -> Result<Self, ConfigFault> {
        let exempt = match first(environment, &["NO_PROXY", "no_proxy"])? {
            Some((name, text)) => NoProxy::parse(&text, name),
            None => NoProxy::default(),
        };
        let address = first(environment, &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])?;
        if let Some((name, address)) = &address {
            check(address).map_err(|problem| ConfigFault::new(*name, problem))?;
        }
        let address = address.map(|(_, address)| address).unwrap_or_default();
        let matcher = |exempt: String| Matcher::builder().https(address.as_str()).no(exempt).build();
        let at_ports = exempt.at_ports.into_iter().map(|(port, host)| (port, matcher(host))).collect();
        Ok(Self { proxy: matcher(exempt.hosts.join(",")), at_ports })
    }

    /// Plain HTTP, which only loopback and link-local services speak here, and loopback hosts are never
    /// reached through a proxy.
    pub(super) fn proxy_for(&self, destination: &Uri) -> Option<Intercept> {
        if destination.host().is_none_or(is_loopback) {
            return None;
        }
        let port = destination.port_u16().unwrap_or(443);
        let mut at_port = self.at_ports.iter().filter(|(exempt, _)| *exempt == port);
        if at_port.any(|(_, proxy)| proxy.intercept(destination).is_none()) {
            return None;
        }
        self.proxy.intercept(destination)
    }
}

/// How errors call the proxy: by nothing but its scheme, host and port.
pub(super) fn shown(proxy: &Intercept) -> String {
    let uri = proxy.uri();
    let (scheme, host) = (uri.scheme_str().unwrap_or("http"), uri.host().unwrap_or_default());
    match uri.port_u16() {
        Some(port) => format!("{scheme}://{host}:{port}"),
        None => format!("{scheme}://{host}"),
    }
}

/// The first of the variables that is set, and its value.
fn first(
    environment: &Environment,
    names: &[&'static str],
) -> Result<Option<(&'static str, String)>, ConfigFault> {
    for name in names {
        if let Some(value) = environment.checked_text(name)? {
            return Ok(Some((name, value)));
        }
    }
    Ok(None)
}

/// Readers of URLs disagree on where a password ends that is not encoded, and each of them would take some
/// of it for the host: so there is to be no doubt.
fn check(address: &str) -> Result<(), &'static str> {
    let rest = match address.split_once("://") {
        Some((scheme, rest)) if ["http", "https"].contains(&&*scheme.to_ascii_lowercase()) => rest,
        Some(_) => return Err(NO_ADDRESS),
        None => address,
    };
    let (authority, after) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if after.contains('@') || authority.matches('@').count() > 1 {
        return Err(NOT_ENCODED);
    }
    let place = authority.split_once('@').map_or(authority, |(_, place)| place);
    let host = place.parse::<Authority>().map_err(|_| NO_ADDRESS)?;
    if host.host().is_empty() {
        return Err(NO_ADDRESS);
    }
    match place.strip_prefix(host.host()) {
        Some("") => {}
        _ if host.port_u16().is_some_and(|port| port != 0) => {}
        _ => return Err(BAD_PORT),
    }
    let probe = Matcher::builder().https(address).build();
    probe.intercept(&Uri::from_static("https://probe.invalid/")).map(drop).ok_or(NO_ADDRESS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::environment::ManualEnvironment;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, ConfigFault> {
        let variables = variables.iter().map(|(name, value)| (*name, *value));
        Proxies::load(&Environment::Manual(ManualEnvironment::from_iter(variables)))
    }

    fn proxy(variables: &[(&str, &str)], destination: &'static str) -> Option<String> {
        let proxies = proxies(variables).unwrap();
        proxies.proxy_for(&Uri::from_static(destination)).map(|proxy| shown(&proxy))
    }

    #[test]
    fn https_goes_through_the_proxy_unless_the_host_is_exempt() {
        let variables = [("HTTPS_PROXY", "http://proxy:3128"), ("no_proxy", "internal.example,10.0.0.0/8")];
        assert_eq!(proxy(&variables, "https://idaas.example/token").unwrap(), "http://proxy:3128");
        assert_eq!(proxy(&variables, "https://eiam.internal.example/token"), None);
        assert_eq!(proxy(&variables, "https://10.1.2.3/token"), None);
        assert_eq!(proxy(&[], "https://idaas.example/token"), None);
    }

    #[test]
    fn loopback_and_plain_http_never_go_through_a_proxy() {
        let variables = [("ALL_PROXY", "http://proxy:3128")];
        for destination in
            ["https://localhost/x", "https://127.0.0.1/x", "https://[::1]/x", "http://100.100.100.200/x"]
        {
            assert_eq!(proxy(&variables, destination), None, "{destination}");
        }
    }

    #[test]
    fn a_proxy_that_is_no_http_proxy_is_a_fault_that_names_the_variable_and_not_its_value() {
        for value in
            ["socks5://user:hunter2@proxy", "ftp://hunter2@proxy", "http://", "hunter2 proxy", "http://:3128"]
        {
            assert_refused(value, "is not the address of an HTTP proxy");
        }
        for value in ["http://proxy:hunter2", "proxy:", "http://proxy:0", "http://user:x@proxy:99999"] {
            assert_refused(value, "has a port that is no number");
        }
    }

    #[test]
    fn a_password_that_is_not_encoded_is_a_fault_that_shows_nothing_of_it() {
        for password in ["hunter2@ss", "hunter2/b", "hunter2#b", "hunter2?b", "1/hunter2", "1@hunter2@"] {
            for scheme in ["http://", "HTTPS://", ""] {
                let value = format!("{scheme}user:{password}@proxy:3128");
                assert_refused(&value, "is not percent-encoded");
            }
        }
        let encoded = [("HTTPS_PROXY", "http://user:p%40ss%2F%3F%23@proxy:3128/")];
        let proxies = proxies(&encoded).unwrap();
        let proxy = proxies.proxy_for(&Uri::from_static("https://idaas.example/token")).unwrap();
        assert_eq!(shown(&proxy), "http://proxy:3128");
        assert_eq!(proxy.basic_auth().unwrap(), "Basic dXNlcjpwQHNzLz8j");
    }

    fn assert_refused(value: &str, reason: &str) {
        let fault = proxies(&[("https_proxy", value)]).unwrap_err();
        assert_eq!(fault.key(), "https_proxy");
        assert!(fault.to_string().contains(reason), "{value}: {fault}");
        assert!(!format!("{fault} {fault:?}").contains("hunter2"), "{value}: {fault:?}");
    }

    proptest! {
        #[test]
        fn whatever_the_password_is_nothing_of_it_gets_into_the_address_shown(
            before in "[ -~]{0,12}", after in "[ -~]{0,12}", scheme in "(https?://)?",
        ) {
            let value = format!("{scheme}user:{before}hunter2{after}@proxy:3128");
            match proxies(&[("HTTPS_PROXY", &value)]) {
                Ok(proxies) => {
                    let proxy = proxies.proxy_for(&Uri::from_static("https://idaas.example/token")).unwrap();
                    prop_assert!(shown(&proxy).ends_with("://proxy:3128"), "{value}");
                    let debug = format!("{proxies:?}");
                    prop_assert!(!debug.contains("hunter2"));
                }
                Err(fault) => {
                    let all = format!("{fault} {fault:?}");
                    prop_assert!(!all.contains("hunter2"));
                }
            }
        }

        #[test]
        fn no_text_makes_the_variables_panic(proxy in any::<String>(), exempt in ".{0,20}|[a-z0-9*.:,/ \\[\\]]{0,20}") {
            if let Ok(proxies) = proxies(&[("HTTPS_PROXY", &proxy), ("NO_PROXY", &exempt)]) {
                let _ = proxies.proxy_for(&Uri::from_static("https://idaas.example:8443/token"));
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_no_text_is_a_fault_and_not_unset() {
        use std::os::unix::ffi::OsStringExt;

        for name in ["HTTPS_PROXY", "all_proxy", "NO_PROXY"] {
            let value = std::ffi::OsString::from_vec(b"http://proxy:3128/\xff".to_vec());
            let environment = Environment::Manual(ManualEnvironment::from_iter([(name, value)]));
            let fault = Proxies::load(&environment).unwrap_err();
            assert_eq!(
                (fault.key(), fault.to_string().contains("not valid Unicode")),
                (name, true),
                "{fault}"
            );
        }
    }

    #[test]
    fn a_host_that_is_exempt_at_one_port_goes_through_the_proxy_at_the_others() {
        let variables =
            [("HTTPS_PROXY", "http://proxy:3128"), ("NO_PROXY", "idaas.example:443 [2001:db8::1]:8443")];
        for (destination, straight) in [
            ("https://idaas.example/token", true),
            ("https://tenant.idaas.example:443/token", true),
            ("https://idaas.example:8443/token", false),
            ("https://[2001:db8::1]:8443/token", true),
            ("https://[2001:db8::1]/token", false),
        ] {
            assert_eq!(proxy(&variables, destination).is_none(), straight, "{destination}");
        }
    }
}
