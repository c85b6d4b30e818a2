//! Times and durations as servers write them: RFC 3339 text, HTTP dates, `Retry-After`, and the throttling headers of
//! the Alibaba Cloud gateway. Arithmetic alone.

use std::time::{Duration, SystemTime};

use http::header::{AGE, DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName};
use serde_json::Value;

use crate::clock::Timestamp;

/// The longest pause, whatever a server requests.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// `Date` is truncated to whole seconds.
const RESOLUTION: Duration = Duration::from_secs(1);

/// A time in RFC 3339 text (section 5.6), with a zone of any offset; text without a zone is refused.
pub(crate) fn rfc3339(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    let number = |from: usize, to: usize| {
        let digits = text.get(from..to)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let is = |at: usize, expected: &[u8]| text.as_bytes().get(at).is_some_and(|byte| expected.contains(byte));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let rest = text.get(19..)?;
    let fraction =
        rest.strip_prefix('.').map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    if rest.starts_with('.') && fraction == 0 {
        return None;
    }
    let nanos = rest.get(1..=fraction.min(9)).filter(|_| fraction > 0).map_or("", |digits| digits);
    let nanos: u64 = format!("{nanos:0<9}").parse().ok()?;
    let zone = rest.get(if fraction > 0 { fraction + 1 } else { 0 }..)?;
    let offset = match zone.as_bytes() {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            // A number may have a sign of its own, two digits may not.
            let digits =
                |from, to| zone.get(from..to).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let hours: i64 = digits(1, 3)?.parse().ok()?;
            let minutes: i64 = digits(4, 6)?.parse().ok()?;
            let seconds = (hours < 24 && minutes < 60).then_some((hours * 60 + minutes) * 60)?;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let days_in_month = match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let is_real = (1..=12).contains(&month)
        && (1..=days_in_month).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !is_real {
        return None;
    }
    // Days since 1970-01-01, with years counted from March.
    let (march_year, march_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era_days = 365 * march_year + march_year.div_euclid(4) - march_year.div_euclid(100)
        + march_year.div_euclid(400)
        + (153 * march_month + 2) / 5
        + day
        - 1;
    let seconds = (era_days - 719_468) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let start = match seconds < 0 {
        true => SystemTime::UNIX_EPOCH.checked_sub(whole),
        false => SystemTime::UNIX_EPOCH.checked_add(whole),
    };
    start?.checked_add(Duration::from_nanos(nanos))
}

/// The last second that [`rfc3339_text`] writes: RFC 3339 has years of four digits.
#[cfg(feature = "aliyun")]
const LAST_SECOND: u64 = 253_402_300_799;

/// The time in RFC 3339 text, in whole seconds. A time before 1970 or after 9999 is written as the nearest one between:
/// servers send such times, and `humantime` fails to write them.
#[cfg(feature = "aliyun")]
pub(crate) fn rfc3339_text(time: SystemTime) -> String {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let nearest = SystemTime::UNIX_EPOCH + since_epoch.min(Duration::from_secs(LAST_SECOND));
    humantime::format_rfc3339_seconds(nearest).to_string()
}

/// A time as seconds since the Unix epoch, from seconds, milliseconds and smaller units, or RFC 3339 text.
pub(crate) fn unix_seconds(value: &Value) -> Option<f64> {
    if let Some(time) = value.as_str().and_then(rfc3339) {
        return Some(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64());
    }
    // Seconds reach in the year 5138 the number that milliseconds reached in 1973.
    let mut number = number(value)?;
    while (1e11..1e20).contains(&number) {
        number /= 1e3;
    }
    Some(number)
}

/// A number, as a JSON number or text; never a NaN.
pub(crate) fn number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number: &f64| !number.is_nan())
}

/// When the server made the response, by its clock. A response with an `Age` comes from a cache, and its date is old.
pub(crate) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    if headers.contains_key(AGE) {
        return None;
    }
    http_date(text(headers, &DATE)?)
}

