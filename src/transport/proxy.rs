//! The proxy variables: `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`, in either letter case.

use http::Uri;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};

use crate::environment::Environment;
use crate::error::ConfigFault;
use crate::loopback::is_loopback;

/// Which proxy, if any, a destination is reached through.
#[derive(Debug)]
pub(super) struct Proxies(Matcher);

impl Proxies {
    /// # Errors
    ///
    /// A variable that is set and is not the address of an HTTP proxy. Its value is not shown: it may
    /// hold a password.
    pub(super) fn load(environment: &Environment) -> Result<Self, ConfigFault> {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| environment.text(name).map(|value| (*name, value)))
        };
        let no_proxy = first(&["NO_PROXY", "no_proxy"]).map(|(_, value)| value).unwrap_or_default();
        let mut matcher = Matcher::builder().no(no_proxy);
        if let Some((name, value)) = first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]) {
            if !is_http_proxy(&value) {
                return Err(ConfigFault::new(
                    name,
                    "is not the address of an HTTP proxy; expected `http://host:port`",
                ));
            }
            matcher = matcher.https(value);
        }
        Ok(Self(matcher.build()))
    }

    /// Plain HTTP, which only loopback and link-local services speak here, and loopback hosts are never
    /// reached through a proxy.
    pub(super) fn proxy_for(&self, destination: &Uri) -> Option<Intercept> {
        if destination.host().is_none_or(is_loopback) {
            return None;
        }
        self.0.intercept(destination)
    }
}

fn is_http_proxy(value: &str) -> bool {
    let probe = Uri::from_static("https://probe.invalid/");
    let intercept = Matcher::builder().https(value.to_owned()).build().intercept(&probe);
    intercept.is_some_and(|intercept| matches!(intercept.uri().scheme_str(), Some("http" | "https")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ManualEnvironment;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, ConfigFault> {
        let variables = variables.iter().map(|(name, value)| (*name, *value));
        Proxies::load(&Environment::Manual(ManualEnvironment::from_iter(variables)))
    }

    fn proxy(variables: &[(&str, &str)], destination: &'static str) -> Option<String> {
        let proxies = proxies(variables).unwrap();
        proxies.proxy_for(&Uri::from_static(destination)).map(|intercept| intercept.uri().to_string())
    }

    #[test]
    fn https_goes_through_the_proxy_unless_the_host_is_exempt() {
        let variables = [("HTTPS_PROXY", "http://proxy:3128"), ("no_proxy", "internal.example,10.0.0.0/8")];
        assert_eq!(proxy(&variables, "https://idaas.example/token").unwrap(), "http://proxy:3128/");
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
        for value in ["socks5://user:hunter2@proxy", "ftp://hunter2@proxy", "http://", "hunter2 proxy"] {
            let fault = proxies(&[("https_proxy", value)]).unwrap_err();
            assert_eq!(fault.key(), "https_proxy");
            assert!(!fault.to_string().contains("hunter2"));
        }
    }
}
