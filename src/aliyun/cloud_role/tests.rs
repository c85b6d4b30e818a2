//! Random responses: none may cause a panic, outlive its stated end, or show a secret.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::aliyun::cloud_role::obtain::{RoleCredentials, RoleKey, operation, read};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::scope::Scope;
use crate::wire::call::tests::read_as;

const SENT: Timestamp = Timestamp { monotonic: 5_000_000_000, wall: 1_700_000_000_000_000_000 };
const TOKEN: &str = "T0KENmarker+/=%&";
const STS_SECRET: &str = "STSmarker";

fn read_response(status: u16, date: Option<&str>, body: &Value) -> Result<RoleCredentials, Error> {
    let mut headers = HeaderMap::new();
    if let Some(date) = date.and_then(|date| HeaderValue::from_str(date).ok()) {
        headers.insert("date", date);
    }
    let scope = Scope::parse("urn:cloud:idaas:pam|.all").unwrap();
    let operation =
        operation(&RoleKey { arn: "acs:ram::1:role/a".into(), scope, session_seconds: None, exchange: None });
    let body = body.to_string();
    let response = (StatusCode::from_u16(status).unwrap(), headers, body.as_bytes());
    read_as(&operation, &[TOKEN], response, (SENT, SENT.after(Duration::from_millis(100))), read)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,20}",
        "[0-9eE.+-]{0,24}",
        "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](Z|\\+00:00|\\+08:00|)",
        (".{0,10}", Just(TOKEN), ".{0,10}").prop_map(|(before, token, after)| before + token + &after),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (1_699_990_000u64..1_700_100_000).prop_map(Value::from),
        Just(Value::Null),
        Just(json!([1])),
    ]
}

fn object(names: &'static [&'static str]) -> impl Strategy<Value = Map<String, Value>> {
    let field = (prop::sample::select(names).prop_map(str::to_owned), value());
    vec(field, 0..4).prop_map(|fields| fields.into_iter().collect())
}

fn body() -> impl Strategy<Value = Value> {
    let member = prop::sample::select(
        &["alibabaCloudStsToken", "awsStsToken", "tencentCloudStsToken", "otherStsToken"][..],
    );
    let top = object(&[
        "error",
        "Code",
        "code",
        "message",
        "requestId",
        "cloudAccountId",
        "cloudAccountVendorType",
        "cloudAccountRoleName",
    ]);
    let credential = object(&["accessCredentialExpiresAt"]);
    let sts = object(&["accessKeyId", "secretAccessKey", "expiration", "token"]);
    (top, credential, member, sts, any::<bool>()).prop_map(|(mut top, mut credential, member, sts, whole)| {
        let mut all = Map::new();
        if whole {
            for name in ["accessKeyId", "accessKeySecret", "securityToken", "secretAccessKey", "sessionToken"]
            {
                all.insert(name.to_owned(), json!(STS_SECRET));
            }
        }
        all.extend(sts);
        credential.insert(member.to_owned(), Value::Object(all));
        top.insert("cloudAccountRoleAccessCredential".to_owned(), Value::Object(credential));
        Value::Object(top)
    })
}

#[test]
fn a_token_echoed_in_any_field_beside_the_credentials_is_not_kept() {
    const NAMED: [&str; 5] = [
        "cloudAccountId",
        "cloudAccountVendorType",
        "cloudAccountRoleId",
        "cloudAccountRoleName",
        "cloudAccountRoleExternalId",
    ];
    let mut body = json!({ "cloudAccountRoleAccessCredential": { "alibabaCloudStsToken": {
        "accessKeyId": TOKEN, "accessKeySecret": STS_SECRET, "securityToken": STS_SECRET,
    } } });
    for name in NAMED {
        body[name] = format!("<{TOKEN}>").into();
    }
    let credentials = read_response(200, None, &body).unwrap().credentials;
    let kept = [
        credentials.account_id(),
        credentials.vendor_type(),
        credentials.role_id(),
        credentials.role_name(),
        credentials.role_arn(),
    ];
    assert_eq!(kept, [Some("<[redacted]>"); NAMED.len()]);
    assert_eq!(credentials.alibaba_cloud().unwrap().access_key_id(), "[redacted]");
    assert!(!format!("{credentials:?}").contains("T0KENmarker"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_response_makes_the_reader_panic_or_anything_show_a_secret(
        status in prop_oneof![3 => Just(200u16), 1 => 200u16..600], date in prop::option::of(text()), body in body(),
    ) {
        let shown = match read_response(status, date.as_deref(), &body) {
            Ok(obtained) => {
                prop_assert!(obtained.life <= Duration::from_secs(24 * 3600));
                format!("{obtained:?} {obtained:#?}")
            }
            Err(error) => format!("{error} {error:?} {error:#?}"),
        };
        prop_assert!(!shown.contains("T0KENmarker"), "{shown}");
        // Fields that are no secret are shown, so the server can put anything there.
        prop_assert!(!shown.contains(STS_SECRET), "{shown}");
    }

    #[test]
    fn credentials_never_outlive_the_end_by_a_clock_that_may_be_right(left in 2i64..86_400, skew in -100_000i64..100_000) {
        let now = 1_700_000_000;
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(now + skew).unwrap());
        let body = json!({ "cloudAccountRoleAccessCredential": {
            "accessCredentialExpiresAt": now + left,
            "tencentCloudStsToken": { "tmpSecretId": "a", "tmpSecretKey": "b", "token": "c" },
        } });
        let obtained = read_response(200, Some(&httpdate::fmt_http_date(date)), &body);
        // Just issued, they are live: a clock by which they are not is wrong.
        let (ours, theirs) = (left, left - skew);
        let left = if theirs > 0 { ours.min(theirs) } else { ours };
        match obtained {
            // Less than a second is over on arrival, and then the other clock counts.
            Ok(obtained) if theirs > 1 || theirs <= 0 => {
                prop_assert_eq!(i64::try_from(obtained.life.as_secs()).unwrap(), left);
            }
            Ok(obtained) => {
                prop_assert!([ours, theirs].contains(&i64::try_from(obtained.life.as_secs()).unwrap()));
            }
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}
