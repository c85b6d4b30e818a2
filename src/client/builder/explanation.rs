//! How a configuration is understood, for programs that explain it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::{HeaderValue, Uri};

use crate::client::builder::IdaasBuilder;
use crate::config::ClientConfig;
use crate::environment::Environment;
use crate::error::ConfigFault;
#[cfg(feature = "transport")]
use crate::transport::{Probe, Prober};

/// How a configuration is understood, whether or not it can be used: from [`IdaasBuilder::explain`]. The program
/// `idaas` (crate `tower-idaas-cli`) uses it to explain why there is no token.
///
/// Its values have not been checked, and a secret may have been pasted into any of them; `Debug` shows none.
#[derive(Clone)]
pub struct Explanation {
    path: Option<PathBuf>,
    size: Option<usize>,
    is_object: bool,
    keys: ClientConfig,
    environment: Environment,
    #[cfg(feature = "transport")]
    root_certificates: Vec<Vec<u8>>,
}

/// How an endpoint is reached.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Route {
    /// Without a proxy.
    Direct,
    /// Through this proxy.
    Proxy(Proxy),
    /// Not at all: a proxy is needed, and the variable that this fault names does not hold the address of one.
    Unusable(ConfigFault),
}

/// A proxy of the variables `HTTPS_PROXY` and `ALL_PROXY`. `Debug` does not show its password.
#[derive(Clone)]
pub struct Proxy {
    uri: Uri,
    authorization: Option<HeaderValue>,
}

/// # Explaining
impl IdaasBuilder {
    /// Reads what [`build`](Self::build) would read, and returns how it is understood, however many faults there are.
    pub fn explain(&self) -> Explanation {
        let (path, text) = self.file.read(&self.environment);
        let mut keys = self.overrides.clone();
        let is_object = text.as_deref().is_some_and(|text| keys.read(text));
        let size = text.map(|text| text.len());
        Explanation {
            path,
            size,
            is_object,
            keys,
            environment: self.environment.clone(),
            #[cfg(feature = "transport")]
            root_certificates: self.root_certificates.clone(),
        }
    }
}

impl Explanation {
    /// The configuration file, if one is read: a leading `~` is the home directory.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// How many bytes of text the configuration has; `None` when none is read, or it cannot be read.
    pub fn size(&self) -> Option<usize> {
        self.size
    }

    /// Whether the text of the configuration is a JSON object, comments and trailing commas aside.
    pub fn is_object(&self) -> bool {
        self.is_object
    }

    /// The text that code or the file gives to this key, without surrounding white space; `None` when it is absent or
    /// blank. The key is the vendor's, without the name of its section: `clientId`, `authnMethod`.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.keys.value(key)
    }

    /// Every key that is read, with the name of its section: `clientId`, `authnConfiguration.authnMethod`. Each is read
    /// in the vendor's snake_case as well.
    pub fn known_keys() -> Vec<&'static str> {
        ClientConfig::paths()
    }

    /// The endpoint that tokens are requested from, and its key: plain HTTP becomes HTTPS, except for loopback hosts.
    pub fn endpoint(&self) -> Option<(&'static str, Uri)> {
        self.keys.endpoint()
    }

    /// The DeveloperAPI, where one is configured: credentials of cloud roles and stored secrets come from there.
    pub fn developer_api(&self) -> Option<Uri> {
        self.keys.developer_api()
    }

    /// How long a connection may take.
    pub fn connect_timeout(&self) -> Duration {
        self.keys.timeouts().0
    }

    /// How the built-in HTTP client reaches this endpoint, by `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`.
    pub fn route(&self, endpoint: &Uri) -> Route {
        #[cfg(feature = "transport")]
        match crate::transport::proxy_for(&self.environment, endpoint) {
            None => Route::Direct,
            Some(Ok(proxy)) => {
                Route::Proxy(Proxy { uri: proxy.uri().clone(), authorization: proxy.basic_auth().cloned() })
            }
            Some(Err(fault)) => Route::Unusable(fault),
        }
        #[cfg(not(feature = "transport"))]
        {
            let _ = (&self.environment, endpoint);
            Route::Direct
        }
    }
}

