//! The proxy variables: `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, in either letter case.
//!
//! A variable is set for all programs of a machine, so a fault in it is an error only when a destination needs a proxy.

use std::borrow::Cow;

use http::Uri;
use http::uri::Authority;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::environment::Environment;
use crate::error::ConfigFault;
use crate::host::{has_usable_port, is_loopback};
use crate::transport::no_proxy::NoProxy;

const NO_ADDRESS: &str =
    "is not the address of a proxy; expected `http://host:port`, or `https`, `socks5` or `socks5h`";
const BAD_PORT: &str = "has a port that is no number from 1 to 65535; expected `http://host:port`, with any password percent-encoded";
const NOT_ENCODED: &str = "has a user name or password that is not percent-encoded; write `@` as %40, `/` as %2F, `?` as \
                           %3F and `#` as %23";
const TOO_LONG: &str = "has a user name or password of more than 255 bytes, which SOCKS5 cannot carry";

const SCHEMES: [&str; 4] = ["http", "https", "socks5", "socks5h"];

/// Stands for an address that cannot be used, so that the hosts that would need it are known.
const UNUSABLE: &str = "http://unusable.invalid";

/// Which proxy, if any, a destination is reached through.
#[derive(Debug)]
pub(super) struct Proxies {
    proxy: Matcher,
    /// For hosts that are exempt at one port only: no proxy at this port.
    at_ports: Vec<(u16, Matcher)>,
    /// What is wrong with the variables. A host that needs no proxy is reached all the same.
    fault: Option<ConfigFault>,
}

impl Proxies {
    /// Reads the variables. Their faults are reported when a destination needs a proxy.
    pub(super) fn load(environment: &Environment) -> Self {
        let mut fault = None;
        let exempt = match first(environment, &["NO_PROXY", "no_proxy"]) {
            Ok(Some((name, text))) => NoProxy::parse(&text, name),
            Ok(None) => NoProxy::default(),
            Err(unreadable) => {
                fault = Some(unreadable);
                NoProxy::default()
            }
        };
        let address = first(environment, &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]);
        let address = address.and_then(|variable| match variable {
            Some((name, address)) => match check(&address) {
                Ok(address) => Ok(address),
                Err(problem) => Err(ConfigFault::new(name, problem)),
            },
            None => Ok(String::new()),
        });
        let address = address.unwrap_or_else(|unusable| {
            fault = Some(unusable);
            UNUSABLE.to_owned()
        });
        let matcher = |exempt: String| Matcher::builder().https(address.as_str()).no(exempt).build();
        let at_ports = exempt.at_ports.into_iter().map(|(port, host)| (port, matcher(host))).collect();
        Self { proxy: matcher(exempt.hosts.join(",")), at_ports, fault }
    }

    /// The proxy for a destination. None for plain HTTP, which is only used for loopback and link-local services, and
    /// none for loopback hosts.
    ///
    /// # Errors
    ///
    /// When the destination needs a proxy and the variables are not the address of one, or are not text. The values are
    /// not shown, because they may hold a password.
    pub(super) fn proxy_for(&self, destination: &Uri) -> Option<Result<Intercept, ConfigFault>> {
        if destination.host().is_none_or(is_loopback) {
            return None;
        }
        let port = destination.port_u16().unwrap_or(443);
        let destination = without_final_dot(destination);
        let mut at_port = self.at_ports.iter().filter(|(exempt, _)| *exempt == port);
        if at_port.any(|(_, proxy)| proxy.intercept(&destination).is_none()) {
            return None;
        }
        let proxy = self.proxy.intercept(&destination)?;
        Some(self.fault.clone().map_or(Ok(proxy), Err))
    }
}

/// The destination by the name that `NO_PROXY` has for it: a dot at the end keeps a resolver from adding domains of its
/// own, and changes nothing else.
fn without_final_dot(destination: &Uri) -> Cow<'_, Uri> {
    let bare = destination.host().and_then(|host| host.strip_suffix('.'));
    let bare =
        bare.and_then(|host| Uri::builder().scheme("https").authority(host).path_and_query("/").build().ok());
    bare.map_or(Cow::Borrowed(destination), Cow::Owned)
}

