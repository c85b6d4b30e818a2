//! Which destinations a list allows.

use http::Uri;
use proptest::prelude::*;

use crate::service::origin::*;

fn admits(origin: &str, uri: &str) -> bool {
    let origin = Origin::parse(origin).unwrap_or_else(|problem| panic!("{origin}: {problem}"));
    uri.parse::<Uri>().is_ok_and(|uri| admit(&[origin], &uri))
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    for (origin, uri, admitted) in [
        ("https://api.example.com", "https://api.example.com", true),
        ("https://api.example.com", "https://api.example.com/orders?id=1", true),
        ("https://api.example.com", "HTTPS://API.Example.COM/", true),
        // As `Uri` and `Url` show themselves.
        ("https://api.example.com/", "https://api.example.com/orders", true),
        ("https://api.example.com:8443/", "https://api.example.com:8443", true),
        ("https://api.example.com/", "https://api.example.com.evil.example/", false),
        ("HTTPS://API.Example.COM", "https://api.example.com/", true),
        ("https://api.example.com", "http://api.example.com/", false),
        ("https://api.example.com", "https://example.com/", false),
        ("https://api.example.com", "https://v2.api.example.com/", false),
        // Ports: the default one is the absent one.
        ("https://api.example.com", "https://api.example.com:443/", true),
        ("https://api.example.com", "https://api.example.com:/", true),
        ("https://api.example.com:443", "https://api.example.com/", true),
        ("https://api.example.com", "https://api.example.com:8443/", false),
        ("https://api.example.com:8443", "https://api.example.com:8443/", true),
        ("https://api.example.com:8443", "https://api.example.com/", false),
        ("https://api.example.com", "https://api.example.com:80/", false),
        ("http://localhost", "http://localhost:80/", true),
        ("http://localhost", "http://localhost:443/", false),
        // Addresses, and names in Punycode.
        ("https://192.0.2.1", "https://192.0.2.1/", true),
        ("https://192.0.2.1", "https://192.0.2.10/", false),
        ("https://[2001:db8::1]:8443", "https://[2001:DB8:0:0::1]:8443/", true),
        ("https://[2001:db8::1]", "https://[2001:db8::1]/", true),
        ("https://[2001:db8::1]", "https://[2001:db8::2]/", false),
        ("https://[2001:db8::1]", "https://[2001:db8::1]:8443/", false),
        ("https://xn--bcher-kva.example", "https://XN--bcher-kva.example/", true),
        ("https://xn--bcher-kva.example", "https://bucher.example/", false),
    ] {
        assert_eq!(admits(origin, uri), admitted, "{origin} {uri}");
    }
}

#[test]
fn no_trick_makes_another_host_look_like_one_on_the_list() {
    for uri in [
        "https://api.example.com@evil.example/",
        "https://api.example.com:443@evil.example/",
        "https://x@api.example.com@evil.example/",
        "https://evil.example/api.example.com",
        "https://evil.example/?https://api.example.com",
        "https://evil.example/#@api.example.com",
        "https://evil.example?@api.example.com/",
        "https://evil.example#@api.example.com/",
        "https://evil.example/@api.example.com",
        "https://evil.example\\@api.example.com/",
        "https://api.example.com.evil.example/",
        "https://api.example.com./",
        "https://api.example.com../",
        "https://.api.example.com/",
        "https://notapi.example.com/",
        "https://api-example.com/",
        "https://api%2eexample.com/",
        "https://api.example.com%00.evil.example/",
        "https://api.example.com:99999/",
        "https://api.example.com:+443/",
        "https://api.example.com:443x/",
        "https://api.example.com:443:443/",
        "https://[api.example.com]/",
        "https://api.example.com[::1]/",
        "https://[::1]api.example.com/",
        "/orders",
        "api.example.com",
        "api.example.com:443",
        "*",
        "//api.example.com/",
        "ftp://api.example.com/",
        "httpss://api.example.com/",
        "wss://api.example.com/",
    ] {
        for origin in ["https://api.example.com", "https://*.api.example.com"] {
            assert!(!admits(origin, uri), "{origin} {uri}");
        }
    }
    // User information is no part of an origin.
    assert!(admits("https://api.example.com", "https://evil.example:443@api.example.com/"));
}