/// # Trying
#[cfg(feature = "transport")]
#[cfg_attr(docsrs, doc(cfg(feature = "transport")))]
impl Explanation {
    /// Opens a connection to this endpoint with the parts of the built-in HTTP client (its reading of proxies and
    /// authorities, its addresses, its time-outs), step by step, and closes it. Sends no credential but those of a
    /// proxy. Each step may take as long as a connection. Outside a Tokio runtime, or on one without timers, the first
    /// step fails, and its error says so.
    pub async fn probe(&self, endpoint: &Uri) -> Probe {
        let (connect_timeout, read_timeout) = self.keys.timeouts();
        let prober = Prober {
            environment: &self.environment,
            root_certificates: &self.root_certificates,
            connect_timeout,
            read_timeout,
        };
        prober.probe(endpoint).await
    }
}

impl Proxy {
    /// Its scheme, host and port: `http`, `https`, `socks5` or `socks5h`.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The value of `Proxy-Authorization` for an HTTP proxy: user and password.
    pub fn expose_authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }
}

impl fmt::Debug for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, size, is_object, .. } = self;
        f.debug_struct("Explanation")
            .field("path", path)
            .field("size", size)
            .field("is_object", is_object)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = (self.uri.host(), self.uri.port_u16());
        f.debug_struct("Proxy").field("host", &host).field("port", &port).finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "transport"))]
mod tests {
    use super::*;
    use crate::client::idaas::Idaas;
    use crate::environment::ManualEnvironment;

    fn explain(text: &str, variables: &[(&str, &str)]) -> Explanation {
        let environment = ManualEnvironment::from_iter(variables.iter().copied());
        Idaas::builder().config_text(text).environment(environment).explain()
    }

    #[test]
    fn what_cannot_be_used_is_explained_all_the_same() {
        let explanation = explain(
            r#"{ "client_id": " app_x ", "tokenEndpoint": "http://idaas.example/token", "scope": "",
                 "authnConfiguration": { "authnMethod": "NONE_SUCH" }, "httpConfiguration": { "connectTimeout": 7000 } }"#,
            &[],
        );
        assert!(explanation.is_object());
        assert_eq!(explanation.value("clientId"), Some("app_x"));
        assert_eq!(explanation.value("scope"), None);
        assert_eq!(explanation.value("authnMethod"), Some("NONE_SUCH"));
        assert_eq!(explanation.connect_timeout(), Duration::from_secs(7));
        let (key, uri) = explanation.endpoint().unwrap();
        assert_eq!((key, uri.to_string().as_str()), ("tokenEndpoint", "https://idaas.example/token"));
        assert!(!explain("no object", &[]).is_object() && explain("", &[]).size().is_none());
    }

    #[test]
    fn the_route_is_that_of_the_client_and_shows_no_password() {
        let uri = Uri::from_static("https://idaas.example/token");
        let route = |variables: &[(&str, &str)]| explain("{}", variables).route(&uri);
        assert!(matches!(route(&[]), Route::Direct));
        let proxied = route(&[("ALL_PROXY", "http://user:marker@proxy:3128")]);
        assert!(!format!("{proxied:?}").contains("marker"));
        let Route::Proxy(proxy) = proxied else { panic!("{proxied:?}") };
        assert_eq!((proxy.uri().host(), proxy.uri().port_u16()), (Some("proxy"), Some(3128)));
        assert!(proxy.expose_authorization().is_some());
        let Route::Unusable(fault) = route(&[("HTTPS_PROXY", "ftp://x")]) else { panic!() };
        assert_eq!(fault.key(), "HTTPS_PROXY");
        assert!(matches!(route(&[("HTTPS_PROXY", "ftp://x"), ("NO_PROXY", "*")]), Route::Direct));
    }
}