/// A date of RFC 9110 section 5.6.7. Some libraries write UTC or `+0000` where `GMT` is demanded, another zone, or a
/// day of one digit, as mail does (RFC 5322 section 3.3).
fn http_date(text: &str) -> Option<SystemTime> {
    if let Ok(date) = httpdate::parse_http_date(text.trim()) {
        return Some(date);
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let [weekday, day, month, year, time, zone] = *words.as_slice() else { return None };
    let ahead = match zone.as_bytes() {
        [sign @ (b'+' | b'-'), digits @ ..] if digits.len() == 4 && digits.iter().all(u8::is_ascii_digit) => {
            let number: u64 = zone.get(1..)?.parse().ok()?;
            Some((*sign == b'+', Duration::from_secs((number / 100 * 60 + number % 100) * 60)))
        }
        _ if ["gmt", "utc", "ut", "z"].contains(&zone.to_ascii_lowercase().as_str()) => None,
        _ => return None,
    };
    let date = httpdate::parse_http_date(&format!("{weekday} {day:0>2} {month} {year} {time} GMT")).ok()?;
    match ahead {
        None => Some(date),
        Some((true, offset)) => date.checked_sub(offset),
        Some((false, offset)) => date.checked_add(offset),
    }
}

/// How many nanoseconds the server's clock is ahead of this machine's, by a response made between two timestamps;
/// negative when it is behind. `None` when the response does not show it.
///
/// A difference that the network delay and the truncated second may explain counts as none.
pub(super) fn clock_offset(headers: &HeaderMap, sent: Timestamp, received: Timestamp) -> Option<i64> {
    let date = date(headers)?;
    let (sent, received) = (sent.system_time(), received.system_time());
    let late = sent.duration_since(date).unwrap_or_default();
    if date <= received && late <= RESOLUTION {
        return Some(0);
    }
    let signed = |span: Duration| i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
    Some(match date.duration_since(received) {
        Ok(ahead) => signed(ahead),
        Err(behind) => -signed(behind.duration()),
    })
}

/// The pause that the server requests: `Retry-After` (RFC 9110 section 10.2.3), in any form. Of several, the longest
/// counts: a gateway may have added its own.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let now = date(headers).unwrap_or(now);
    let values = headers.get_all(RETRY_AFTER).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(listed).filter_map(|value| pause(value, now)).max()
}

/// The values of a field that a proxy may have joined from several (RFC 9110 section 5.3). The comma behind a weekday
/// separates nothing.
fn listed(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        let is_weekday = |part: &str| {
            let name = unquoted(part);
            name.len() >= 3 && name.bytes().all(|byte| byte.is_ascii_alphabetic()) && name.ends_with("day")
                || ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(&name)
        };
        let mut commas = text.match_indices(',').map(|(at, _)| at);
        let end = commas.find(|at| !text.get(..*at).is_some_and(is_weekday));
        let (first, after) = match end {
            Some(at) => (text.get(..at)?, text.get(at + 1..)),
            None => (text, None),
        };
        rest = after;
        Some(first)
    })
}

fn unquoted(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || "\"'".contains(c))
}

/// One pause: seconds, an amount with a unit, or a date.
fn pause(value: &str, now: SystemTime) -> Option<Duration> {
    let value = unquoted(value);
    if let Some(date) = http_date(value).or_else(|| rfc3339(value)) {
        return Some(date.duration_since(now).unwrap_or_default().min(LONGEST_RETRY_AFTER));
    }
    let (amount, unit) = amount(value)?;
    let seconds = match unit.as_str() {
        "" | "s" | "sec" | "secs" | "second" | "seconds" => amount,
        "ms" => amount / 1e3,
        "m" | "min" | "mins" | "minute" | "minutes" => amount * 60.0,
        "h" | "hour" | "hours" => amount * 3600.0,
        _ => return None,
    };
    // Rounded up, never shorter than requested.
    Some(Duration::from_secs_f64(seconds.ceil().clamp(0.0, LONGEST_RETRY_AFTER.as_secs_f64())))
}