/// The name of the proxy in errors: its scheme, host and port alone.
pub(super) fn redacted(proxy: &Intercept) -> String {
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

/// The address with its scheme in lower case, which hyper-util demands of SOCKS.
///
/// URL parsers disagree on where an unencoded password ends, and each may take a part of it for the host: such an
/// address is refused.
fn check(address: &str) -> Result<String, &'static str> {
    let (scheme, rest) = address.split_once("://").unwrap_or(("http", address));
    let scheme = scheme.to_ascii_lowercase();
    if !SCHEMES.contains(&scheme.as_str()) {
        return Err(NO_ADDRESS);
    }
    let address = format!("{scheme}://{rest}");
    let (authority, after) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if after.contains('@') || authority.matches('@').count() > 1 {
        return Err(NOT_ENCODED);
    }
    let place = authority.split_once('@').map_or(authority, |(_, place)| place);
    let host = place.parse::<Authority>().map_err(|_| NO_ADDRESS)?;
    if host.host().is_empty() {
        return Err(NO_ADDRESS);
    }
    if !has_usable_port(&host) {
        return Err(BAD_PORT);
    }
    let probe = Matcher::builder().https(address.as_str()).build();
    let proxy = probe.intercept(&Uri::from_static("https://probe.invalid/")).ok_or(NO_ADDRESS)?;
    let (user, password) = proxy.raw_auth().unwrap_or_default();
    if user.len().max(password.len()) > 255 { Err(TOO_LONG) } else { Ok(address) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::environment::ManualEnvironment;

    const ISSUER: &str = "https://idaas.example:8443/token";

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        let variables = variables.iter().map(|(name, value)| (*name, *value));
        Proxies::load(&Environment::Manual(ManualEnvironment::from_iter(variables)))
    }

    fn proxy(variables: &[(&str, &str)], destination: &'static str) -> Option<String> {
        let proxy = proxies(variables).proxy_for(&Uri::from_static(destination));
        proxy.map(|proxy| redacted(&proxy.unwrap()))
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
    fn a_name_is_exempt_in_whatever_case_and_with_a_dot_at_its_end_or_none() {
        for exempt in ["IDaaS.example", ".EXAMPLE", "idaas.example.", "*.example.", "idaas.example.:8443"] {
            let variables = [("HTTPS_PROXY", "http://proxy:3128"), ("NO_PROXY", exempt)];
            for destination in [
                "https://idaas.example:8443/",
                "https://IDAAS.example.:8443/",
                "https://idaas.example.:8443/",
            ] {
                assert_eq!(proxy(&variables, destination), None, "{exempt} {destination}");
            }
        }
        let variables = [("HTTPS_PROXY", "http://proxy:3128"), ("NO_PROXY", "other.example")];
        assert!(proxy(&variables, "https://idaas.example./").is_some());
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
    fn an_address_of_no_proxy_is_a_fault_that_names_the_variable_and_not_its_value() {
        for value in
            ["socks4://user:hunter2@proxy", "ftp://hunter2@proxy", "http://", "hunter2 proxy", "http://:3128"]
        {
            assert_refused(value, "is not the address of a proxy");
        }
        assert_refused(&format!("socks5://hunter2:{}@proxy", "x".repeat(256)), "more than 255 bytes");
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
        let proxy = proxies(&encoded).proxy_for(&Uri::from_static(ISSUER)).unwrap().unwrap();
        assert_eq!(redacted(&proxy), "http://proxy:3128");
        assert_eq!(proxy.basic_auth().unwrap(), "Basic dXNlcjpwQHNzLz8j");
    }

    fn assert_refused(value: &str, reason: &str) {
        let proxies = proxies(&[("https_proxy", value), ("NO_PROXY", "internal.example")]);
        for straight in ["https://internal.example/token", "https://localhost/token"] {
            assert!(proxies.proxy_for(&Uri::from_static(straight)).is_none());
        }
        let fault = proxies.proxy_for(&Uri::from_static(ISSUER)).unwrap().unwrap_err();
        assert_eq!(fault.key(), "https_proxy");
        assert!(fault.to_string().contains(reason), "{value}: {fault}");
        assert!(!format!("{fault} {fault:?}").contains("hunter2"), "{value}: {fault:?}");
    }

    proptest! {
        #[test]
        fn whatever_the_password_is_nothing_of_it_gets_into_the_address_shown(
            before in "[ -~]{0,12}", after in "[ -~]{0,12}", scheme in "(https?://|socks5h?://)?",
        ) {
            let value = format!("{scheme}user:{before}hunter2{after}@proxy:3128");
            let proxies = proxies(&[("HTTPS_PROXY", &value)]);
            let debug = format!("{proxies:?}");
            prop_assert!(!debug.contains("hunter2"));
            match proxies.proxy_for(&Uri::from_static(ISSUER)).unwrap() {
                Ok(proxy) => prop_assert!(redacted(&proxy).ends_with("://proxy:3128"), "{value}"),
                Err(fault) => {
                    let all = format!("{fault} {fault:?}");
                    prop_assert!(!all.contains("hunter2"));
                }
            }
        }

        #[test]
        fn no_text_makes_the_variables_panic(proxy in any::<String>(), exempt in ".{0,20}|[a-z0-9*.:,/ \\[\\]]{0,20}") {
            let _ = proxies(&[("HTTPS_PROXY", &proxy), ("NO_PROXY", &exempt)]).proxy_for(&Uri::from_static(ISSUER));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_that_is_no_text_is_a_fault_and_not_unset() {
        use std::os::unix::ffi::OsStringExt;

        for name in ["HTTPS_PROXY", "all_proxy", "NO_PROXY"] {
            let value = std::ffi::OsString::from_vec(b"http://proxy:3128/\xff".to_vec());
            let other = if name == "NO_PROXY" { "HTTPS_PROXY" } else { "no_proxy" };
            let variables = ManualEnvironment::from_iter([(name, value), (other, "http://proxy".into())]);
            let proxies = Proxies::load(&Environment::Manual(variables));
            let fault = proxies.proxy_for(&Uri::from_static(ISSUER)).unwrap().unwrap_err();
            assert_eq!(
                (fault.key(), fault.to_string().contains("not valid Unicode")),
                (name, true),
                "{fault}"
            );
        }
    }

    #[test]
    fn a_proxy_is_judged_when_a_host_needs_it() {
        let unusable = "gopher://proxy";
        for exempt in ["*", "example", "idaas.example", "idaas.example:8443"] {
            assert_eq!(proxy(&[("ALL_PROXY", unusable), ("NO_PROXY", exempt)], ISSUER), None, "{exempt}");
        }
        let needed = proxies(&[("ALL_PROXY", unusable), ("NO_PROXY", "idaas.example:443")]);
        assert!(needed.proxy_for(&Uri::from_static(ISSUER)).unwrap().is_err());
        assert_eq!(proxy(&[("ALL_PROXY", "socks5://proxy:1080")], ISSUER).unwrap(), "socks5://proxy:1080");
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