#[test]
fn a_wildcard_stands_for_sub_domains_of_any_depth_and_not_for_the_domain_itself() {
    for (uri, admitted) in [
        ("https://a.example.com/", true),
        ("https://A.EXAMPLE.com:443/", true),
        ("https://a.b.c.example.com/", true),
        ("https://a_b-c.example.com/", true),
        ("https://example.com/", false),
        ("https://.example.com/", false),
        ("https://..example.com/", false),
        ("https://a..example.com/", false),
        ("https://.a.example.com/", false),
        ("https://a.example.com./", false),
        ("https://aexample.com/", false),
        ("https://*.example.com/", false),
        ("https://evil.example,.example.com/", false),
        ("https://a.example.com.evil.example/", false),
        ("https://a.example.com:8443/", false),
        ("http://a.example.com/", false),
    ] {
        assert_eq!(admits("https://*.example.com", uri), admitted, "{uri}");
    }
    assert!(admits("https://*.example.com:8443", "https://a.example.com:8443/"));
    assert!(!admits("https://*.example.com:8443", "https://a.example.com/"));
}

#[test]
fn an_entry_that_can_match_nothing_or_too_much_is_refused_with_the_reason() {
    for (text, reason) in [
        ("", "no scheme"),
        ("*", "no scheme"),
        ("api.example.com", "no scheme"),
        ("//api.example.com", "no scheme"),
        ("ftp://api.example.com", "another scheme"),
        ("*://api.example.com", "another scheme"),
        (" https://api.example.com", "another scheme"),
        ("https://api.example.com//", "a path"),
        ("https:///", "no host"),
        ("https://api.example.com/v1", "a path"),
        ("https://api.example.com?x", "a path"),
        ("https://user@api.example.com", "a user"),
        ("https://b\u{fc}cher.example", "Punycode"),
        ("https://api.example.com:", "port"),
        ("https://api.example.com:https", "port"),
        ("https://api.example.com:65536", "port"),
        ("https://api.example.com:-1", "port"),
        ("https://api.example.com:*", "port"),
        ("https://", "no host"),
        ("https://:443", "no host"),
        ("https://*.", "no host"),
        ("https://.example.com", "no host"),
        ("https://*..example.com", "no host"),
        ("https://api.example.com.", "no host"),
        ("https://api example.com", "no host"),
        ("https://api.example.com ", "no host"),
        ("https://api%2eexample.com", "no host"),
        ("https://*", "`*`"),
        ("https://*.*.example.com", "`*`"),
        ("https://*api.example.com", "`*`"),
        ("https://api.*.com", "`*`"),
        ("https://*.0.2.1", "sub-domains of an address"),
        ("https://*.com", "public suffix"),
        ("https://*.co.uk", "public suffix"),
        ("https://*.COM.cn:8443", "public suffix"),
        ("https://*.aliyuncs.com", "public suffix"),
        ("https://*.oss-cn-hangzhou.aliyuncs.com", "public suffix"),
        ("https://[2001:db8::g]", "IPv6"),
        ("https://[::1", "no"),
        ("https://*.[::1]", "no host"),
    ] {
        let problem = Origin::parse(text).unwrap_err();
        assert!(problem.contains(reason), "{text}: {problem}");
    }
}

