//! From what was given to what can be used: every fault at once, and what deserves a warning.

use std::time::Duration;

use http::Uri;

use crate::config::endpoint::{self, Query};
use crate::config::model::ClientConfig;
use crate::config::section::Field;
use crate::config::{AuthnMethod, Config, authn};
use crate::environment::Environment;
use crate::error::{ConfigError, ConfigFault};
use crate::scope::Scope;

/// What the vendor's own clients ask for when the file names no scope.
const DEFAULT_SCOPE: &str = "urn:cloud:idaas:pam|cloud_account:obtain_access_credential";

/// The usable configuration and its warnings, or all faults. `origin` is the file's name.
///
/// The environment is asked for one thing only: whether the secret or the key is there and can be used.
pub(super) fn check(
    given: &ClientConfig,
    origin: Option<&str>,
    environment: &Environment,
) -> Result<(Config, Vec<String>), ConfigError> {
    let mut checker = Checker { environment, faults: given.faults.clone(), warnings: Vec::new() };
    match checker.config(given) {
        Some(config) if checker.faults.is_empty() => {
            let warnings = given.unknown_keys.iter().chain(&checker.warnings);
            Ok((config, warnings.map(ToString::to_string).collect()))
        }
        _ => {
            let mut faults = checker.faults;
            let order = ClientConfig::paths();
            faults.sort_by_key(|fault| order.iter().position(|path| *path == fault.key()));
            // A slip of the pen is best read beside the key that it left missing.
            faults.extend(given.unknown_keys.iter().cloned());
            Err(ConfigError::all(origin, faults))
        }
    }
}

impl ClientConfig {
    /// The DeveloperAPI's endpoint and the instance's id as code gives them, where nothing else is asked for.
    pub(crate) fn developer_api(
        &self,
        environment: &Environment,
    ) -> Result<(Option<Uri>, Option<String>), ConfigError> {
        let mut checker = Checker { environment, faults: Vec::new(), warnings: Vec::new() };
        let endpoint = checker.endpoint(&self.client.developer_api_endpoint, Query::Refused);
        let instance_id = self.client.idaas_instance_id.get().map(|id| id.trim());
        for warning in &checker.warnings {
            tracing::warn!("configuration: {warning}");
        }
        match checker.faults.is_empty() {
            true => Ok((endpoint, instance_id.filter(|id| !id.is_empty()).map(str::to_owned))),
            false => Err(ConfigError::all(None, checker.faults)),
        }
    }
}

/// Collects faults while it turns fields into values; `None` stands for a value whose fault is told.
pub(super) struct Checker<'e> {
    pub(super) environment: &'e Environment,
    faults: Vec<ConfigFault>,
    warnings: Vec<ConfigFault>,
}

impl Checker<'_> {
    fn config(&mut self, given: &ClientConfig) -> Option<Config> {
        let client = &given.client;
        let instance_id = self.required(&client.idaas_instance_id, "the instance's id, `idaas_…`");
        let client_id = self.required(&client.client_id, "the application's id, `app_…`");
        // A file has both, whatever the method; code need not give what nobody asks.
        if !matches!(given.authn_in_code, Some(AuthnMethod::Plugin(_))) {
            self.required(&client.issuer, "the issuer's URL");
            self.required(&client.token_endpoint, "the token endpoint's URL");
        }
        let issuer = self.endpoint(&client.issuer, Query::Refused);
        let token_endpoint = self.endpoint(&client.token_endpoint, Query::Allowed);
        let scope = self.scope(&client.scope);
        let open_api_endpoint = self.endpoint(&client.open_api_endpoint, Query::Refused);
        let developer_api_endpoint = self.endpoint(&client.developer_api_endpoint, Query::Refused);
        let device_authorization_endpoint =
            self.endpoint(&client.device_authorization_endpoint, Query::Allowed);
        let authn = authn::method(given, self);
        let (connect_timeout, read_timeout) = given.timeouts();
        for field in [&given.http.connect_timeout, &given.http.read_timeout] {
            self.check_timeout(field);
        }
        if given.http.unsafe_ignore_ssl_cert.get() == Some(&true) {
            self.warn(given.http.unsafe_ignore_ssl_cert.fault(
                "is ignored: certificates stay verified; to trust a private authority, set environment \
                 variable SSL_CERT_FILE to its certificates",
            ));
        }
        Some(Config {
            instance_id: instance_id?,
            client_id: client_id?,
            issuer,
            token_endpoint,
            scope: scope?,
            open_api_endpoint,
            developer_api_endpoint,
            device_authorization_endpoint,
            authn: authn?,
            connect_timeout,
            read_timeout,
        })
    }

    pub(super) fn fault(&mut self, fault: ConfigFault) {
        self.faults.push(fault);
    }

    pub(super) fn warn(&mut self, warning: ConfigFault) {
        self.warnings.push(warning);
    }

    /// The text without surrounding white space; missing and blank are faults.
    pub(super) fn required(&mut self, field: &Field<String>, expected: &str) -> Option<String> {
        if field.is_absent() {
            self.fault(field.fault(format!("is missing; expected {expected}")));
        }
        let text = field.get()?.trim();
        if text.is_empty() {
            self.fault(field.fault(format!("is blank; expected {expected}")));
            return None;
        }
        Some(text.to_owned())
    }

    /// The endpoint, if one is given. A blank one is none: templates leave unused ones blank.
    fn endpoint(&mut self, field: &Field<String>, query: Query) -> Option<Uri> {
        let text = field.get().filter(|text| !text.trim().is_empty())?;
        match endpoint::parse(text, query) {
            Ok(endpoint) => {
                if endpoint.upgraded {
                    self.warn(field.fault("has scheme http; https is used instead"));
                }
                Some(endpoint.uri)
            }
            Err(problem) => {
                self.fault(field.fault(problem));
                None
            }
        }
    }

    fn scope(&mut self, field: &Field<String>) -> Option<Scope> {
        if field.is_absent() {
            self.warn(field.fault(format!("is missing; the vendor's default is used, `{DEFAULT_SCOPE}`")));
            return Scope::parse(DEFAULT_SCOPE).ok();
        }
        match Scope::parse(field.get()?) {
            Ok(scope) => Some(scope),
            Err(problem) => {
                self.fault(field.fault(problem));
                None
            }
        }
    }

    /// The file's range is already checked; code may choose freely, but not "none".
    fn check_timeout(&mut self, field: &Field<Duration>) {
        if field.get().is_some_and(Duration::is_zero) {
            self.fault(field.fault("is zero; expected a time to wait"));
        }
    }
}
