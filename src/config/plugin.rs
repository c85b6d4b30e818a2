//! PLUGIN: by name, a source of tokens that is built in or was registered in code.

use crate::config::checker::Checker;
#[cfg(feature = "aliyun")]
use crate::config::endpoint::{self, Query};
use crate::config::keys::ClientConfig;
use crate::config::model::{Method, Plugin};
use crate::config::names::{described, nearest};

/// The plugin of the vendor's own clients.
pub(super) const BUILT_IN: &str = "alibabacloudPluginCredentialProvider";

/// One that is registered in code, else the built-in one of this name.
pub(super) fn plugin(checker: &mut Checker<'_>, keys: &ClientConfig) -> Option<Method> {
    let field = &keys.authn.plugin_name;
    let is_registered = |name: &str| keys.plugin_names.iter().any(|known| known == name);
    let built_in = Some(BUILT_IN).filter(|name| cfg!(feature = "aliyun") && !is_registered(name));
    let known: Vec<&str> = built_in.into_iter().chain(keys.plugin_names.iter().map(String::as_str)).collect();
    let expected = match known.as_slice() {
        [] => "the name of a plugin that is registered in code".to_owned(),
        known => known.join(" or "),
    };
    let name = checker.required(field, &expected)?;
    if is_registered(&name) {
        return Some(Method::Plugin(Plugin::Registered { name }));
    }
    #[cfg(feature = "aliyun")]
    if name == BUILT_IN {
        return open_api(checker, keys);
    }
    let problem = match (name.as_str(), nearest(&name, known.iter().copied())) {
        (BUILT_IN, _) => format!(
            "is {BUILT_IN}, and the feature `aliyun` is off; turn it on, or register a plugin of your own \
             with `IdaasBuilder::plugin`"
        ),
        (name, meant) => {
            let meant = meant.map(|meant| format!("; did you mean `{meant}`?"));
            let described = described(name, known.iter().copied());
            format!("{described}; expected {expected}{}", meant.unwrap_or_default())
        }
    };
    checker.fault(field.fault(problem));
    None
}

/// The OpenAPI's host is all that the built-in plugin needs beside the ids.
#[cfg(feature = "aliyun")]
fn open_api(checker: &mut Checker<'_>, keys: &ClientConfig) -> Option<Method> {
    let field = &keys.client.open_api_endpoint;
    let text = checker.required(field, "the host of the EIAM OpenAPI")?;
    // Its faults as a URL are reported with those of the other endpoints.
    let endpoint = endpoint::parse(&text, Query::Refused).ok()?.uri;
    if endpoint.path() != "/" {
        checker.fault(field.fault("has a path; expected a host, such as `eiam.cn-hangzhou.aliyuncs.com`"));
        return None;
    }
    Some(Method::Plugin(Plugin::OpenApi { endpoint }))
}
