//! From keys to a checked configuration, with all its faults and warnings.

use std::time::Duration;

use http::Uri;

use crate::authn::CheckContext;
use crate::config::checker::Checker;
use crate::config::endpoint::Query;
use crate::config::keys::ClientConfig;
use crate::config::method;
use crate::config::model::Config;
use crate::config::section::Field;
use crate::error::ConfigError;
use crate::scope::Scope;

/// The scope of the vendor's own clients when the file names none.
const DEFAULT_SCOPE: &str = "urn:cloud:idaas:pam|cloud_account:obtain_access_credential";

/// The scopes that the vendor's documents name in its place.
const MEANT_SCOPES: &str = "`urn:cloud:idaas:pam|cloud_account_role:obtain_access_credential`, or \
    `urn:cloud:idaas:pam|.all`";

/// The usable configuration and its warnings, or all faults. `origin` is the file's name.
pub(super) fn check(
    keys: &ClientConfig,
    origin: Option<&str>,
    context: &CheckContext<'_>,
) -> Result<(Config, Vec<String>), ConfigError> {
    let mut checker = Checker::new(context, keys.faults.clone());
    let config = config(keys, origin, &mut checker);
    let (mut faults, warnings) = checker.into_faults_and_warnings();
    match config {
        Some(config) if faults.is_empty() => {
            let warnings = keys.unknown_keys.iter().chain(&warnings);
            Ok((config, warnings.map(ToString::to_string).collect()))
        }
        _ => {
            let order = ClientConfig::paths();
            faults.sort_by_key(|fault| order.iter().position(|path| *path == fault.key()));
            // An unknown key is often a misspelling of a missing one, so it is reported with it.
            faults.extend(keys.unknown_keys.iter().cloned());
            Err(ConfigError::all(origin, faults))
        }
    }
}

fn config(keys: &ClientConfig, origin: Option<&str>, checker: &mut Checker<'_>) -> Option<Config> {
    let client = &keys.client;
    let mut id = |field: &Field<String>, expected| match keys.has_source && field.is_absent() {
        true => Some(String::new()),
        false => checker.required_id(field, expected),
    };
    let instance_id = id(&client.idaas_instance_id, "the instance's id, `idaas_…`");
    let client_id = id(&client.client_id, "the application's id, `app_…`");
    // A file has both, whatever the method; code may leave out what is not used.
    if !keys.is_plugin && !keys.has_source {
        checker.required(&client.issuer, "the issuer's URL");
        checker.required(&client.token_endpoint, "the token endpoint's URL");
    }
    let issuer = checker.endpoint(&client.issuer, Query::Refused);
    let token_endpoint = checker.endpoint(&client.token_endpoint, Query::Allowed);
    let scope = scope(keys, checker);
    let open_api_endpoint = checker.endpoint(&client.open_api_endpoint, Query::Refused);
    let developer_api_endpoint = checker.endpoint(&client.developer_api_endpoint, Query::Refused);
    warn_of_another_api(&client.open_api_endpoint, open_api_endpoint.as_ref(), checker);
    warn_of_another_api(&client.developer_api_endpoint, developer_api_endpoint.as_ref(), checker);
    let device_authorization_endpoint =
        checker.endpoint(&client.device_authorization_endpoint, Query::Allowed);
    let method = method::method(keys, token_endpoint.as_ref(), checker);
    let (connect_timeout, read_timeout) = keys.timeouts();
    for field in [&keys.http.connect_timeout, &keys.http.read_timeout] {
        check_timeout(field, checker);
    }
    if keys.http.unsafe_ignore_ssl_cert.get() == Some(&true) {
        checker.warn(keys.http.unsafe_ignore_ssl_cert.fault(
            "is ignored: certificates stay verified; to trust a private authority, set environment \
             variable SSL_CERT_FILE to its certificates",
        ));
    }
    Some(Config {
        origin: origin.map(str::to_owned),
        instance_id: instance_id?,
        client_id: client_id?,
        issuer,
        token_endpoint,
        scope: scope?,
        open_api_endpoint,
        developer_api_endpoint,
        device_authorization_endpoint,
        method: method?,
        connect_timeout,
        read_timeout,
    })
}

fn scope(keys: &ClientConfig, checker: &mut Checker<'_>) -> Option<Scope> {
    let field = &keys.client.scope;
    if field.is_absent() && keys.has_source {
        checker.fault(field.fault("is missing; expected items `audience|permission`"));
        return None;
    }
    if field.is_absent() {
        checker.warn(field.fault(format!(
            "is missing; the default of the vendor's clients is used, `{DEFAULT_SCOPE}`, whose permission is in no \
             document of the vendor; write the scope that is meant: {MEANT_SCOPES}"
        )));
        return Scope::parse(DEFAULT_SCOPE).ok();
    }
    match Scope::parse(field.get()?) {
        Ok(scope) => Some(scope),
        Err(problem) => {
            checker.fault(field.fault(problem));
            None
        }
    }
}

/// The two APIs have hosts that are easily taken for one another.
fn warn_of_another_api(field: &Field<String>, endpoint: Option<&Uri>, checker: &mut Checker<'_>) {
    let Some(host) = endpoint.and_then(Uri::host).filter(|host| host.ends_with(".aliyuncs.com")) else {
        return;
    };
    let [is_developer_api, is_open_api] =
        ["eiam-developerapi.", "eiam."].map(|service| host.starts_with(service));
    let problem = match field.key() {
        "openApiEndpoint" if is_developer_api => {
            "is the host of the DeveloperAPI; expected the EIAM OpenAPI's, `eiam.{region}.aliyuncs.com`"
        }
        "developerApiEndpoint" if is_open_api => {
            "is the host of the EIAM OpenAPI; expected the DeveloperAPI's, `eiam-developerapi.{region}.aliyuncs.com`"
        }
        _ => return,
    };
    checker.warn(field.fault(problem));
}

/// A time-out from the file is in range already; one from code must only not be zero.
fn check_timeout(field: &Field<Duration>, checker: &mut Checker<'_>) {
    if field.get().is_some_and(Duration::is_zero) {
        checker.fault(field.fault("is zero; expected a time to wait"));
    }
}
