//! PLUGIN: which plugin, and what it needs.

use crate::config::tests::*;

const NAME: &str = "authnConfiguration.pluginName";

/// The result for the text when these plugins are registered in code.
fn check_with(registered: &[&str], text: &str) -> Result<(Config, Vec<String>), ConfigError> {
    let mut config_keys = ClientConfig::default();
    config_keys.plugin_names = registered.iter().map(|name| (*name).to_owned()).collect();
    config_keys.fill(text).unwrap();
    checked(&config_keys, Some("c.json"), &environment())
}

fn plugin(name: &str) -> String {
    method("PLUGIN", json!({ "pluginName": name }))
}

#[test]
fn a_registered_plugin_is_chosen_by_its_name_and_needs_nothing_else() {
    for changes in [&[][..], &[("openApiEndpoint", remove())]] {
        let mut changes = changes.to_vec();
        changes.push(("authnConfiguration", json!({ "authnMethod": "PLUGIN", "pluginName": " mine " })));
        let (config, warnings) = check_with(&["mine", "other"], &with(&changes)).unwrap();
        assert!(matches!(config.method, Method::Plugin(Plugin::Registered { name }) if name == "mine"));
        assert!(warnings.is_empty(), "{warnings:?}");
    }
}

#[test]
fn an_unknown_plugin_is_refused_with_the_known_ones_beside_all_other_faults() {
    let changes = [
        ("clientId", remove()),
        ("scope", json!("a")),
        ("authnConfiguration", json!({ "authnMethod": "PLUGIN", "pluginName": "sidecat" })),
    ];
    let error = check_with(&["sidecar"], &with(&changes)).unwrap_err();
    assert_eq!(keys(&error), ["clientId", "scope", NAME]);
    let text = error.to_string();
    assert!(text.contains("is `sidecat`; expected ") && text.contains("did you mean `sidecar`?"), "{text}");

    for (name, reason) in [(json!(" "), "is blank"), (remove(), "is missing"), (json!("foo"), "is `foo`")] {
        let text = match name == remove() {
            true => method("PLUGIN", json!({})),
            false => method("PLUGIN", json!({ "pluginName": name })),
        };
        let error = check_with(&["sidecar"], &text).unwrap_err();
        assert_eq!(keys(&error), [NAME]);
        assert!(error.to_string().contains(reason), "{error}");
        assert!(error.to_string().contains("sidecar"), "{error}");
    }
}

#[test]
fn keys_of_other_methods_are_warned_about() {
    let text = method("PLUGIN", json!({ "pluginName": "mine", "clientSecretEnvVarName": "APP_SECRET" }));
    let (_, warnings) = check_with(&["mine"], &text).unwrap();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("clientSecretEnvVarName") && warnings[0].contains("not used by PLUGIN"));
}

#[cfg(feature = "aliyun")]
mod built_in {
    use super::*;
    use crate::config::plugin::BUILT_IN;

    fn endpoint(text: &str) -> Result<(Config, Vec<String>), ConfigError> {
        let authn = json!({ "authnMethod": "PLUGIN", "pluginName": BUILT_IN });
        check_with(&[], &with(&[("authnConfiguration", authn), ("openApiEndpoint", json!(text))]))
    }

    #[test]
    fn the_built_in_plugin_calls_the_openapi_over_https() {
        for (text, used, warned) in [
            ("eiam.cn-hangzhou.aliyuncs.com", "https://eiam.cn-hangzhou.aliyuncs.com/", false),
            ("https://eiam.cn-hangzhou.aliyuncs.com", "https://eiam.cn-hangzhou.aliyuncs.com/", false),
            (" https://eiam.cn-hangzhou.aliyuncs.com/ ", "https://eiam.cn-hangzhou.aliyuncs.com/", false),
            ("http://eiam.cn-hangzhou.aliyuncs.com", "https://eiam.cn-hangzhou.aliyuncs.com/", true),
            ("localhost:8443", "https://localhost:8443/", false),
        ] {
            let (config, warnings) = endpoint(text).unwrap();
            let Method::Plugin(Plugin::OpenApi { endpoint }) = config.method else { panic!("{text}") };
            assert_eq!(endpoint, used);
            assert_eq!(!warnings.is_empty(), warned, "{warnings:?}");
        }
    }

    #[test]
    fn an_endpoint_that_is_none_is_one_fault() {
        for (text, reason) in [
            ("", "is blank; expected the host of the EIAM OpenAPI"),
            ("ftp://eiam.example.com", "scheme other than https"),
            ("https://eiam.example.com/x", "has a path"),
            ("https://eiam.example.com/?a", "has a query"),
            ("https://u:hunter2@eiam.example.com/", "user name or password"),
        ] {
            let error = endpoint(text).unwrap_err();
            assert_eq!(keys(&error), ["openApiEndpoint"], "{text}");
            assert!(error.to_string().contains(reason), "{error}");
            assert!(!format!("{error:?}").contains(MARKER));
        }
        let text = with(&[
            ("authnConfiguration", json!({ "authnMethod": "PLUGIN", "pluginName": BUILT_IN })),
            ("openApiEndpoint", remove()),
        ]);
        assert_refused(&text, "openApiEndpoint", "is missing; expected the host of the EIAM OpenAPI");
    }

    #[test]
    fn a_slip_in_its_name_is_recognised_and_a_plugin_of_ones_own_replaces_it() {
        let slip = plugin("alibabacloudPluginCredentialsProvider");
        assert_refused(&slip, NAME, &format!("did you mean `{BUILT_IN}`?"));
        let (config, _) = check_with(&[BUILT_IN], &plugin(BUILT_IN)).unwrap();
        assert!(matches!(config.method, Method::Plugin(Plugin::Registered { .. })));
    }
}

#[cfg(not(feature = "aliyun"))]
#[test]
fn without_the_feature_the_built_in_plugin_names_what_is_missing() {
    let name = "alibabacloudPluginCredentialProvider";
    assert_refused(&plugin(name), NAME, "the feature `aliyun` is off");
    assert!(check_with(&[name], &plugin(name)).is_ok());
    assert_refused(&plugin("foo"), NAME, "expected the name of a plugin that is registered in code");
}