#[test]
fn a_plaintext_host_is_a_host_and_maybe_a_port() {
    for (entry, uri, admitted) in [
        ("orders.internal", "http://orders.internal/", true),
        ("Orders.Internal", "http://ORDERS.internal:8080/", true),
        ("orders.internal", "http://orders.internal.evil.example/", false),
        ("orders:8080", "http://orders:8080/", true),
        ("orders:8080", "http://orders/", false),
        ("orders:80", "http://orders/", true),
        ("*.svc.cluster.local", "http://orders.shop.svc.cluster.local:8080/", true),
        ("*.svc.cluster.local", "http://svc.cluster.local/", false),
        ("*.svc.cluster.local", "http://evil-svc.cluster.local/", false),
        ("*.internal:8080", "http://orders.internal:8080/", true),
        ("*.internal:8080", "http://orders.internal/", false),
        ("10.0.0.7", "http://10.0.0.7:9090/", true),
        ("10.0.0.7", "http://10.0.0.70/", false),
        ("[fd00::1]", "http://[FD00:0::1]:80/", true),
    ] {
        let host = PlaintextHost::parse(entry).unwrap_or_else(|problem| panic!("{entry}: {problem}"));
        assert_eq!(host.admits((&uri.parse::<Uri>().unwrap()).into()), admitted, "{entry} {uri}");
    }
}

#[test]
fn a_plaintext_entry_that_can_match_nothing_or_too_much_is_refused_with_the_reason() {
    for (text, reason) in [
        ("", "no host"),
        (" ", "no host"),
        ("*", "`*`"),
        ("*.", "no host"),
        ("*.com", "public suffix"),
        ("http://orders:8080", "scheme"),
        ("https://orders", "scheme"),
        ("orders/x", "path"),
        ("10.0.0.0/8", "prefix"),
        ("fd00::/8", "prefix"),
        ("orders?x", "query"),
        ("user@orders", "user"),
        ("orders:", "port"),
        ("orders:http", "port"),
        ("orders:99999", "port"),
        ("b\u{fc}cher.internal", "Punycode"),
        ("::1", "brackets"),
        ("fd00::1", "brackets"),
        ("[fd00::g]", "IPv6"),
        ("orders.internal.", "no host"),
        ("orders internal", "no host"),
        ("orders,stock", "no host"),
        ("*.10.0.0.7", "sub-domains of an address"),
    ] {
        let problem = PlaintextHost::parse(text).unwrap_err();
        assert!(problem.contains(reason), "{text}: {problem}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_of_plaintext_hosts_panic(text in any::<String>(), uri in "http://[ -~]{1,20}") {
        if let (Ok(host), Ok(uri)) = (PlaintextHost::parse(&text), uri.parse::<Uri>()) {
            host.admits((&uri).into());
        }
    }

    #[test]
    fn nothing_but_a_sub_domain_matches_a_wildcard(
        host in "[a-zA-Z0-9.@:*,_\\[\\]-]{0,12}(\\.?example|EXAMPLE|xample)?\\.?(com)?[.:0-9a-z]{0,4}",
    ) {
        if admits("https://*.example.com", &format!("https://{host}/")) {
            // The host and port, parsed without the code under test.
            let name = host.rsplit('@').next().unwrap();
            let name = name.strip_suffix(":443").or(name.strip_suffix(':')).unwrap_or(name).to_ascii_lowercase();
            let mut labels: Vec<&str> = name.split('.').collect();
            prop_assert_eq!(labels.split_off(labels.len() - 2), ["example", "com"]);
            prop_assert!(!labels.is_empty() && labels.iter().all(|label| !label.is_empty()));
            prop_assert!(!name.contains([':', '@', ',', '*', '[', ']']));
        }
    }

    #[test]
    fn every_sub_domain_matches_a_wildcard(below in "[a-zA-Z0-9_-]{1,9}(\\.[a-zA-Z0-9_-]{1,9}){0,3}") {
        let uri = format!("https://{below}.Example.com/x");
        prop_assert!(admits("https://*.example.com", &uri));
    }

    #[test]
    fn no_text_makes_the_parser_or_the_comparison_panic(text in any::<String>(), uri in "https://[ -~]{1,20}") {
        let _ = Origin::parse(&text);
        let origins = [Origin::parse("https://*.example.com").unwrap(), Origin::parse("https://[::1]").unwrap()];
        if let Ok(uri) = uri.parse::<Uri>() {
            admit(&origins, &uri);
        }
    }
}