/// A number, which may be out of the range of integers, and the unit behind it in lower case.
fn amount(text: &str) -> Option<(f64, String)> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c.is_whitespace());
    let unit = text.get(digits.len()..)?.trim().to_ascii_lowercase();
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit() || b".+-eE".contains(&byte));
    let number: f64 = is_number.then(|| digits.parse().ok())??;
    (!number.is_nan()).then_some((number, unit))
}

/// The pause that the gateway of Alibaba Cloud's APIs requests when it throttles: a positive number of milliseconds.
pub(super) fn gateway_throttle(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all("x-acs-retry-after").iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(millis).max()
}

/// The pause that the gateway of Alibaba Cloud's APIs requests in its own headers.
pub(super) fn gateway_retry_after(headers: &HeaderMap) -> Option<Duration> {
    if let Some(pause) = gateway_throttle(headers) {
        return Some(pause);
    }
    // `Limit:1,Remain:0,TimeLeft:2000,Reset:1234`: the limit is used up when nothing remains.
    ["x-ratelimit-user-api", "x-ratelimit-user"].iter().find_map(|name| {
        let fields = text(headers, &HeaderName::from_static(name))?;
        let field = |wanted: &str| {
            fields.split([',', ';']).find_map(|field| {
                let (name, value) = field.split_once([':', '='])?;
                name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim())
            })
        };
        if field("Remain").is_some_and(|remain| remain.parse() != Ok(0)) {
            return None;
        }
        millis(field("TimeLeft")?)
    })
}

