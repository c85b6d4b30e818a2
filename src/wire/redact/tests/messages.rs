//! What servers really say stays readable.

use super::*;

/// As token endpoints, API gateways, proxies and libraries phrase them, in English and in Chinese.
const MESSAGES: [&str; 64] = [
    "The source IP 203.0.113.7 is not in the allowed networks 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10",
    "supported versions: 1.0, 1.1, 1.2, 1.3",
    "Client authentication failed (e.g., unknown client, no client authentication included).",
    "The provided authorization grant is invalid, expired, revoked or does not match the redirection URI.",
    "invalid_scope: the requested scope is invalid, unknown, malformed, or exceeds the scope granted",
    "The client secret is expired since 2026-11-24 13:00:00.123 +0800.",
    "Assertion is expired: exp 2026-11-24T13:00:00Z, iat 2026-11-24T12:55:00Z, now 2026-11-24T13:00:07.512+08:00",
    "Unsupported alg. Supported: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA",
    "token_endpoint_auth_methods_supported: client_secret_basic, client_secret_post, client_secret_jwt, private_key_jwt",
    "The 'aud' claim must be https://eiam-api-cn-hangzhou.aliyuncs.com/v2/oauth2/token",
    "Signature verification failed: no key for this kid in the JWKS of the application",
    "jwt: the clock is 7 s ahead; iat 1700000600 is later than now 1700000593",
    "Your request is denied as lack of ssl protect.",
    "The specified parameter Timestamp is not valid: 2026-11-24T13:00:00Z, the server's time is 2026-11-24T13:20:00Z.",
    "Specified signature is not matched with our calculation.",
    "The request is throttled by user: 100 requests in 60 s, 5000 in 3600 s, 20000 in 86400 s. Try again in 12 s.",
    "Request was denied due to user flow control.",
    "You are not authorized to do this action. You should be authorized by RAM.",
    "The role does not exist: acs:ram::1234567890123:role/deploy",
    "The source IP 203.0.113.7 is not in the allowed networks 10.0.0.0/8, 172.16.0.0/12",
    "Access from 192.168.10.21:51234 to 10.20.30.40:443 is forbidden by rule 17 of policy edge-default",
    "upstream connect error or disconnect/reset before headers. reset reason: connection timeout",
    "no healthy upstream",
    "dial tcp 10.96.0.10:53: i/o timeout",
    "dial tcp [2001:db8:85a3::8a2e:370:7334]:443: connect: connection refused",
    "upstream request timeout after 15000 ms (3 of 3 attempts, 5000 ms each)",
    "HTTP/1.1 503 Service Unavailable: 2 of 4 backends are down",
    "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>",
    "413 Request Entity Too Large (nginx/1.24.0)",
    "Error 1020: Access denied. What happened? This website is using a security service.",
    "ERR_CACHE_ACCESS_DENIED: Squid 5.7, generated Tue, 24 Nov 2026 13:00:00 GMT by proxy-2 (squid/5.7)",
    "407 Proxy Authentication Required (Forefront TMG requires authorization)",
    "{\"error\":\"invalid_client\",\"error_description\":\"The client is disabled\",\"status\":401}",
    "{\\\"code\\\":\\\"Forbidden\\\",\\\"message\\\":\\\"The instance is suspended\\\",\\\"httpStatusCode\\\":403}",
    "The redirect_uri https%3A%2F%2Fconsole.example.com%2Fcallback is not registered",
    "[invalid_grant] Token is not active (nbf 1700000600, exp 1700004200, leeway 60)",
    "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent is the value, not the ID.",
    "AADSTS700016: Application was not found in the directory. Timestamp: 2026-11-24 13:00:00Z",
    "Bad client credentials (HTTP 401, error 40101, retry after 30 s)",
    "The TLS version 1.0 is not supported; use 1.2 or 1.3",
    "SSL routines: tlsv1 alert unknown ca: SSL alert number 48 (OpenSSL 3.0.13 30 Jan 2024)",
    "x509: certificate has expired or is not yet valid: current time 2026-11-24T13:00:00Z is after 2026-11-01T00:00:00Z",
    "java.net.SocketTimeoutException: Read timed out at com.example.gateway.Filter.doFilter(Filter.java:128)",
    "pq: sorry, too many clients already",
    "Quota exceeded: 1000/1000 calls today; the quota is reset at 00:00:00 UTC",
    "subject_token_type urn:ietf:params:oauth:token-type:access_token is not supported",
    "Maximum 10 scopes; got 12: a, b, c",
    "The phone number 95187-1 of the administrator is not verified (step 2 of 3)",
    "Don't retry: \"disabled\" isn't temporary & won't change \u{2013} caf\u{e9} \u{201c}na\u{ef}ve\u{201d}",
    "\u{5ba2}\u{6237}\u{7aef}\u{8ba4}\u{8bc1}\u{5931}\u{8d25}",
    "\u{5e94}\u{7528}\u{5bc6}\u{94a5}\u{9519}\u{8bef}\u{6216}\u{5df2}\u{8fc7}\u{671f}\u{ff0c}\u{8bf7}\u{68c0}\u{67e5} client_secret\u{3002}",
    "\u{8bf7}\u{6c42}\u{8fc7}\u{4e8e}\u{9891}\u{7e41}\u{ff0c}\u{8bf7} 30 \u{79d2}\u{540e}\u{91cd}\u{8bd5}\u{ff08}\u{9650}\u{989d} 100 \u{6b21}/60 \u{79d2}\u{ff09}",
    "\u{8bf7}\u{6c42}\u{65f6}\u{95f4} 2026\u{5e74}11\u{6708}24\u{65e5} 13\u{65f6}00\u{5206}00\u{79d2} \u{4e0e}\u{670d}\u{52a1}\u{5668}\u{65f6}\u{95f4}\u{76f8}\u{5dee} 900 \u{79d2}",
    "\u{6743}\u{9650}\u{4e0d}\u{8db3}\u{ff1a}\u{7f3a}\u{5c11} oauth2:read\u{3001}oauth2:write",
    "\u{53c2}\u{6570} grant_type \u{4e0d}\u{652f}\u{6301}\u{ff1a}urn:ietf:params:oauth:grant-type:jwt-bearer",
    "\u{5b9e}\u{4f8b}\u{5df2}\u{6b20}\u{8d39}\u{505c}\u{670d}\u{ff0c}\u{8bf7}\u{7eed}\u{8d39}\u{ff08}\u{9519}\u{8bef}\u{7801} 40301\u{ff09}",
    "\u{2460}\u{68c0}\u{67e5}\u{5bc6}\u{94a5}\u{ff1b}\u{2461}\u{68c0}\u{67e5}\u{65f6}\u{949f}\u{ff1b}\u{2462}\u{91cd}\u{8bd5}",
    "\u{7b7e}\u{540d}\u{4e0d}\u{5339}\u{914d}\u{ff08}SignatureDoesNotMatch\u{ff09}\u{ff0c}\u{7b97}\u{6cd5} ACS3-HMAC-SHA256",
    "\u{6765}\u{6e90} IP 203.0.113.7 \u{4e0d}\u{5728}\u{767d}\u{540d}\u{5355} 10.0.0.0/8\u{3001}192.168.0.0/16 \u{5185}",
    "\u{30af}\u{30e9}\u{30a4}\u{30a2}\u{30f3}\u{30c8}\u{8a8d}\u{8a3c}\u{306b}\u{5931}\u{6557}\u{3057}\u{307e}\u{3057}\u{305f}",
    "Der Client ist gesperrt; \u{c4}nderungen nimmt der Administrator vor.",
    "page 1 of 2: see lines 3, 4, 5 and 6",
    "code: 0x80070005 (E_ACCESSDENIED)",
    "valid from 2026-01-01 00:00:00 to 2026-12-31 23:59:59, both UTC",
];

#[test]
fn what_servers_say_stays_whole() {
    let redactor =
        Redactor::new(["CSEHDddddddxxxxuxJSbVtaN9gQmTz4rWkPcLfYx", "correct horse battery staple"]);
    let cut: Vec<String> = MESSAGES
        .iter()
        .map(|message| (redactor.text(message), message))
        .filter(|(shown, message)| shown != *message)
        .map(|(shown, message)| format!("{message}\n    {shown}"))
        .collect();
    assert!(cut.is_empty(), "{}", cut.join("\n"));
}

#[test]
fn ids_are_redacted_and_the_words_around_them_are_shown() {
    let text = "Application 0b6c1f3e-9d0a-4b6b-8a55-1a2b3c4d5e6f is not granted resource server \
                7f3c2a10-58d4-4e9b-a1c6-92b4d7e8f013";
    let shown = Redactor::new([]).text(text);
    assert!(
        shown.starts_with("Application ") && shown.contains(" is not granted resource server "),
        "{shown}"
    );
}
