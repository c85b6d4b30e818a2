//! Text from elsewhere, made fit to be shown.

use std::time::{Duration, SystemTime};

/// On one line, of bounded length.
pub(crate) fn text(text: &str) -> String {
    const LONGEST: usize = 300;
    let start: String = text.chars().take(LONGEST).collect();
    match text.chars().nth(LONGEST) {
        Some(_) => line(&start) + "…",
        None => line(&start),
    }
}

/// On one line, whole: for messages of the crate itself, which are bounded and end with what to do.
pub(crate) fn line(text: &str) -> String {
    text.chars().map(|c| if steers(c) { ' ' } else { c }).collect()
}

/// Whether a character ends a line, cannot be seen, or changes the direction of what is beside it: the characters of
/// control and format, and those that Unicode says to ignore.
fn steers(character: char) -> bool {
    character.is_control()
        || character.is_whitespace() && character != ' '
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// An error and its causes on one line, without what they repeat.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut chain = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !chain.contains(&text) {
            chain = format!("{chain}: {text}");
        }
        cause = error.source();
    }
    line(&chain)
}

/// People paste the secret where its variable's name belongs. A name is what a shell accepts as one; the library has the
/// same rule, and does not show such a text either.
pub(crate) fn variable_name(name: &str) -> Option<&str> {
    const LONGEST_WORD: usize = 24;
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let has = |is_one: fn(&u8) -> bool| name.as_bytes().iter().any(is_one);
    let is_mixed = has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit) && !name.contains('_');
    let is_name = is_plain
        && !is_mixed
        && (1..=128).contains(&name.len())
        && name.split('_').all(|word| word.len() <= LONGEST_WORD);
    is_name.then_some(name)
}

/// As much of a secret's length as may be shown.
pub(crate) fn length_class(length: usize) -> &'static str {
    match length {
        0 => "empty",
        1..16 => "under 16 characters",
        16..64 => "16 to 63 characters",
        64..512 => "64 to 511 characters",
        _ => "512 characters or more",
    }
}

/// The last second that RFC 3339 can write, with its years of four digits.
const LAST_SECOND: Duration = Duration::from_secs(253_402_300_799);

/// RFC 3339, in whole seconds. A time before 1970 or after 9999 is written as the nearest one between: a token may
/// carry such a time, and `humantime` fails to write it.
pub(crate) fn time(time: SystemTime) -> String {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + since_epoch.min(LAST_SECOND)).to_string()
}

/// In days, or else in the two largest units.
pub(crate) fn duration(duration: Duration) -> String {
    const DAY: u64 = 24 * 3600;
    match duration.as_secs() / DAY {
        0 => {}
        1 => return "1 day".to_owned(),
        days => return format!("{days} days"),
    }
    let text = humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string();
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// A time, and how far away it is.
pub(crate) fn time_from(at: SystemTime, now: SystemTime) -> String {
    match at.duration_since(now) {
        Ok(left) => format!("{} (in {})", time(at), duration(left)),
        Err(past) => format!("{} ({} ago)", time(at), duration(past.duration())),
    }
}

pub(crate) fn milliseconds(elapsed: Duration) -> String {
    format!("{:.1} ms", elapsed.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_steers_no_terminal() {
        for steering in ['\n', '\u{1b}', '\u{61c}', '\u{202e}', '\u{fff9}', '\u{180e}', '\u{ad}', '\u{e0041}']
        {
            assert_eq!(text(&format!("a{steering}b")), "a b", "{steering:?}");
        }
        assert_eq!(text("caf\u{e9} \u{5bc6}"), "caf\u{e9} \u{5bc6}");
    }

    #[test]
    fn a_time_of_any_year_is_written_and_the_nearest_one_where_rfc_3339_has_none() {
        let (epoch, second) = (SystemTime::UNIX_EPOCH, Duration::from_secs(1));
        for (at, text) in [
            (epoch - second, "1970-01-01T00:00:00Z"),
            (epoch - 2_000_000_000 * second, "1970-01-01T00:00:00Z"),
            (epoch + 1_800_000_000 * second, "2027-01-15T08:00:00Z"),
            (epoch + LAST_SECOND, "9999-12-31T23:59:59Z"),
            (epoch + LAST_SECOND + second, "9999-12-31T23:59:59Z"),
            // Milliseconds where seconds belong.
            (epoch + Duration::from_secs(1_764_426_505_000), "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(time(at), text);
        }
    }
}
