//! Public suffixes: their sub-domains belong to different owners, so a wildcard would send tokens to strangers.
//!
//! The public suffix list itself is 2.5 MB of generated code. These rules are coarser and err on the safe side: one
//! label, two labels of which the first is a registry's under a country's domain, and the domains of large hosting
//! services. An origin that they refuse can be listed without a wildcard.

/// Top-level domains that no registry hands out (RFC 6761, RFC 6762 appendix G, and ICANN's `internal`).
const PRIVATE: [&str; 12] = [
    "corp",
    "example",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localhost",
    "private",
    "svc",
    "test",
];

/// Names under which country registries register domains, as in `co.uk` and `com.cn`.
const REGISTRIES: [&str; 17] = [
    "ac", "co", "com", "edu", "go", "gob", "gouv", "gov", "govt", "gub", "ltd", "mil", "ne", "net", "nom",
    "or", "org",
];

/// Domains of hosting services that give their customers sub-domains.
const HOSTING: [&str; 36] = [
    "a.run.app",
    "alicloudapi.com",
    "alicontainer.com",
    "appspot.com",
    "azure-api.net",
    "azurecontainerapps.io",
    "azureedge.net",
    "azurewebsites.net",
    "blogspot.com",
    "cloudapp.azure.com",
    "cloudapp.net",
    "cloudfront.net",
    "cloudfunctions.net",
    "core.windows.net",
    "deno.dev",
    "elasticbeanstalk.com",
    "fcapp.run",
    "firebaseapp.com",
    "fly.dev",
    "github.io",
    "gitlab.io",
    "herokuapp.com",
    "netlify.app",
    "ngrok-free.app",
    "ngrok.app",
    "ngrok.io",
    "nip.io",
    "onrender.com",
    "pages.dev",
    "r2.dev",
    "run.app",
    "sslip.io",
    "trycloudflare.com",
    "vercel.app",
    "web.app",
    "workers.dev",
];

/// Clouds that give their customers names at every depth, such as that of a bucket below a region's object storage.
const CLOUDS: [&str; 3] = ["aliyuncs.com", "amazonaws.com", "amazonaws.com.cn"];

/// Whether the domain is a public suffix by these rules.
pub(super) fn is_public_suffix(domain: &str) -> bool {
    let domain = domain.to_ascii_lowercase();
    let is_or_is_under = |cloud: &str| {
        domain.strip_suffix(cloud).is_some_and(|below| below.is_empty() || below.ends_with('.'))
    };
    if HOSTING.contains(&domain.as_str()) || CLOUDS.into_iter().any(is_or_is_under) {
        return true;
    }
    let mut labels = domain.rsplit('.');
    let (top, second, third) = (labels.next().unwrap_or_default(), labels.next(), labels.next());
    match (second, third) {
        (None, _) => !PRIVATE.contains(&top),
        (Some(second), None) => top.len() == 2 && REGISTRIES.contains(&second),
        (Some(_), Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_that_strangers_have_names_under_are_distinguished_from_those_of_one_owner() {
        for public in [
            "com",
            "COM",
            "dev",
            "cn",
            "co.uk",
            "com.cn",
            "Co.Uk",
            "gov.au",
            "aliyuncs.com",
            "oss-cn-hangzhou.aliyuncs.com",
            "cn-hangzhou.fc.aliyuncs.com",
            "s3.amazonaws.com",
            "github.io",
            "a.run.app",
            "xn--fiqs8s",
        ] {
            assert!(is_public_suffix(public), "{public}");
        }
        for owned in [
            "example.com",
            "svc.cluster.local",
            "cluster.local",
            "internal",
            "local",
            "test",
            "example.co.uk",
            "go.dev",
            "c1234.cn-hangzhou.alicontainer.com",
            "notaliyuncs.com",
            "team.github.io",
            "example.cn",
        ] {
            assert!(!is_public_suffix(owned), "{owned}");
        }
    }
}