fn millis(text: &str) -> Option<Duration> {
    let (millis, unit) = amount(unquoted(text))?;
    let millis = millis.ceil().min(LONGEST_RETRY_AFTER.as_secs_f64() * 1e3);
    (millis > 0.0 && ["", "ms"].contains(&unit.as_str())).then(|| Duration::from_millis(millis as u64))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn rfc_3339_is_read_in_any_zone_and_nothing_else_is() {
        for (text, seconds) in [
            ("2027-01-15T08:00:00Z", 1_800_000_000),
            (" 2027-01-15t08:00:00.000z\n", 1_800_000_000),
            ("2027-01-15T16:00:00+08:00", 1_800_000_000),
            ("2027-01-15T07:30:00.0-00:30", 1_800_000_000),
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T00:00:00Z", 951_782_400),
            ("2024-12-31T23:59:60Z", 1_735_689_600),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(rfc3339(text), Some(at(seconds)), "{text}");
        }
        assert_eq!(rfc3339("1970-01-01T00:00:00.25Z"), Some(at(0) + Duration::from_millis(250)));
        for text in [
            "",
            "tomorrow",
            "2027-01-15",
            "2027-01-15T08:00:00",
            "2027-01-15 08:00:00Z",
            "2027-02-29T08:00:00Z",
            "2027-13-01T08:00:00Z",
            "2027-01-15T24:00:00Z",
            "2027-01-15T08:00:00.Z",
            "2027-01-15T08:00:00+0800",
            "2027-01-15T08:00:00+99:00",
            "2027-01-15T08:00:00+-5:00",
            "2027-01-15T08:00:00++1:-9",
            "2027-01-15T08:00:00Zx",
            "+027-01-15T08:00:00Z",
            "2027-01-15T08:00:0ü",
        ] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
    }

    #[cfg(feature = "aliyun")]
    #[test]
    fn a_time_of_any_year_is_written_and_the_nearest_one_where_rfc_3339_has_none() {
        for (text, written) in [
            ("0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            ("1969-12-31T23:59:59.5Z", "1970-01-01T00:00:00Z"),
            ("1970-01-01T00:00:00.5Z", "1970-01-01T00:00:00Z"),
            ("2027-01-15T08:00:00.9Z", "2027-01-15T08:00:00Z"),
            ("9999-12-31T23:59:59.9Z", "9999-12-31T23:59:59Z"),
            ("9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339_text(rfc3339(text).unwrap()), written, "{text}");
        }
    }

    #[test]
    fn retry_after_is_taken_in_every_spelling_whose_sense_is_clear() {
        let now = at(1_700_000_000);
        for (value, expected) in [
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("\"7\"", Some(7)),
            ("7, 7", Some(7)),
            ("7, 30", Some(30)),
            ("soon, 30", Some(30)),
            ("2 hours", Some(7_200)),
            ("30, Tue, 14 Nov 2023 22:15:20 GMT", Some(120)),
            ("Tue, 14 Nov 2023 22:15:20 GMT, Tue, 14 Nov 2023 22:15:20 GMT", Some(120)),
            ("Tue, 14 Nov 2023 22:15:20 UTC", Some(120)),
            ("Tue, 14 Nov 2023 22:15:20 +0000", Some(120)),
            ("Wed, 15 Nov 2023 06:15:20 +0800", Some(120)),
            ("Tue, 14 Nov 2023 17:15:20 -0500", Some(120)),
            ("Tue, 14 Nov 2023 22:15:20 gmt", Some(120)),
            ("Tue, 14 Nov 2023 22:15:20 CET", None),
            ("Sun, 5 Nov 2023 22:15:20 GMT", Some(0)),
            ("Tue,", None),
            (", ,", None),
            ("7s", Some(7)),
            ("7 seconds", Some(7)),
            ("2 min", Some(120)),
            ("1.5", Some(2)),
            ("0.2", Some(1)),
            (".5", Some(1)),
            ("1e2", Some(100)),
            ("0", Some(0)),
            ("-1", Some(0)),
            ("-0.5", Some(0)),
            ("86400", Some(86_400)),
            ("86401", Some(86_400)),
            ("18446744073709551616", Some(86_400)),
            ("1e400", Some(86_400)),
            ("soon", None),
            ("inf", None),
            ("NaN", None),
            ("", None),
            ("7 fortnights", None),
            ("Tue, 14 Nov 2023 22:15:20 GMT", Some(120)),
            ("\"Tue, 14 Nov 2023 22:15:20 GMT\"", Some(120)),
            ("Tuesday, 14-Nov-23 22:15:20 GMT", Some(120)),
            ("Tue Nov 14 22:15:20 2023", Some(120)),
            ("2023-11-14T22:15:20Z", Some(120)),
            ("Tue, 14 Nov 2023 22:13:00 GMT", Some(0)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(86_400)),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now).map(|pause| pause.as_secs()), expected, "{value}");
        }
    }

    #[test]
    fn of_several_pauses_the_longest_counts() {
        let fields = ["7", "\u{fc}", "60", "1.5"].map(|value| (RETRY_AFTER, value.parse().unwrap()));
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value);
        }
        assert_eq!(retry_after(&headers, at(0)).unwrap().as_secs(), 60);
    }

    #[test]
    fn the_gateways_headers_are_in_milliseconds() {
        let pause = |pairs: &[(&'static str, &str)]| {
            let pair = |(name, value): &(&'static str, &str)| {
                (HeaderName::from_static(name), value.parse().unwrap())
            };
            gateway_retry_after(&pairs.iter().map(pair).collect()).map(|pause| pause.as_millis())
        };
        let (pause_header, api, user) = ("x-acs-retry-after", "x-ratelimit-user-api", "x-ratelimit-user");
        let spent = "Limit:1,Remain:0,TimeLeft:2000,Reset:1234";
        assert_eq!(pause(&[(pause_header, "60000"), (api, spent)]), Some(60_000));
        assert_eq!(pause(&[(api, spent)]), Some(2_000));
        assert_eq!(pause(&[(user, "limit: 1, remain: 0, timeleft: 700")]), Some(700));
        assert_eq!(pause(&[(api, "Limit:9,Remain:5,TimeLeft:2000"), (user, spent)]), Some(2_000));
        assert_eq!(pause(&[(pause_header, "18446744073709551615")]), Some(86_400_000));
        for (value, millis) in [
            ("1.5", 2),
            ("1500.0", 1_500),
            ("\"700\"", 700),
            ("700 ms", 700),
            ("700, 900", 900),
            ("1e400", 86_400_000),
        ] {
            assert_eq!(pause(&[(pause_header, value)]), Some(millis), "{value}");
        }
        for value in ["0", "-5", "soon", "", "NaN", "7 s"] {
            assert_eq!(pause(&[(pause_header, value)]), None, "{value}");
        }
    }
}
